"""What stands on and under a figure: scale bar, legend, colour bar; and the file with its resolution."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, PngImagePlugin

from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError
from napari_nic.names import FIGURE_SUFFIXES
from napari_nic.slides import RgbArray

POINT_SIZE = 8.0
"""Of letters, in points: what journals ask for."""

_POINTS_PER_INCH = 72.0
MM_PER_INCH = 25.4

Mask = npt.NDArray[np.uint8]
Write = Callable[[str, int], Mask]
"""``write(text, height)`` paints a line of text of so many pixels: (height, width), 255 is ink. Whoever has
fonts hands it in."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class LegendEntry:
    """What the colours of one layer mean.

    Attributes
    ----------
    title : str
    swatches : tuple of (str, (int, int, int))
        Classes.
    bar : ndarray of uint8 (n, 3), or None
        Colours from the lowest value to the highest.
    ends : (str, str)
        The values at both ends, as they are to be read.
    """

    title: str
    swatches: tuple[tuple[str, Rgb], ...] = ()
    bar: npt.NDArray[np.uint8] | None = None
    ends: tuple[str, str] = ("", "")


def text_height(dpi: float) -> int:
    """Height of a line of text in pixels."""
    return max(9, round(1.3 * POINT_SIZE / _POINTS_PER_INCH * dpi))


def nice_length(most: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is no more than `most`.

    Raises
    ------
    InvalidParameterError
        If `most` is not positive.
    """
    if not (math.isfinite(most) and most > 0):
        raise InvalidParameterError("a scale bar has a positive length", found=f"{most:g}")
    power = 10.0 ** math.floor(math.log10(most) + 1e-12)
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def format_length(um: float) -> str:
    """Write a length as a scale bar says it: ``"50 um"`` with the micro sign, ``"2 mm"``."""
    return f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} \N{MICRO SIGN}m"


def draw_scale_bar(figure: RgbArray, um_per_px: float, write: Write, dpi: float) -> float:
    """Draw a scale bar into the lower right corner, in place.

    Returns
    -------
    float
        Its length in micrometres; 0 where the figure is too small for one.
    """
    rows, cols = figure.shape[:2]
    height = text_height(dpi)
    um = nice_length(0.25 * cols * um_per_px)
    length, text = round(um / um_per_px), write(format_length(um), height)
    pad, thick = max(2, height // 3), max(2, height // 5)
    width = max(length, text.shape[1])
    box = (height + thick + 3 * pad, width + 2 * pad)
    if length < 2 or box[0] > rows or box[1] > cols:
        return 0.0
    place = figure[rows - box[0] :, cols - box[1] :]
    place[:] = np.rint(0.25 * place + 0.75 * 255).astype(np.uint8)  # readable on tissue and on glass
    left = (box[1] - text.shape[1]) // 2
    _ink(place[pad : pad + height, left : left + text.shape[1]], text)
    left, top = (box[1] - length) // 2, height + 2 * pad
    place[top : top + thick, left : left + length] = 0
    return um


def legend_strip(entries: Sequence[LegendEntry], width: int, write: Write, dpi: float) -> RgbArray:
    """Paint legends on white, as wide as the figure: what does not fit into a line goes to the next.

    Returns
    -------
    ndarray of uint8, (rows, width, 3)
        No rows without entries.
    """
    lines: list[RgbArray] = []
    for entry in entries:
        lines += _flow(_items(entry, write, text_height(dpi)), width, text_height(dpi))
    return np.concatenate(lines) if lines else np.empty((0, width, 3), np.uint8)


def _items(entry: LegendEntry, write: Write, height: int) -> list[RgbArray]:
    """Return the title, and each class or the bar, as small pictures of one height."""
    items = [_written(write(entry.title, height))]
    for name, color in entry.swatches:
        square = np.full((height, height, 3), 255, np.uint8)
        inner = max(1, height // 8)
        square[inner : height - inner, inner : height - inner] = color
        items.append(np.concatenate([square, _gap(height, 3), _written(write(name, height))], axis=1))
    if entry.bar is not None:
        low, high = (_written(write(end, height)) for end in entry.ends)
        steps = np.linspace(0, len(entry.bar) - 1, 8 * height).round().astype(int)
        bar = np.full((height, 8 * height, 3), 255, np.uint8)
        inner = max(1, height // 8)
        bar[inner : height - inner] = entry.bar[steps]
        items.append(np.concatenate([low, _gap(height, 3), bar, _gap(height, 3), high], axis=1))
    return items


def _flow(items: Sequence[RgbArray], width: int, height: int) -> list[RgbArray]:
    pad = height // 3
    lines: list[RgbArray] = []
    x = width
    for item in items:
        item = item[:, : max(1, width - 2 * pad)]
        if x + item.shape[1] + pad > width:
            lines.append(np.full((height + pad, width, 3), 255, np.uint8))
            x = pad
        lines[-1][pad // 2 : pad // 2 + height, x : x + item.shape[1]] = item
        x += item.shape[1] + height
    return lines


def _gap(height: int, parts: int) -> RgbArray:
    return np.full((height, max(1, height // parts), 3), 255, np.uint8)


def _written(mask: Mask) -> RgbArray:
    line = np.full((*mask.shape, 3), 255, np.uint8)
    _ink(line, mask)
    return line


def _ink(place: RgbArray, mask: Mask) -> None:
    share = mask[: place.shape[0], : place.shape[1], None].astype(np.float32) / 255
    place[:] = np.rint(place * (1 - share)).astype(np.uint8)


@dataclass(frozen=True)
class FigureFacts:
    """What a file says of the figure in it.

    Attributes
    ----------
    dpi : float
        In print.
    um_per_px : float or None
        Micrometres of tissue on a pixel; None where it is not known.
    slide : str
        Name of the slide's file.
    region_px : (int, int, int, int)
        y, x, height and width on level 0.
    """

    dpi: float
    um_per_px: float | None
    slide: str
    region_px: tuple[int, int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as it is written into the file."""
        return {
            "software": "napari-nic",
            "slide": self.slide,
            "region_px": list(self.region_px),
            "um_per_px": self.um_per_px,
            "dpi": self.dpi,
        }


def write_figure(path: Path, figure: RgbArray, facts: FigureFacts) -> None:
    """Write a figure whole or not at all, without loss: PNG or TIFF by the suffix.

    The resolution in print stands where programs look for it; what is known of the tissue is JSON in the
    PNG's text *Description* or the TIFF's *ImageDescription*.

    Raises
    ------
    InvalidParameterError
        If the suffix is another one.
    StoreError
        If it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        raise InvalidParameterError(
            "figures are PNG or TIFF", expected=", ".join(FIGURE_SUFFIXES), found=suffix or "no suffix"
        )
    text = json.dumps(facts.to_dict())
    with replacing(path) as temporary:
        if suffix == ".png":
            info = PngImagePlugin.PngInfo()
            info.add_text("Software", "napari-nic")
            info.add_text("Description", text)
            picture = Image.fromarray(figure)
            picture.save(temporary, format="PNG", dpi=(facts.dpi, facts.dpi), pnginfo=info)
        else:
            tifffile.imwrite(
                temporary,
                figure,
                photometric="rgb",
                compression="zlib",
                resolution=(facts.dpi, facts.dpi),
                resolutionunit="INCH",
                description=text,
                software="napari-nic",
                metadata=None,
            )
