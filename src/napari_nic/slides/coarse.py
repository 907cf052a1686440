"""Levels that the file lacks, averaged on demand, so that any slide is quick to look at from any height.

Below the file's coarsest level they let one zoom out. Between its levels they keep the view from reading many
more pixels than the screen has: in a pyramid of steps of 4 that would be up to sixteen for each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import pairwise

from napari_nic.geometry import RegionPx
from napari_nic.jobs import Progress
from napari_nic.slides.cache import TileCache
from napari_nic.slides.compose import compose, compose_stored
from napari_nic.slides.model import Level, Rgb, RgbArray
from napari_nic.slides.shrink import halve

OVERVIEW_SIDE = 1024
"""Levels are added until the longer side is no larger than this: one chunk, one screen."""

BLOCK = 512
"""Side of the blocks in which coarser levels are made and kept."""

LEVEL_CACHE_BYTES = 64 * 2**20
"""Per computed level: the whole of a 60,000 px slide at factor 16 (42 MB), parts of the finer ones."""


class CoarserLevels:
    """Halvings of a level of the file.

    A block is the 2 x 2 average of four blocks of the level before, which are made (and kept while there
    is room) in turn. Nothing is computed before it is asked for, and at no time is a level held whole
    unless it fits its cache.

    Parameters
    ----------
    base : Level
        A level of the file.
    count : int
        How often it is halved; may be 0.
    read_base : callable
        Reads a region of it; None where the file holds nothing of it.
    background : (int, int, int)
        Colour outside the levels.

    Attributes
    ----------
    levels : tuple of Level
        The halvings, finest first.
    """

    def __init__(
        self, base: Level, count: int, read_base: Callable[[RegionPx], RgbArray | None], background: Rgb
    ) -> None:
        self._base, self._read_base = base, read_base
        self._background = background
        self.levels = _halvings(base, count)
        self._caches = [TileCache(LEVEL_CACHE_BYTES) for _ in self.levels]

    def read(self, index: int, region: RegionPx) -> RgbArray:
        """Return a region of computed level `index` (0 is half the base), (height, width, 3)."""
        return compose(self.levels[index], region, partial(self._block, index), self._background)

    def iter_fill(self) -> Generator[Progress, None, None]:
        """Make the whole of the coarsest levels, as far as there is room to keep them.

        Then a look from afar takes no time. Each block is made right after the four that it is made of, which
        are still kept then: the base is read once.

        Yields
        ------
        Progress
            After each block of the first halving.
        """
        if not self.levels:
            return
        rows, cols = self.levels[-1].tile_grid
        total = math.prod(self.levels[0].tile_grid)
        places = itertools.product(range(rows), range(cols))
        made = itertools.chain.from_iterable(self._filling(len(self.levels) - 1, *place) for place in places)
        for done, _ in enumerate(made, 1):
            yield Progress(done, total, "making an overview", "blocks")

    def _filling(self, index: int, row: int, col: int) -> Iterator[None]:
        if index:
            rows, cols = self.levels[index - 1].tile_grid
            for y, x in itertools.product((2 * row, 2 * row + 1), (2 * col, 2 * col + 1)):
                if y < rows and x < cols:
                    yield from self._filling(index - 1, y, x)
        self._block(index, row, col)
        if not index:
            yield

    def clear(self) -> None:
        """Let all blocks go."""
        for cache in self._caches:
            cache.clear()

    def _block(self, index: int, row: int, col: int) -> RgbArray | None:
        return self._caches[index].get((row, col), lambda: self._make(index, row, col))

    def _make(self, index: int, row: int, col: int) -> RgbArray | None:
        frame = RegionPx(row * 2 * BLOCK, col * 2 * BLOCK, 2 * BLOCK, 2 * BLOCK)
        finer = self.levels[index - 1] if index else self._base
        frame = frame.intersect(finer.region)
        pixels = self._read_stored(index - 1, frame) if index else self._read_base(frame)
        return None if pixels is None else halve(pixels)

    def _read_stored(self, index: int, region: RegionPx) -> RgbArray | None:
        return compose_stored(self.levels[index], region, partial(self._block, index), self._background)


def halving_counts(levels: Sequence[Level]) -> tuple[int, ...]:
    """How often each level of a file is halved for the screen.

    Between two levels as often as keeps the steps near 2; the coarsest until its longer side is at most
    :data:`~napari_nic.slides.coarse.OVERVIEW_SIDE`.
    """
    steps = [
        math.sqrt(b.downsample_y / a.downsample_y * b.downsample_x / a.downsample_x)
        for a, b in pairwise(levels)
    ]
    between = [max(0, round(math.log2(step)) - 1) for step in steps]
    longest = max(levels[-1].shape)
    return (*between, max(0, math.ceil(math.log2(longest / OVERVIEW_SIDE))))


def _halvings(base: Level, count: int) -> tuple[Level, ...]:
    levels = []
    height, width = base.shape
    for number in range(1, count + 1):
        height, width, factor = -(-height // 2), -(-width // 2), 2**number
        levels.append(
            Level(height, width, base.downsample_y * factor, base.downsample_x * factor, (BLOCK, BLOCK))
        )
    return tuple(levels)
