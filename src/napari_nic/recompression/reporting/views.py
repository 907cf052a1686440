"""The same places of two slides, at the magnifications that a pathologist looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.slides import RgbArray, Slide
from napari_nic.slides.shrink import shrink
from napari_nic.tissue import TissueMask

MAGNIFICATIONS = (40.0, 20.0, 10.0, 5.0, 2.5, 1.25)
"""A pixel is 10 um at 1x."""

SIDE = 256
"""Pixels of a view along each side."""

LEAST_TISSUE = 0.5
"""Share of a view that is tissue, where there are such views."""

MOST_PIXELS = 2**26
"""Of one level that are read for the views of a magnification."""

_SLACK = 1.1
"""A level may be so much coarser than what is asked for."""
_OFF_GRID = (3, 5)
"""(y, x) by which views are off the grid of a file's tiles and of their blocks."""


@dataclass(frozen=True)
class View:
    """A square place, and how it is read of a slide's levels.

    Attributes
    ----------
    level : int
    region : RegionPx
        Of the level.
    factor : int
        By which pixels are averaged.
    """

    level: int
    region: RegionPx
    factor: int

    def read(self, slide: Slide) -> RgbArray:
        """Return the pixels, (side, side, 3)."""
        return shrink(slide.read_region(self.level, self.region), self.factor)


@dataclass(frozen=True)
class Sampling:
    """How views of one resolution are taken.

    Attributes
    ----------
    level : int
        The coarsest one that is fine enough.
    factor : int
        By which its pixels are averaged.
    mpp : float
        What comes of it, um per pixel.
    """

    level: int
    factor: int
    mpp: float


def plan_sampling(slide: Slide, pixel: PixelSize, mpp: float) -> Sampling | None:
    """Choose a level for a resolution; None if the slide is too coarse for it."""
    chosen = None
    for number, level in enumerate(slide.levels):
        own = pixel.mean * (level.downsample_y + level.downsample_x) / 2
        if own <= mpp * _SLACK:
            factor = max(1, round(mpp / own))
            chosen = Sampling(number, factor, own * factor)
    return chosen


def choose_views(
    slide: Slide, tissue: TissueMask, sampling: Sampling, *, side: int, count: int, seed: int = 0
) -> list[View]:
    """Draw places of tissue, the same ones every time; off the grid of tiles where there is room.

    Parameters
    ----------
    slide : Slide
    tissue : TissueMask
    sampling : Sampling
    side, count : int
        Pixels of a view, after averaging; how many, at most.
    seed : int

    Returns
    -------
    list of View
        Empty if not one fits into the slide, or there is no tissue.
    """
    level, size = slide.levels[sampling.level], side * sampling.factor
    count = max(1, min(count, MOST_PIXELS // size**2))
    shares = list(_shares(slide, tissue, sampling.level, size))
    full = [corner for corner, share in shares if share >= LEAST_TISSUE]
    some = sorted((item for item in shares if item[1] > 0), key=lambda item: -item[1])
    corners = full or [corner for corner, _ in some[:count]]
    order = np.random.default_rng(seed).permutation(len(corners))[:count]
    places = [RegionPx(corners[number][0], corners[number][1], size, size) for number in sorted(order)]
    return [View(sampling.level, place, sampling.factor) for place in places if level.height >= size]


def _shares(
    slide: Slide, tissue: TissueMask, level: int, size: int
) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield corners of places side by side, and the share of tissue in each."""
    geometry, pixel = slide.levels[level], slide.require_pixel_size()
    starts = [
        range(off if length >= size + off else 0, length - size + 1, size)
        for off, length in zip(_OFF_GRID, geometry.shape, strict=True)
    ]
    step, origin = tissue.placement.step_um, tissue.placement.origin_um
    scale = geometry.downsample_y * pixel.y, geometry.downsample_x * pixel.x
    sums = np.pad(tissue.mask.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    for y in starts[0]:
        for x in starts[1]:
            ends = [
                [round(((at + end) * scale[k] - origin[k]) / step[k]) for end in (0, size)]
                for k, at in enumerate((y, x))
            ]
            (top, bottom), (left, right) = (
                np.clip(pair, 0, tissue.mask.shape[k]) for k, pair in enumerate(ends)
            )
            area = max(int((bottom - top) * (right - left)), 1)
            inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            yield (y, x), float(inside) / area


def check_same_frame(before: Slide, after: Slide) -> None:
    """Make sure that places of one slide are places of the other.

    Raises
    ------
    InvalidParameterError
        If they are not of one size.
    """
    if before.levels[0].shape != after.levels[0].shape:
        raise InvalidParameterError(
            "the two files do not show one slide: they are of different sizes",
            path=after.path,
            expected=f"{before.levels[0].shape[0]} x {before.levels[0].shape[1]} pixels",
            found=f"{after.levels[0].shape[0]} x {after.levels[0].shape[1]}",
        )
