"""What is left to do, and in which order.

The unit of work is a *block* of :data:`~napari_nic.embeddings.BLOCK` x ``BLOCK`` cells. Which cells form a
block, and which patches form a batch (inside a block on a CPU, see :mod:`napari_nic.pipeline.batches` for a
device), follows from the grid and the coverage alone, never from the order of work: that is what makes a run
that was interrupted, or that began in the visible region, end with the same bits.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from napari_nic.embeddings import BLOCK, block_cells
from napari_nic.geometry import RegionPx
from napari_nic.grid import PatchGrid

STRIP_BYTES = 2**21
"""A block is read in strips of whole cell rows of at most this many bytes of pixels (at least one row).

What is pasted then stays in a core's cache, and a tile is asked for few times.
"""


@dataclass(frozen=True, order=True)
class Block:
    """Position of a block in the raster of blocks."""

    row: int
    col: int

    def cells(self, grid: PatchGrid) -> tuple[slice, slice]:
        """(rows, cols) slices of the block's cells, clipped to the grid."""
        return block_cells(self.row, self.col, grid.shape)


def pending_blocks(done: np.ndarray, coverage: np.ndarray) -> list[Block]:
    """List the blocks that have covered cells and are not done, row by row, every other row backwards.

    Parameters
    ----------
    done : ndarray of bool, (block_rows, block_cols)
    coverage : ndarray of bool, (rows, cols)
    """
    blocks = []
    for row, col in np.argwhere(~done):
        if coverage[block_cells(int(row), int(col), coverage.shape)].any():
            blocks.append(Block(int(row), int(col)))
    return sorted(blocks, key=lambda b: (b.row, -b.col if b.row % 2 else b.col))


def blocks_within(grid: PatchGrid, region: RegionPx) -> set[Block]:
    """Blocks that touch a rectangle of level-0 pixels."""
    rows, cols = grid.cells_within(region)
    return {
        Block(row, col)
        for row in range(rows.start // BLOCK, math.ceil(rows.stop / BLOCK))
        for col in range(cols.start // BLOCK, math.ceil(cols.stop / BLOCK))
    }


class WorkOrder:
    """The blocks still to be handed out; the visible ones first, from their centre outwards.

    Safe to use from several threads; the viewer may move the :meth:`focus` while workers take blocks.

    Parameters
    ----------
    blocks : iterable of Block
    grid : PatchGrid
    first : RegionPx, optional
        See :meth:`focus`.
    together : mapping of Block to int, optional
        Neighbours in `blocks` of one number are handed out one after the other, whatever is seen first.
    """

    def __init__(
        self,
        blocks: Iterable[Block],
        grid: PatchGrid,
        first: RegionPx | None = None,
        *,
        together: Mapping[Block, int] | None = None,
    ) -> None:
        self._grid = grid
        self._lock = threading.Lock()
        numbers: Mapping[Block, int] = together or {}
        self._waiting = [list(run) for _, run in groupby(blocks, lambda b: numbers.get(b, b))]
        self._begun: list[Block] = []
        self._total = sum(map(len, self._waiting))
        if first is not None:
            self.focus(first)

    def __len__(self) -> int:
        return self._total

    def focus(self, region: RegionPx) -> None:
        """Move the waiting blocks that touch `region` (level-0 pixels) to the front, nearest first."""
        inside = blocks_within(self._grid, region)
        step = BLOCK * self._grid.stride_px
        centre_y = (region.y + region.height / 2) / (step * self._grid.downsample[0]) - 0.5
        centre_x = (region.x + region.width / 2) / (step * self._grid.downsample[1]) - 0.5

        def nearest(run: list[Block]) -> tuple[float, Block]:
            return min((math.hypot(b.row - centre_y, b.col - centre_x), b) for b in run if b in inside)

        with self._lock:
            seen = [run for run in self._waiting if not inside.isdisjoint(run)]
            rest = [run for run in self._waiting if inside.isdisjoint(run)]
            self._waiting = sorted(seen, key=nearest) + rest

    def take(self) -> Block | None:
        """Hand out the next block; None when there is none left."""
        with self._lock:
            if not self._begun and self._waiting:
                self._begun = self._waiting.pop(0)
            return self._begun.pop(0) if self._begun else None


@dataclass(frozen=True)
class Strip:
    """Whole cell rows of a block that are cut from one window of pixels.

    Attributes
    ----------
    rows, cols : slice
        Cells of the grid; the columns are trimmed to the covered ones.
    region : RegionPx
        Pixels of the grid's level that the covered patches need.
    """

    rows: slice
    cols: slice
    region: RegionPx

    def tiles(
        self, grid: PatchGrid, coverage: np.ndarray, *, tile: tuple[int, int], level_shape: tuple[int, int]
    ) -> Iterator[tuple[int, int]]:
        """Yield (tile_row, tile_col) of the tiles that the covered patches touch, in storage order.

        Parameters
        ----------
        coverage : ndarray of bool, (rows, cols)
            Of the whole grid.
        tile, level_shape : (int, int)
            Height and width of the grid's level and of its tiles, px.
        """
        top, rows = _tiles_touched(self.rows, grid, tile[0], level_shape[0])
        left, cols = _tiles_touched(self.cols, grid, tile[1], level_shape[1])
        touched = rows @ coverage[self.rows, self.cols] @ cols.T
        for row, col in np.argwhere(touched).tolist():
            yield top + row, left + col

    def cells_touching(
        self,
        position: tuple[int, int],
        grid: PatchGrid,
        *,
        tile: tuple[int, int],
        level_shape: tuple[int, int],
    ) -> np.ndarray:
        """Return the cells whose patches touch a tile; bool, (rows, cols) of the strip."""
        top, rows = _tiles_touched(self.rows, grid, tile[0], level_shape[0])
        left, cols = _tiles_touched(self.cols, grid, tile[1], level_shape[1])
        return np.logical_and.outer(rows[position[0] - top], cols[position[1] - left])


def _tiles_touched(cells: slice, grid: PatchGrid, tile: int, length: int) -> tuple[int, np.ndarray]:
    """Return the first tile along an axis, and which tile which cell's patch touches: bool (tiles, cells)."""
    starts = np.arange(cells.start, cells.stop) * grid.stride_px
    stops = np.minimum(starts + grid.patch_px, length)
    first = cells.start * grid.stride_px // tile
    edges = np.arange(first, max(first, -(-int(stops[-1]) // tile)))[:, None] * tile
    return first, (starts < edges + tile) & (stops > edges)


def strips(block: Block, grid: PatchGrid, coverage: np.ndarray) -> list[Strip]:
    """Cut a block into strips that hold covered cells, each trimmed to them.

    Parameters
    ----------
    coverage : ndarray of bool, (rows, cols)
        Of the whole grid.
    """
    rows, cols = block.cells(grid)
    height = _strip_height(grid)
    result = []
    for top in range(rows.start, rows.stop, height):
        covered = coverage[top : min(top + height, rows.stop), cols]
        if not covered.any():
            continue
        used_rows, used_cols = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        strip_rows = slice(top + int(used_rows[0]), top + int(used_rows[-1]) + 1)
        strip_cols = slice(cols.start + int(used_cols[0]), cols.start + int(used_cols[-1]) + 1)
        result.append(Strip(strip_rows, strip_cols, grid.cells_region(strip_rows, strip_cols)))
    return result


def _strip_height(grid: PatchGrid) -> int:
    row_bytes = 3 * grid.stride_px * (BLOCK * grid.stride_px + grid.patch_px)
    return max(1, min(BLOCK, STRIP_BYTES // row_bytes))


def count_tile_uses(
    blocks: Iterable[Block],
    grid: PatchGrid,
    coverage: np.ndarray,
    *,
    tile: tuple[int, int],
    level_shape: tuple[int, int],
) -> Counter[tuple[int, int]]:
    """Count for every tile how many strips will ask for it, so that it is kept just as long as needed.

    A row of blocks is counted at once: to walk its strips one by one would keep Python, and with it the
    window of a viewer, busy for tenths of a second on a large slide.
    """
    across = _Shares.along(np.arange(grid.cols), BLOCK, grid, tile[1], level_shape[1])
    uses = np.zeros([-(-length // side) for length, side in zip(level_shape, tile, strict=True)], np.int64)
    wanted = np.zeros((-(-grid.rows // BLOCK), -(-grid.cols // BLOCK)), bool)
    for block in blocks:
        wanted[block.row, block.col] = True
    for row in np.flatnonzero(wanted.any(1)).tolist():
        cells = np.arange(row * BLOCK, min(grid.rows, (row + 1) * BLOCK))
        down = _Shares.along(cells, _strip_height(grid), grid, tile[0], level_shape[0])
        covered = coverage[cells] & wanted[row].repeat(BLOCK)[: grid.cols]
        asked = (across.cells @ (down.cells @ covered.astype(np.float32)).T).T > 0
        np.add.at(uses, (down.tiles[:, None], across.tiles), asked)
    rows, cols = np.nonzero(uses)
    tiles = zip(rows.tolist(), cols.tolist(), strict=True)
    return Counter(dict(zip(tiles, uses[rows, cols].tolist(), strict=True)))


@dataclass(frozen=True, eq=False)
class _Shares:
    """Which cells along an axis need which tile, kept apart by the groups in which they are read.

    Attributes
    ----------
    cells : sparse array of float32, (shares, n)
        1 where a cell is of the share's group and its patch touches the share's tile.
    tiles : ndarray of int, (shares,)
        The tile of each share.
    """

    cells: csr_array
    tiles: np.ndarray

    @classmethod
    def along(cls, cells: np.ndarray, group: int, grid: PatchGrid, tile: int, length: int) -> Self:
        """Share out `cells` in groups of `group`."""
        starts = cells * grid.stride_px
        stops = np.minimum(starts + grid.patch_px, length)
        first, after = starts // tile, -(-stops // tile)
        counts = after - first
        index = np.arange(len(cells)).repeat(counts)
        tiles = np.arange(len(index)) - (counts.cumsum() - counts - first).repeat(counts)
        shares, row = np.unique(np.stack([index // group, tiles]), axis=1, return_inverse=True)
        ones = np.ones(len(index), np.float32)
        return cls(csr_array((ones, (row.ravel(), index)), (shares.shape[1], len(cells))), shares[1])
