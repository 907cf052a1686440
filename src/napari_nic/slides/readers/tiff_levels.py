"""Which pages of a TIFF are levels of its pyramid, and how coarse they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_nic.errors import UnsupportedPixelsError
from napari_nic.slides.levels import downsample_of, is_same_picture
from napari_nic.slides.readers.tiff_metadata import TiffFacts
from napari_nic.slides.readers.tiff_picture import TiffPicture

Spacing = tuple[float, float]


@dataclass(frozen=True)
class TiffLevel:
    """A level: its picture, the part of it that is no padding, and its downsample (y, x)."""

    picture: TiffPicture
    shape: tuple[int, int]
    downsample: tuple[float, float]


OpenLevel = Callable[[Any], tuple[TiffPicture, list[str]]]
"""Makes the picture of a level of tifffile's series, and says what the user must be told."""


def read_levels(facts: TiffFacts, open_level: OpenLevel) -> tuple[list[TiffLevel], list[str]]:
    """Return the levels of the slide, finest first, and what the user must be told.

    Raises
    ------
    UnsupportedPixelsError
        If the slide cannot be shown rightly.
    DamagedSlideError
        If the file is cut off.
    """
    levels: list[TiffLevel] = []
    notices: list[str] = []
    spacings = facts.spacings if len(facts.spacings) == len(facts.pyramid.levels) else []
    for index, level in enumerate(facts.pyramid.levels):
        try:
            picture, told = open_level(level)
        except UnsupportedPixelsError as error:
            if not levels:
                raise
            notices.append(f"level {index} of the file is left out: {error.problem}")
            continue
        notices += [notice for notice in told if notice not in notices]
        fitted = _fit(levels, picture, spacings, index)
        if fitted is None:
            rows, cols = picture.shape
            notices.append(
                f"a picture of {cols} x {rows} px is left out: it is no coarser level of the slide"
            )
        else:
            levels.append(fitted)
    return levels, notices


def _fit(
    levels: list[TiffLevel], picture: TiffPicture, spacings: Sequence[Spacing], index: int
) -> TiffLevel | None:
    """Return a page as level of the slide; None if it is another picture."""
    if not levels:
        return TiffLevel(picture, picture.shape, (1.0, 1.0))
    full = levels[0].shape
    if spacings:
        factors = _whole(spacings[index][0] / spacings[0][0]), _whole(spacings[index][1] / spacings[0][1])
        return _crop(full, picture, factors)
    if is_same_picture(full, picture.shape):
        return TiffLevel(picture, picture.shape, downsample_of(full, picture.shape))
    factor = _padded_factor(full, picture)
    return None if factor is None else _crop(full, picture, (factor, factor))


def _whole(factor: float) -> float:
    """Spacings are written with few digits: 0.001 mm of 0.000226891 is the fourth."""
    near = round(factor)
    return float(near) if near >= 1 and abs(factor - near) < 0.05 * near else factor


def _crop(full: tuple[int, int], picture: TiffPicture, factors: tuple[float, float]) -> TiffLevel:
    """Leave out the padding to whole tiles, which is no part of the picture."""
    rows, cols = (
        max(1, min(side, math.floor(whole / factor + 1e-6)))
        for side, whole, factor in zip(picture.shape, full, factors, strict=True)
    )
    return TiffLevel(picture, (rows, cols), factors)


def _padded_factor(full: tuple[int, int], picture: TiffPicture) -> float | None:
    """Return the power of two that explains a level which was padded to whole tiles on its own."""
    tile = picture.block
    if any(side % step for side, step in zip(picture.shape, tile, strict=True)):
        return None
    factor = 2.0 ** round(math.log2(max(1.0, min(f / s for f, s in zip(full, picture.shape, strict=True)))))
    for guess in (factor, 2 * factor):
        missing = [side - whole / guess for side, whole in zip(picture.shape, full, strict=True)]
        if guess > 1 and all(-step < lack < step for lack, step in zip(missing, tile, strict=True)):
            return guess
    return None
