"""Codes on their way to a shard file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_nic.embeddings.layout import BLOCK, BLOCKS_PER_SHARD, SHARD, block_shape
from napari_nic.errors import InvalidParameterError

BUFFER_BYTES = 256 * 2**20
"""Unfinished shards beyond this are written and dropped, so that memory stays bounded."""

ShardKey = tuple[int, int]


def shard_of(block_row: int, block_col: int) -> ShardKey:
    """(shard_row, shard_col) of the shard that holds a block."""
    return block_row // BLOCKS_PER_SHARD, block_col // BLOCKS_PER_SHARD


def shard_cells(key: ShardKey, shape: tuple[int, int]) -> tuple[slice, slice]:
    """(rows, cols) slices of a shard's cells, clipped to the grid."""
    return _span(key[0], SHARD, shape[0]), _span(key[1], SHARD, shape[1])


def block_cells(block_row: int, block_col: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """(rows, cols) slices of a block's cells, clipped to the grid.

    Raises
    ------
    InvalidParameterError
        If there is no such block.
    """
    blocks = block_shape(*shape)
    if not (0 <= block_row < blocks[0] and 0 <= block_col < blocks[1]):
        raise InvalidParameterError(
            "there is no such block", expected=f"below {blocks}", found=f"{(block_row, block_col)}"
        )
    return _span(block_row, BLOCK, shape[0]), _span(block_col, BLOCK, shape[1])


def shard_blocks(key: ShardKey) -> tuple[slice, slice]:
    """(block_rows, block_cols) slices of a shard's blocks; numpy clips them at the raster's edge."""
    return (
        slice(key[0] * BLOCKS_PER_SHARD, (key[0] + 1) * BLOCKS_PER_SHARD),
        slice(key[1] * BLOCKS_PER_SHARD, (key[1] + 1) * BLOCKS_PER_SHARD),
    )


def bounded(part: slice, size: int) -> slice:
    """Clip a slice of cells to the grid.

    Raises
    ------
    InvalidParameterError
        If it has a step.
    """
    start, stop, step = part.indices(size)
    if step != 1:
        raise InvalidParameterError("cells are read without a step", found=f"{part}")
    return slice(start, max(start, stop))


def shards_touching(rows: slice, cols: slice) -> list[ShardKey]:
    """Shards that hold at least one of the cells."""
    if rows.stop <= rows.start or cols.stop <= cols.start:
        return []
    return [
        (row, col)
        for row in range(rows.start // SHARD, (rows.stop - 1) // SHARD + 1)
        for col in range(cols.start // SHARD, (cols.stop - 1) // SHARD + 1)
    ]


@dataclass
class ShardBuffer:
    """The cells of one shard in memory.

    Attributes
    ----------
    rows, cols : slice
        Its cells in the grid.
    codes : ndarray of float16, (rows, cols, C)
    present : set of (block_row, block_col)
        Blocks whose codes are here.
    dirty : bool
        Whether a block came in since the shard was written.
    """

    rows: slice
    cols: slice
    codes: np.ndarray
    present: set[tuple[int, int]] = field(default_factory=set)
    dirty: bool = False

    @classmethod
    def empty(cls, key: ShardKey, shape: tuple[int, int], code_size: int) -> ShardBuffer:
        """Start a shard without blocks."""
        rows, cols = shard_cells(key, shape)
        codes = np.zeros((rows.stop - rows.start, cols.stop - cols.start, code_size), np.float16)
        return cls(rows, cols, codes)

    def put(self, block: tuple[int, int], rows: slice, cols: slice, codes: np.ndarray) -> None:
        """Take in the codes of a block; `rows` and `cols` are its cells in the grid."""
        top, left = self.rows.start, self.cols.start
        self.codes[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = codes
        self.present.add(block)
        self.dirty = True

    def copy_into(self, target: np.ndarray, rows: slice, cols: slice, shape: tuple[int, int]) -> None:
        """Copy the blocks that are here into `target`, an array of the cells `rows` x `cols`."""
        for block in self.present:
            block_rows, block_cols = block_cells(*block, shape)
            top, bottom = max(rows.start, block_rows.start), min(rows.stop, block_rows.stop)
            left, right = max(cols.start, block_cols.start), min(cols.stop, block_cols.stop)
            if top < bottom and left < right:
                target[top - rows.start : bottom - rows.start, left - cols.start : right - cols.start] = (
                    self.codes[
                        top - self.rows.start : bottom - self.rows.start,
                        left - self.cols.start : right - self.cols.start,
                    ]
                )


class ShardBuffers:
    """The shards that wait in memory.

    Parameters
    ----------
    shape : (rows, cols, C)
        Of the store.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._grid_shape, self._code_size = shape[:2], shape[2]
        self._buffers: dict[ShardKey, ShardBuffer] = {}

    def get(self, key: ShardKey) -> ShardBuffer | None:
        """What waits of a shard."""
        return self._buffers.get(key)

    def put(self, block: tuple[int, int], codes: np.ndarray) -> ShardKey:
        """Take in the codes of a block; returns the shard that it is in."""
        key = shard_of(*block)
        if key not in self._buffers:
            self._buffers[key] = ShardBuffer.empty(key, self._grid_shape, self._code_size)
        self._buffers[key].put(block, *block_cells(*block, self._grid_shape), codes)
        return key

    def of(self, keys: list[ShardKey]) -> dict[ShardKey, ShardBuffer]:
        """Those of some shards."""
        return {key: self._buffers[key] for key in keys}

    def keys(self) -> list[ShardKey]:
        """All shards of which something waits."""
        return list(self._buffers)

    def unwritten(self) -> list[ShardKey]:
        """Shards with blocks that came in since they were written."""
        return [key for key, buffer in self._buffers.items() if buffer.dirty]

    def mark_unwritten(self) -> np.ndarray:
        """Blocks whose newest codes are here alone: ndarray of bool, (block_rows, block_cols)."""
        ours = np.zeros(block_shape(*self._grid_shape), bool)
        for key in self.unwritten():
            for block in self._buffers[key].present:
                ours[block] = True
        return ours

    def are_too_large(self) -> bool:
        """Whether they hold more than they may."""
        return sum(buffer.codes.nbytes for buffer in self._buffers.values()) > BUFFER_BYTES

    def drop(self, keys: list[ShardKey]) -> None:
        """Let written shards go."""
        for key in keys:
            del self._buffers[key]


def _span(index: int, size: int, limit: int) -> slice:
    return slice(index * size, min(limit, (index + 1) * size))
