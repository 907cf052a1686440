"""Levels coarser than the file's own, averaged on demand, so that zooming out of any slide is quick."""

from __future__ import annotations

from collections.abc import Callable

from napari_nic.geometry import RegionPx
from napari_nic.slides.cache import TileCache
from napari_nic.slides.compose import compose
from napari_nic.slides.model import Level, Rgb, RgbArray
from napari_nic.slides.shrink import halve

OVERVIEW_SIDE = 1024
"""Levels are added until the longer side is no larger than this: one chunk, one screen."""

BLOCK = 512
"""Side of the blocks in which coarser levels are made and kept."""

LEVEL_CACHE_BYTES = 64 * 2**20
"""Per computed level: the whole of a 60,000 px slide at factor 16 (42 MB), parts of the finer ones."""


class CoarserLevels:
    """Halvings of a base level, down to :data:`~napari_nic.slides.coarse.OVERVIEW_SIDE`.

    A block is the 2 x 2 average of four blocks of the level before, which are made (and kept while there
    is room) in turn. Nothing is computed before it is asked for, and at no time is a level held whole
    unless it fits its cache.

    Parameters
    ----------
    base : Level
        The coarsest level of the file.
    read_base : callable
        Reads a region of it.
    background : (int, int, int)
        Colour outside the levels.
    """

    def __init__(self, base: Level, read_base: Callable[[RegionPx], RgbArray], background: Rgb) -> None:
        self._base, self._read_base = base, read_base
        self._background = background
        self.levels = _halvings(base)
        self._caches = [TileCache(LEVEL_CACHE_BYTES) for _ in self.levels]

    def read(self, index: int, region: RegionPx) -> RgbArray:
        """Return a region of computed level `index` (0 is half the base), (height, width, 3)."""
        return compose(
            self.levels[index], region, lambda row, col: self._block(index, row, col), self._background
        )

    def clear(self) -> None:
        """Let all blocks go."""
        for cache in self._caches:
            cache.clear()

    def _block(self, index: int, row: int, col: int) -> RgbArray:
        return self._caches[index].get((row, col), lambda: self._make(index, row, col))

    def _make(self, index: int, row: int, col: int) -> RgbArray:
        frame = RegionPx(row * 2 * BLOCK, col * 2 * BLOCK, 2 * BLOCK, 2 * BLOCK)
        finer = self.levels[index - 1] if index else self._base
        frame = frame.intersect(finer.region)
        return halve(self.read(index - 1, frame) if index else self._read_base(frame))


def _halvings(base: Level) -> tuple[Level, ...]:
    levels = []
    height, width, factor = base.height, base.width, 1
    while max(height, width) > OVERVIEW_SIDE:
        height, width, factor = -(-height // 2), -(-width // 2), factor * 2
        levels.append(
            Level(height, width, base.downsample_y * factor, base.downsample_x * factor, (BLOCK, BLOCK))
        )
    return tuple(levels)
