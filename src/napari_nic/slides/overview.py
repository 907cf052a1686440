"""One small picture of the whole slide, at a resolution of one's choice, in bounded memory."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, Placement, RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.slides.compose import compose
from napari_nic.slides.model import Level, RgbArray
from napari_nic.slides.shrink import shrink
from napari_nic.slides.slide import Slide

STRIP_PIXELS = 2**23
"""Pixels of the finer level that one thread holds at a time (24 MB)."""

DEFAULT_WORKERS = 2


@dataclass(frozen=True, eq=False)
class Overview:
    """A picture of the whole slide.

    Attributes
    ----------
    image : ndarray
        (rows, cols, 3) uint8 RGB.
    placement : Placement
        Where its pixels lie on the slide.
    level, factor : int
        The level it was averaged from, and the whole number of its pixels per side of one of the picture's.
    """

    image: RgbArray
    placement: Placement
    level: int
    factor: int


def read_overview(
    slide: Slide, mpp: float = 8.0, *, workers: int = DEFAULT_WORKERS, token: CancellationToken | None = None
) -> Overview:
    """Average the slide down to the coarsest whole factor that is still as fine as `mpp`.

    The file's coarsest level at least as fine as `mpp` is read; where that is much finer (a slide of one
    level), it is walked in strips of tiles that are averaged and let go one after the other, so that
    memory does not grow with the slide. The pixels go past the slide's cache.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    mpp : float
        Micrometres per pixel of the picture, at most; a slide coarser than that is returned as it is.
    workers : int
        Threads that decode.
    token : CancellationToken, optional
        Checked between strips.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is not known.
    InvalidParameterError
        If `mpp` is not positive.
    """
    pixel = slide.require_pixel_size()
    if not mpp > 0:
        raise InvalidParameterError("mpp must be positive", found=f"{mpp}")
    index = _coarsest_sufficient(slide, pixel, mpp)
    level = slide.levels[index]
    factor = max(1, math.floor(mpp / _level_mpp(level, pixel) + 1e-6))
    strips = _strips(level, factor)

    def average(strip: RegionPx) -> RgbArray:
        if token is not None:
            token.checkpoint()
        return _average_strip(slide, index, strip, factor)

    with ThreadPoolExecutor(workers, thread_name_prefix="overview") as pool:
        image = np.concatenate(list(pool.map(average, strips)))
    step = (factor * level.downsample_y * pixel.y, factor * level.downsample_x * pixel.x)
    return Overview(image, Placement((0.0, 0.0), step), index, factor)


def _average_strip(slide: Slide, index: int, strip: RegionPx, factor: int) -> RgbArray:
    """Average one strip in pieces no wider than the memory bound allows."""
    level = slide.levels[index]
    width = max(factor, STRIP_PIXELS // strip.height // factor * factor)
    pieces = []
    for x in range(0, level.width, width):
        piece = RegionPx(strip.y, x, strip.height, width).intersect(level.region)
        pixels = compose(level, piece, partial(slide.read_tile, index), slide.background)
        pieces.append(shrink(pixels, factor))
    return np.concatenate(pieces, axis=1)


def _strips(level: Level, factor: int) -> list[RegionPx]:
    """Cut a level into strips of whole tiles and whole factors, so that no tile is decoded for two."""
    height = math.lcm(level.tile[0], factor)
    if height * level.tile[1] > STRIP_PIXELS:
        # No common multiple within the bound: some tiles are then decoded twice.
        height = -(-level.tile[0] // factor) * factor
    return [
        RegionPx(y, 0, min(height, level.height - y), level.width) for y in range(0, level.height, height)
    ]


def _level_mpp(level: Level, pixel: PixelSize) -> float:
    return pixel.mean * math.sqrt(level.downsample_y * level.downsample_x)


def _coarsest_sufficient(slide: Slide, pixel: PixelSize, mpp: float) -> int:
    fine_enough = [i for i, level in enumerate(slide.levels) if _level_mpp(level, pixel) <= mpp]
    return fine_enough[-1] if fine_enough else 0
