"""Rows of a table that is packed by rows (CSR), unpacked slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.interchange.hdf5 import ALWAYS_BYTES, MOST_RATIO
from napari_nic.errors import StoreError


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows (N, C): values `data` at columns `indices`; those of row n begin at ``starts[n]``."""

    data: np.ndarray
    indices: np.ndarray
    starts: np.ndarray
    columns: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C)."""
        return len(self.starts) - 1, self.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.data.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        stop = max(start, stop)
        found = np.zeros((stop - start, self.columns), self.data.dtype)
        part = slice(int(self.starts[start]), int(self.starts[stop]))
        row = np.repeat(np.arange(stop - start), np.diff(self.starts[start : stop + 1]))
        found[row, self.indices[part]] = self.data[part]
        return found


def sparse_rows(
    shape: Sequence[int], data: np.ndarray, indices: np.ndarray, starts: np.ndarray, *, path: Path
) -> SparseRows:
    """Check the parts of a table packed by rows.

    Raises
    ------
    StoreError
        If they contradict each other, or promise far more than they hold.
    """
    is_index = indices.dtype.kind in "iu" and starts.dtype.kind in "iu" and data.dtype.kind in "fiu"
    fits = (
        is_index
        and len(shape) == 2
        and len(starts) == shape[0] + 1
        and len(data) == len(indices) == int(starts[-1])
        and int(starts[0]) == 0
        and bool((np.diff(starts.astype(np.int64)) >= 0).all())
        and (not len(indices) or 0 <= int(indices.min()) <= int(indices.max()) < shape[1])
    )
    if not fits:
        raise StoreError("the packed table contradicts itself", path=path, found=f"shape {tuple(shape)}")
    held = data.nbytes + indices.nbytes + starts.nbytes
    if shape[0] * shape[1] * data.dtype.itemsize > max(ALWAYS_BYTES, MOST_RATIO * held):
        raise StoreError(
            "a packed table of next to nothing but zeros", path=path, found=f"shape {tuple(shape)}"
        )
    return SparseRows(data, indices, starts.astype(np.int64), int(shape[1]))
