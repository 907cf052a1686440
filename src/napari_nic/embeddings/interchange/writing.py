"""Rows in any order on their way into the shards of a store, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings import layout
from napari_nic.embeddings.interchange import table
from napari_nic.embeddings.interchange.placing import covered, parts
from napari_nic.embeddings.interchange.plain_rows import PlainRows
from napari_nic.embeddings.interchange.rounding import Rounding
from napari_nic.embeddings.interchange.table import Rows
from napari_nic.embeddings.interchange.workers import ShardWriter, sync_all
from napari_nic.jobs import CancellationToken, checked

POOL_BYTES = 256 * 2**20
"""Codes of the pieces that are filled at one time. A file in the order of a grid, by rows, columns or
outlines, is read once; one in no order, of more pieces than that, several times."""

WAITING_BYTES = 32 * 2**20
"""Codes that wait to be written."""

RATHER_BYTES = 64 * 2**20
"""From here on a room whose codes are still being written is waited for, rather than a new one taken: two
rows of pieces of the widest slides, so that a file in the order of a grid takes no more, however many
patches."""

CACHED_BYTES = 2**19
"""Rows that are read, looked through and laid down at a time: so few stay in the processor's cache."""

_LEAST_ROOMS = 2


def write_shards(
    root: Path,
    features: Rows,
    rows: np.ndarray | None,
    cells: np.ndarray,
    source: Path,
    token: CancellationToken,
) -> tuple[str, ...]:
    """Write codes into the folder of a new store whose blocks all count as done.

    Parameters
    ----------
    root : Path
        Of the store.
    features : Rows
        (N, C) numbers.
    rows : ndarray of int, (M,), optional
        Rows of `features` that are taken, rising; None where that is all of them.
    cells : ndarray of int, (M, 2)
        Where each goes.
    source : Path
        Named in errors.
    token : CancellationToken
        Asked at each slab of rows and each shard.

    Returns
    -------
    tuple of str
        What rounding to float16 lost.

    Raises
    ------
    StoreError
        If a code is no finite float16 number.
    """
    rounding = Rounding(features.shape[1])
    reader = _Reader(features, rounding)
    grid = layout.read_description(layout.open_group(root), root).header.grid
    coverage = covered(grid.shape, cells)
    with ShardWriter(root, coverage, features.shape[1], rounding.look_through) as writer:
        filling = _Filling(cells, coverage.shape, features.shape[1], writer, token)
        left = _pass_over(reader, rows, None, filling)
        while len(left):
            left = _pass_over(reader, rows, left, filling)
    sync_all(root)
    rounding.check(source)
    return rounding.notes()


def _pass_over(
    reader: _Reader, rows: np.ndarray | None, left: np.ndarray | None, filling: _Filling
) -> np.ndarray:
    """Read the patches that are `left`, by default all, and return those that found no room."""
    wanted = left if rows is None else rows if left is None else rows[left]
    count = reader.features.shape[0] if wanted is None else len(wanted)
    behind = [np.zeros(0, np.int32)]
    for part in checked(_slabs(reader.features, wanted, count, table.SLAB_BYTES), filling.token):
        members = np.arange(part.start, part.stop, dtype=np.int32) if left is None else left[part]
        has_room = filling.make_room(members)
        if not has_room.all():
            behind.append(members[~has_room])
            members = members[has_room]
        if len(members):
            filling.fill(members, partial(reader.read_into, members if rows is None else rows[members]))
    return np.concatenate(behind)


class _Filling:
    """Pieces of the store that are being filled: rooms of memory that are used again and again."""

    def __init__(
        self,
        cells: np.ndarray,
        shape: tuple[int, int],
        code_size: int,
        writer: ShardWriter,
        token: CancellationToken,
    ) -> None:
        self.token, self._writer, side = token, writer, writer.side
        rows, self._width = (-(-length // side) for length in shape)
        self._size = side * side
        self._cells, self._side = cells, side
        self._left = np.zeros(rows * self._width, np.int64)
        for part in parts(len(cells)):
            self._left += np.bincount(self._pieces(part), minlength=rows * self._width)
        self._room = np.full(rows * self._width, -1, np.int32)
        most = POOL_BYTES // (self._size * code_size * 2)
        count = max(_LEAST_ROOMS, min(int(np.count_nonzero(self._left)), most))
        self._most_waiting = max(1, WAITING_BYTES // (self._size * code_size * 2))
        self._rather, self._taken = max(1, RATHER_BYTES // (self._size * code_size * 2)), 0
        self._codes = np.empty((count, self._size, code_size), np.float16)
        self._is_filled = np.zeros((count, self._size), bool)
        self._free = list(range(count))[::-1]

    def _pieces(self, members: np.ndarray | slice) -> np.ndarray:
        """Piece that each row goes to: int, (n,)."""
        row, col = (self._cells[members] // self._side).T
        return np.asarray(row * self._width + col)

    def _slots(self, members: np.ndarray) -> np.ndarray:
        """Place of each row in its piece: int, (n,)."""
        row, col = (self._cells[members] % self._side).T
        return np.asarray(row * self._side + col)

    def make_room(self, members: np.ndarray) -> np.ndarray:
        """Tell which rows have a room for their piece now: bool, (n,)."""
        pieces = self._pieces(members)
        for piece in np.unique(pieces[self._room[pieces] < 0]):
            if self._writer.waiting and (not self._free or self._would_be_too_many()):
                self._take_back()
            if not self._free:
                break
            self._room[piece] = room = self._free.pop()
            self._taken = max(self._taken, room + 1)
            self._is_filled[room] = False
        return np.asarray(self._room[pieces] >= 0)

    def _would_be_too_many(self) -> bool:
        """Whether the next room was never taken before, of memory that is more than need be."""
        return self._free[-1] >= self._taken >= self._rather

    def fill(self, members: np.ndarray, read_into: Callable[[np.ndarray, np.ndarray], None]) -> None:
        """Lay codes into their rooms, by what reads them into rows of an array; full pieces are written."""
        pieces = self._pieces(members)
        at = self._room[pieces].astype(np.int64) * self._size + self._slots(members)
        read_into(self._codes.reshape(-1, self._codes.shape[2]), at)
        self._is_filled.reshape(-1)[at] = True
        found, counts = np.unique(pieces, return_counts=True)
        self._left[found] -= counts
        for piece in found[self._left[found] == 0]:
            self._write(int(piece))

    def _write(self, piece: int) -> None:
        self.token.checkpoint()
        room = int(self._room[piece])
        self._room[piece] = -1
        codes, is_filled = self._codes[room], self._is_filled[room]
        if not is_filled.all():
            codes[~is_filled] = 0
        self._writer.write(divmod(piece, self._width), codes, room)
        # Rooms that were used are faster than new ones, which the system must first make.
        while self._writer.waiting > self._most_waiting:
            self._take_back()

    def _take_back(self) -> None:
        self._free.append(self._writer.written())


class _Reader:
    """Reads rows of a file, by memory that is used again and again where they are not as they will be."""

    def __init__(self, features: Rows, rounding: Rounding) -> None:
        self.features, self._rounding = features, rounding
        self._plain = PlainRows.of(features, np.float16)
        self._room = np.empty((0, features.shape[1]), features.dtype)

    def read_into(self, rows: np.ndarray, codes: np.ndarray, at: np.ndarray) -> None:
        """Lay rows (n,) of the file, rising, into rows `at` (n,) of `codes`, as float16."""
        if self._plain is not None:
            self._plain.read_into(rows, codes, at)
            return
        begin = 0
        for slab in self._slabs(rows):
            codes[at[begin : begin + len(slab)]] = self._rounding.rounded(slab)
            begin += len(slab)

    def _slabs(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows (n, C), rising, those of a dataset of HDF5 a few at a time; good until the next ones."""
        is_direct = hasattr(self.features, "read_direct")
        most = CACHED_BYTES if is_direct else table.SLAB_BYTES
        for part in _slabs(self.features, rows, len(rows), most):
            wanted = rows[part]
            start, stop = int(wanted[0]), int(wanted[-1]) + 1
            found = self._directly(start, stop) if is_direct else np.asarray(self.features[start:stop])
            yield found if len(found) == len(wanted) else found[wanted - start]

    def _directly(self, start: int, stop: int) -> np.ndarray:
        if len(self._room) < stop - start:
            self._room = np.empty((stop - start, self.features.shape[1]), self.features.dtype)
        read = self._room[: stop - start]
        self.features.read_direct(read, np.s_[start:stop])  # type: ignore[attr-defined] # asked before
        return read


def _slabs(features: Rows, rows: np.ndarray | None, count: int, most_bytes: int) -> Iterator[slice]:
    """Cut rows of the file, rising, or so many from the first, into slabs of so many bytes or whole chunks.

    Gaps of a slab or more are not read.
    """
    chunk = _chunk_rows(features)
    step = max(chunk, most_bytes // max(1, features.shape[1] * features.dtype.itemsize) // chunk * chunk, 1)
    at = 0
    while at < count:
        row = at if rows is None else int(rows[at])
        end = (row // step + 1) * step
        start, at = at, min(count, end) if rows is None else int(rows.searchsorted(rows.dtype.type(end)))
        yield slice(start, at)


def _chunk_rows(features: Any) -> int:
    chunks = getattr(features, "chunks", None)
    return int(chunks[0]) if chunks else 1
