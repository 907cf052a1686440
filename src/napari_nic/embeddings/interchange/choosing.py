"""Parts of what a file holds as rows of a table, read slab by slab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_nic.embeddings.interchange.table import Rows

if TYPE_CHECKING:
    import h5py


def chosen_rows(rows: Rows, kept: np.ndarray) -> Rows:
    """Those rows of a table whose numbers, in ascending order, are in `kept`."""
    return rows if len(kept) == rows.shape[0] else _Chosen(rows, kept)


class _Chosen:
    """Rows without those between; what lies between is read in slabs, and forgotten."""

    def __init__(self, rows: Rows, kept: np.ndarray) -> None:
        self._rows, self._kept = rows, kept
        self.shape, self.dtype = (len(kept), *rows.shape[1:]), rows.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        wanted = self._kept[rows]
        found = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        start, end = (int(wanted[0]), int(wanted[-1]) + 1) if len(wanted) else (0, 0)
        step = max(1, len(wanted))
        for first in range(start, end, step):
            is_here = (wanted >= first) & (wanted < first + step)
            if is_here.any():
                found[is_here] = np.asarray(self._rows[first : first + step])[wanted[is_here] - first]
        return found


class BatchOfOne:
    """A dataset (1, N, C), as some programs write it, read as (N, C)."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self.shape, self.dtype = dataset.shape[1:], dataset.dtype
        self.chunks = dataset.chunks[1:] if dataset.chunks else None

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.asarray(self._dataset[0, rows])
