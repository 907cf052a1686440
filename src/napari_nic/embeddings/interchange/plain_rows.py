"""Rows of HDF5 files that lie there as they will in memory: read straight to where they go.

The library reads chunk by chunk into memory from which all would be copied once more. Its own index says
where the chunks lie; only their bytes are read past it.
"""

from __future__ import annotations

import math
import os
from typing import Any, Self

import h5py
import numpy as np

from napari_nic.errors import StoreError
from napari_nic.hdf5_files import is_only_to_copy

_COMPARED = 16
"""Rows that are read by the library too, to be sure."""

_MOST_PIECES = 512
"""Pieces of memory that are filled by one call; systems allow 1,024."""


class PlainRows:
    """Rows of a dataset as bytes of its file; made by :meth:`of`.

    Parameters
    ----------
    dataset : h5py.Dataset
        (N, C), of an open file.
    starts : ndarray of int64, (chunks,)
        Where its chunks begin in the file.
    chunk_rows : int
        Rows of a chunk.
    """

    def __init__(self, dataset: h5py.Dataset, starts: np.ndarray, chunk_rows: int) -> None:
        self._name, self._handle = dataset.file.filename, int(dataset.file.id.get_vfd_handle())
        self._starts, self._chunk_rows = starts, chunk_rows
        self._row_bytes = dataset.shape[1] * dataset.dtype.itemsize

    @classmethod
    def of(cls, rows: Any, dtype: type[np.generic]) -> Self | None:
        """Return the rows of a dataset of numbers of a type; None where they must be read by the library.

        That is where they are filtered, converted, not all there, or in chunks that hold a part of a row, and
        whenever a few that are read both ways differ.
        """
        if not isinstance(rows, h5py.Dataset) or rows.dtype != dtype or not _can_be_read(rows.file):
            return None
        if rows.ndim != 2 or not rows.size or not is_only_to_copy(rows):
            return None
        chunk_rows, starts = rows.shape[0], np.array([rows.id.get_offset() or 0])
        if rows.chunks is not None:
            chunk_rows, starts = rows.chunks[0], _starts_of(rows)
        row_bytes = rows.shape[1] * rows.dtype.itemsize
        is_whole = rows.chunks is None or rows.chunks[1] == rows.shape[1]
        if not is_whole or starts.min() <= 0 or (np.diff(np.sort(starts)) < chunk_rows * row_bytes).any():
            return None
        found = cls(rows, starts, chunk_rows)
        return found if found._reads_as(rows) else None

    def _reads_as(self, dataset: h5py.Dataset) -> bool:
        """Whether some rows, the first and the last one too, are what the library reads."""
        some = np.unique(np.linspace(0, len(dataset) - 1, _COMPARED).astype(np.int64))
        found = np.empty((len(some), dataset.shape[1]), dataset.dtype)
        self.read_into(some, found, np.arange(len(some)))
        theirs = np.stack([dataset[int(row)] for row in some])
        return found.tobytes() == theirs.tobytes()

    def read_into(self, rows: np.ndarray, target: np.ndarray, at: np.ndarray) -> None:
        """Read rows (n,), rising, into rows `at` (n,) of an array (m, C).

        Raises
        ------
        StoreError
            If the file ends before.
        """
        places = self._starts[rows // self._chunk_rows] + rows % self._chunk_rows * self._row_bytes
        memory = target.reshape(-1).view(np.uint8).data
        breaks = np.flatnonzero((np.diff(at) != 1) | (np.diff(places) != self._row_bytes)) + 1
        begins = np.concatenate([[0], breaks])
        sizes = np.diff(begins, append=len(rows)) * self._row_bytes
        pieces = zip(
            places[begins].tolist(), (at[begins] * self._row_bytes).tolist(), sizes.tolist(), strict=True
        )
        waiting: list[memoryview] = []
        start = end = 0
        for place, first, size in pieces:
            if waiting and (place != end or len(waiting) == _MOST_PIECES):
                self._read(start, waiting)
                waiting = []
            if not waiting:
                start = end = place
            waiting.append(memory[first : first + size])
            end += size
        if waiting:
            self._read(start, waiting)

    def _read(self, start: int, pieces: list[memoryview]) -> None:
        while pieces:
            count = os.preadv(self._handle, pieces, start)
            if not count:
                raise StoreError("the file is cut off", path=self._name, hint="get it again")
            start += count
            while pieces and count >= len(pieces[0]):
                count -= len(pieces.pop(0))
            if count:
                pieces[0] = pieces[0][count:]


def _can_be_read(file: h5py.File) -> bool:
    """Whether a file is one of the system's, from whose first byte on the library counts."""
    is_usual = file.driver == "sec2" and file.id.get_create_plist().get_userblock() == 0
    return is_usual and hasattr(os, "preadv")


def _starts_of(dataset: h5py.Dataset) -> np.ndarray:
    """Places of the chunks of whole rows in the file: int64; 0 where there is none."""
    starts = np.zeros(math.ceil(dataset.shape[0] / dataset.chunks[0]), np.int64)

    def take(chunk: Any) -> None:
        starts[chunk.chunk_offset[0] // dataset.chunks[0]] = chunk.byte_offset

    dataset.id.chunk_iter(take)
    return starts
