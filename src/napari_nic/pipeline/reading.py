"""From a block of cells to its patches: tiles are decoded, averaged, joined to strips and cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_nic.errors import DamagedSlideError
from napari_nic.grid import PatchGrid
from napari_nic.pipeline.cutting import (
    Cut,
    compose_window,
    cut_patches,
    shrink_region,
    shrink_tile,
    tile_factor,
)
from napari_nic.pipeline.plan import Block, Strip, count_tile_uses, strips
from napari_nic.pipeline.tiles import TilePool
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
        self._damaged: dict[tuple[int, int], DamagedSlideError] = {}
        self._absent: set[tuple[int, int]] = set()
        self._empty: list[int] = []  # of each strip; appending is safe from several threads

    @property
    def damaged(self) -> dict[tuple[int, int], DamagedSlideError]:
        """Tiles (row, col) of the grid's level that could not be read so far, and why; a copy, sorted."""
        return dict(sorted(self._damaged.copy().items()))

    @property
    def n_empty(self) -> int:
        """Cells read so far whose patch lies wholly on tiles that the slide leaves out."""
        return sum(self._empty)

    def room(self, block: Block) -> np.ndarray:
        """Return an array for the patches of a block; uint8, (n_covered, input_size, input_size, 3)."""
        count, side = int(self._coverage[block.cells(self._grid)].sum()), self._cut.input_size
        return np.empty((count, side, side, 3), np.uint8)

    def read(
        self, block: Block, out: Sequence[np.ndarray], checkpoint: Callable[[], None], *, stored: bool = True
    ) -> np.ndarray:
        """Read the patches of a block's covered cells, in row-major order.

        Parameters
        ----------
        block : Block
        out : sequence of ndarray of uint8, (n, input_size, input_size, 3)
            Where they go, one array after the other; together as long as the block has covered cells.
        checkpoint : callable
            Called between tiles; raises to end the work.
        stored : bool
            Whether its codes will be stored. If not, it is no loss that one of its tiles cannot be read.

        Returns
        -------
        ndarray of bool, (rows, cols) of the block
            Cells whose patch touches a tile that cannot be read; there it is in the background colour.
        """
        rows, cols = block.cells(self._grid)
        failed = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
        start = 0
        for strip in strips(block, self._grid, self._coverage):
            checkpoint()
            covered = self._coverage[strip.rows, strip.cols]
            stop = start + int(covered.sum())
            window, damaged = self._window(strip, checkpoint)
            self._cut_into(out, slice(start, stop), window, covered)
            if stored:
                self._damaged.update(damaged)
                self._count_empty(strip, covered)
            part = failed[_within(strip.rows, rows), _within(strip.cols, cols)]
            for position in damaged:
                part |= covered & strip.cells_touching(
                    position, self._grid, tile=self._level.tile, level_shape=self._level.shape
                )
            start = stop
        return failed

    def _cut_into(
        self, out: Sequence[np.ndarray], places: slice, window: np.ndarray, covered: np.ndarray
    ) -> None:
        """Cut the patches of a strip to their places, counted through all arrays of `out`."""
        first = 0
        patches: np.ndarray | None = None
        for array in out:
            after = first + len(array)
            if first <= places.start and places.stop <= after:
                cut_patches(window, covered, self._cut, out=array[_within(places, slice(first, after))])
            elif first < places.stop and places.start < after:
                if patches is None:
                    side = self._cut.input_size
                    patches = np.empty((places.stop - places.start, side, side, 3), np.uint8)
                    cut_patches(window, covered, self._cut, out=patches)
                start, stop = max(first, places.start), min(after, places.stop)
                array[start - first : stop - first] = patches[start - places.start : stop - places.start]
            first = after

    def _window(
        self, strip: Strip, checkpoint: Callable[[], None]
    ) -> tuple[np.ndarray, dict[tuple[int, int], DamagedSlideError]]:
        """Return a strip's pixels, and which of its tiles could not be read, and why."""
        factor = self._factor
        damaged: dict[tuple[int, int], DamagedSlideError] = {}

        def get(position: tuple[int, int]) -> np.ndarray:
            checkpoint()
            try:
                return self._pool.get(position)
            except DamagedSlideError as error:
                damaged[position] = error
                return self._blank(position)

        window = compose_window(
            shrink_region(strip.region, factor),
            strip.tiles(self._grid, self._coverage, tile=self._level.tile, level_shape=self._level.shape),
            get,
            tile=(self._level.tile[0] // factor, self._level.tile[1] // factor),
            level=shrink_region(self._level.region, factor),
            background=self._slide.background,
        )
        return window, damaged

    def _count_empty(self, strip: Strip, covered: np.ndarray) -> None:
        if not self._absent:
            return
        tile, shape = self._level.tile, self._level.shape
        seen = np.zeros(covered.shape, bool)
        for position in strip.tiles(self._grid, self._coverage, tile=tile, level_shape=shape):
            if position not in self._absent:
                seen |= strip.cells_touching(position, self._grid, tile=tile, level_shape=shape)
        self._empty.append(int((covered & ~seen).sum()))

    def _blank(self, position: tuple[int, int]) -> np.ndarray:
        """Return what stands for a tile that is missing, or that cannot be read; it takes no memory.

        No cell that sees one of the latter gets a code.
        """
        frame = shrink_region(self._level.tile_region(*position), self._factor)
        color = np.array(self._slide.background, np.uint8)
        return np.broadcast_to(color, (frame.height, frame.width, 3))

    def _decode(self, row: int, col: int) -> np.ndarray:
        pixels = self._slide.read_stored_tile(self._grid.level, row, col)
        if pixels is None:
            self._absent.add((row, col))
            return self._blank((row, col))
        return shrink_tile(pixels, self._factor, self._slide.background)


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
