"""Rows in any order on their way into the shards of a store, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings import layout
from napari_nic.embeddings.interchange import table
from napari_nic.embeddings.interchange.placing import covered, parts
from napari_nic.embeddings.interchange.rounding import Rounding
from napari_nic.embeddings.interchange.table import Rows
from napari_nic.embeddings.interchange.workers import ShardWriter, sync_all
from napari_nic.jobs import CancellationToken, checked

POOL_BYTES = 256 * 2**20
"""Codes of the pieces that are filled at one time. A file in the order of a grid, by rows, columns or
outlines, is read once; one in no order, of more pieces than that, several times."""

WAITING_BYTES = 32 * 2**20
"""Codes that wait to be written."""

_LEAST_ROOMS = 2


def write_shards(
    root: Path,
    features: Rows,
    rows: np.ndarray,
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
    rows : ndarray of int, (M,)
        Rows of `features` that are taken, rising.
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
    rounding, reader = Rounding(features.shape[1]), _Reader(features)
    grid = layout.read_description(layout.open_group(root), root).header.grid
    coverage = covered(grid.shape, cells)
    with ShardWriter(root, coverage, features.shape[1]) as writer:
        filling = _Filling(cells, coverage.shape, features.shape[1], writer, token)
        left = np.arange(len(rows), dtype=np.int32)
        while len(left):
            left = _pass_over(reader, rows, left, filling, rounding)
    sync_all(root)
    rounding.check(source)
    return rounding.notes()


def _pass_over(
    reader: _Reader, rows: np.ndarray, left: np.ndarray, filling: _Filling, rounding: Rounding
) -> np.ndarray:
    """Read the rows that are left, and return those that found no room."""
    wanted, behind = rows if len(left) == len(rows) else rows[left], []
    for start, stop in checked(_spans(reader.features, wanted), filling.token):
        members = left[slice(*np.searchsorted(wanted, (start, stop)))]
        has_room = filling.make_room(members)
        behind.append(members[~has_room])
        if has_room.any():
            members = members[has_room]
            filling.fill(members, rounding.rounded(reader.read(start, stop, rows[members])))
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
            if not self._free and self._writer.waiting:
                self._take_back()
            if not self._free:
                break
            self._room[piece] = room = self._free.pop()
            self._is_filled[room] = False
        return np.asarray(self._room[pieces] >= 0)

    def fill(self, members: np.ndarray, codes: np.ndarray) -> None:
        """Lay codes (n, C) into their rooms; pieces that are full are written."""
        pieces = self._pieces(members)
        at = self._room[pieces].astype(np.int64) * self._size + self._slots(members)
        self._codes.reshape(-1, codes.shape[1])[at] = codes
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
    """Reads rows of a file into memory that is used again and again."""

    def __init__(self, features: Rows) -> None:
        self.features = features
        self._room = np.empty((0, features.shape[1]), features.dtype)

    def read(self, start: int, stop: int, wanted: np.ndarray) -> np.ndarray:
        """Return the rows `wanted`, rising, of those from `start` to `stop`; good until the next are read."""
        read_direct = getattr(self.features, "read_direct", None)  # of a dataset of HDF5
        if read_direct is None:
            read = np.asarray(self.features[start:stop])
        else:
            if len(self._room) < stop - start:
                self._room = np.empty((stop - start, self.features.shape[1]), self.features.dtype)
            read = self._room[: stop - start]
            read_direct(read, np.s_[start:stop])
        return read if len(read) == len(wanted) else read[wanted - start]


def _spans(features: Rows, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Slices of the file that hold `rows`, cut at its chunks; gaps of a slab or more are not read."""
    step = max(1, table.SLAB_BYTES // max(1, features.shape[1] * features.dtype.itemsize))
    chunk = _chunk_rows(features)
    step = max(chunk, step // chunk * chunk)
    at = 0
    while at < len(rows):
        first = int(rows[at])
        at = int(np.searchsorted(rows, (first // step + 1) * step))
        yield first, int(rows[at - 1]) + 1


def _chunk_rows(features: Any) -> int:
    chunks = getattr(features, "chunks", None)
    return int(chunks[0]) if chunks else 1
