"""From a block of cells to its patches: tiles are decoded, averaged, joined to strips and cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_nic.compress.cutting import (
    Cut,
    compose_window,
    cut_patches,
    shrink_region,
    shrink_tile,
    tile_factor,
)
from napari_nic.compress.plan import Block, Strip, count_tile_uses, strips
from napari_nic.compress.tiles import TilePool
from napari_nic.grid import PatchGrid
from napari_nic.slides import Slide


class BlockReader:
    """Reads blocks of patches; safe to use from several threads.

    Parameters
    ----------
    slide : Slide
    grid : PatchGrid
    coverage : ndarray of bool, (rows, cols)
        Cells whose patches are wanted.
    blocks : sequence of Block
        All that will be read, each once, in any order: a tile is kept until its last use.
    input_size : int
        Side of the patches in pixels, as the encoder wants them.

    Notes
    -----
    Where patches are averaged by a whole factor that divides tiles and stride, each tile is averaged when it
    is decoded: it is in the core's cache then, and what is kept and pasted is that much smaller. The values
    are the same, as every average stays inside one tile and one patch.
    """

    def __init__(
        self, slide: Slide, grid: PatchGrid, coverage: np.ndarray, blocks: Sequence[Block], input_size: int
    ) -> None:
        self._slide = slide
        self._grid = grid
        self._coverage = coverage
        level = slide.levels[grid.level]
        self._level = level
        cut = Cut.of(grid, input_size)
        self._factor = tile_factor(cut, level.tile)
        self._cut = cut.shrunk(self._factor)
        uses = count_tile_uses(blocks, grid, coverage, tile=level.tile, level_shape=level.shape)
        self._pool = TilePool(self._decode, uses)

    def read(self, block: Block, checkpoint: Callable[[], None]) -> np.ndarray:
        """Return the patches of a block's covered cells.

        Parameters
        ----------
        block : Block
        checkpoint : callable
            Called between strips; raises to end the work.

        Returns
        -------
        ndarray of uint8, (n_covered, input_size, input_size, 3), cells in row-major order
        """
        count = int(self._coverage[block.cells(self._grid)].sum())
        patches = np.empty((count, self._cut.input_size, self._cut.input_size, 3), np.uint8)
        start = 0
        for strip in strips(block, self._grid, self._coverage):
            checkpoint()
            covered = self._coverage[strip.rows, strip.cols]
            stop = start + int(covered.sum())
            cut_patches(self._window(strip), covered, self._cut, out=patches[start:stop])
            start = stop
        return patches

    def _window(self, strip: Strip) -> np.ndarray:
        factor = self._factor
        return compose_window(
            shrink_region(strip.region, factor),
            strip.tiles(self._grid, self._coverage, tile=self._level.tile, level_shape=self._level.shape),
            self._pool.get,
            tile=(self._level.tile[0] // factor, self._level.tile[1] // factor),
            level=shrink_region(self._level.region, factor),
            background=self._slide.background,
        )

    def _decode(self, row: int, col: int) -> np.ndarray:
        pixels = self._slide.read_tile(self._grid.level, row, col)
        return shrink_tile(pixels, self._factor, self._slide.background)
