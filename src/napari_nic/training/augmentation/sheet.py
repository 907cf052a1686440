"""Contact sheet: what augmentation makes of patches, to be looked at before a network is trained on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from napari_nic.errors import InvalidParameterError
from napari_nic.training.augmentation.augmenter import Augmenter

GAP_PX = 4
"""Between patches."""

FONT_PX = 14
LABEL_PX = FONT_PX + 2 * GAP_PX
PAPER, INK = (255, 255, 255), (0, 0, 0)
ORIGINAL = "original"


def contact_sheet(
    images: np.ndarray,
    augmenter: Augmenter,
    *,
    columns: int = 8,
    seed: int = 0,
    size: int | None = None,
    title: str = "",
    names: Sequence[str] = (),
) -> np.ndarray:
    """Draw every patch in a row of its own: as it is, then changed again and again.

    Parameters
    ----------
    images : ndarray of uint8, (n, s, s, 3), RGB
    augmenter : Augmenter
    columns : int
        Changed copies in a row.
    seed : int
        Column k is what the augmenter makes of the patches with seed ``seed + k``.
    size : int, optional
        Side of what the network sees, see :class:`Augmenter`; also of the original's middle that is shown.
    title : str
        Written above the changed copies.
    names : sequence of str
        Written above the rows; none, or one per patch.

    Returns
    -------
    ndarray of uint8, (height, width, 3), RGB

    Raises
    ------
    InvalidParameterError
        If there are no patches or columns, or not one name per patch.
    """
    _check(len(images), columns, len(names))
    patches = torch.from_numpy(np.ascontiguousarray(images))
    first = (images.shape[1] - size) // 2 if size else 0
    stop = first + (size or images.shape[1])
    changed = [_pixels(augmenter(patches, seed=seed + column, size=size)) for column in range(columns)]
    rows = np.stack([images[:, first:stop, first:stop], *changed], axis=1)
    return _draw(rows, title, names)


def _check(patches: int, columns: int, names: int) -> None:
    if not patches or columns < 1 or names not in (0, patches):
        raise InvalidParameterError(
            "a contact sheet needs patches, columns, and a name for every patch or none",
            found=f"{patches} patches, {columns} columns, {names} names",
        )


def _pixels(batch: torch.Tensor) -> np.ndarray:
    """Turn network input back into pictures (B, s, s, 3) uint8."""
    levels = ((batch + 1) * (255 / 2)).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().numpy()


def _draw(rows: np.ndarray, title: str, names: Sequence[str]) -> np.ndarray:
    """Lay out pictures (rows, columns, s, s, 3) with labels."""
    count, columns, side = rows.shape[:3]
    label = LABEL_PX if names else 0
    # The originals stand apart from the changed copies.
    start = GAP_PX + max(side, _length(ORIGINAL)) + 3 * GAP_PX
    lefts = [GAP_PX, *(start + column * (side + GAP_PX) for column in range(columns - 1))]
    tops = [LABEL_PX + label + row * (side + GAP_PX + label) for row in range(count)]
    ends = (lefts[-1] + side, start + _length(title), *(GAP_PX + _length(name) for name in names))
    sheet = Image.new("RGB", (max(ends) + GAP_PX, tops[-1] + side + GAP_PX), PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, GAP_PX, 0, ORIGINAL)
    _write(pen, start, 0, title)
    for row, top in enumerate(tops):
        if names:
            _write(pen, GAP_PX, top - label, names[row])
        for column, left in enumerate(lefts):
            sheet.paste(Image.fromarray(rows[row, column]), (left, top))
    return np.asarray(sheet)


def _write(pen: ImageDraw.ImageDraw, left: int, top: int, text: str) -> None:
    pen.text((left, top + LABEL_PX // 2), text, INK, ImageFont.load_default(FONT_PX), anchor="lm")


def _length(text: str) -> int:
    """Return how long a text is, px."""
    return round(ImageFont.load_default(FONT_PX).getlength(text))
