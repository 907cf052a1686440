"""The lazy pyramid that a viewer shows: the file's levels as Dask arrays, and coarser ones made on demand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.slides.model import Level, RgbArray

if TYPE_CHECKING:
    from napari_nic.slides.slide import Slide

CHUNK_SIDE = 512
"""Wanted side of a chunk in pixels: a viewer reads all chunks that it shows a part of."""

CHUNK_MAX = 1024
"""Largest side: tiles up to this are chunks of their own."""


def chunk_side(tile: tuple[int, int]) -> int:
    """Return the side of square chunks over tiles (rows, cols).

    The largest whole multiple of the tile up to 512 px, or the tile itself up to 1024 px, so that no tile is
    decoded for two chunks; 512 px where the tiles are not square, or larger.
    """
    height, width = tile
    if height != width or height > CHUNK_MAX:
        return CHUNK_SIDE
    return max(1, CHUNK_SIDE // height) * height


def slide_pyramid(slide: Slide) -> list[da.Array]:
    """Return a slide's own levels and its computed ones; see :meth:`~napari_nic.slides.Slide.pyramid`."""
    arrays = []
    for index, (level, halvings) in enumerate(zip(slide.levels, slide.halvings, strict=True)):
        arrays.append(_level_array(slide, level, partial(slide.read_region, index)))
        arrays += [
            _level_array(slide, halved, partial(halvings.read, number))
            for number, halved in enumerate(halvings.levels)
        ]
    return arrays


def _level_array(slide: Slide, level: Level, read: Callable[[RegionPx], RgbArray]) -> da.Array:
    side = chunk_side(level.tile)
    # Named by content: the same pixels get the same name, and Dask need not hash anything to find one.
    colors, looked = "srgb" if slide.color.applied else "raw", "-looked" if slide.is_for_looking else ""
    name = f"slide-{slide.fingerprint}-{level.height}x{level.width}-{colors}{looked}"
    return da.from_array(
        _Indexable(level, read),
        chunks=(side, side, 3),
        name=name,
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0, 0), np.uint8),
    )


class _Indexable:
    """What Dask needs of an array: shape, dtype and slicing."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, level: Level, read: Callable[[RegionPx], RgbArray]) -> None:
        self.shape = (level.height, level.width, 3)
        self._read = read

    def __getitem__(self, index: tuple[slice, slice, slice]) -> RgbArray:
        rows, cols, samples = index
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = cols.indices(self.shape[1])
        return self._read(RegionPx(top, left, bottom - top, right - left))[..., samples]
