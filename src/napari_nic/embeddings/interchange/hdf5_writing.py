"""HDF5 files for other programs, written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.disk import replacing
from napari_nic.embeddings.interchange.table import CodeTable
from napari_nic.embeddings.interchange.workers import Flushing
from napari_nic.errors import NicError, StoreError
from napari_nic.jobs import CancellationToken

PlacesOf = tuple[type[np.generic], Callable[[np.ndarray], np.ndarray]]
"""Type of places in a file, and what makes them of cells."""


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for writing that appears under its name when it is whole."""
    try:
        with replacing(path) as temporary, temporary.open("w+b", buffering=0) as raw:
            kept = _KeptFile(raw)
            try:
                with h5py.File(kept, "w") as file:
                    yield file
            finally:
                kept.end()
            if kept.error is not None:
                raise kept.error
    except NicError:
        raise  # one that is a RuntimeError too: the work was cancelled
    except RuntimeError as error:
        # What the library says when a disk is full, on closing.
        raise StoreError("it cannot be written", path=path, found=str(error)) from error


class _KeptFile:
    """A file that HDF5 writes to, and that never fails: HDF5 takes the process down where closing fails.

    After the first error, of a full disk for instance, all goes on in memory.

    Attributes
    ----------
    error : OSError or None
        What went wrong first; the content is not whole then.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self.error: OSError | None = None
        self._flushing = Flushing(raw.fileno())
        self._take(raw)

    def write(self, data: Any) -> int:
        """Write all of it."""
        rest, start = memoryview(data).cast("B"), self._file.tell()
        size = len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            if self.error is None:
                self._flushing.wrote(size)
        except OSError as error:
            self._go_on_in_memory(error)
            self._file.seek(start)
            self._file.write(data)
        return size

    def truncate(self, size: int) -> int:
        """Set the size."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._go_on_in_memory(error)
            return size

    def end(self) -> None:
        """Wait until nothing uses the file any more."""
        try:
            self._flushing.end()
        except OSError as error:
            self.error = self.error or error

    def _go_on_in_memory(self, error: OSError) -> None:
        self.error = error
        self._file.seek(0)
        self._take(io.BytesIO(self._file.read()))

    def _take(self, file: io.FileIO | io.BytesIO) -> None:
        self._file = file
        self.seek, self.tell, self.flush = file.seek, file.tell, file.flush
        self.read, self.readinto = file.read, file.readinto


def write_table(
    path: Path,
    table: CodeTable,
    features: str,
    places: PlacesOf,
    attributes: Mapping[str, Mapping[str, Any]],
    token: CancellationToken,
    *,
    dtype: Any = np.float16,
) -> None:
    """Write a table of patches: features first, then their places as dataset ``coords``.

    Parameters
    ----------
    path : Path
        Appears when it is whole.
    table : CodeTable
        Its codes are converted to `dtype` and written slab by slab.
    features : str
        Name of their dataset.
    places : (dtype, callable)
        Type of the places, and what makes them, (n, 2), of cells, (n, 2).
    attributes : mapping of str to mapping
        By the dataset's name; of the file itself under ``"/"``.
    token : CancellationToken
        Asked before each slab.
    dtype : dtype, optional
    """
    with new_file(path) as file:
        dataset = file.create_dataset(features, table.shape, dtype)
        for part, codes in table.slabs(token):
            write_rows(dataset, part, codes)
        write_places(file, table, places)
        for name, entries in attributes.items():
            file[name].attrs.update(entries)


def write_places(file: h5py.File, table: CodeTable, places: PlacesOf) -> h5py.Dataset:
    """Write the places of a table as dataset ``coords``, (N, 2), a few at a time; see :func:`write_table`."""
    dtype, of = places
    dataset = file.create_dataset("coords", (len(table), 2), dtype)
    for part, cells in table.places():
        write_rows(dataset, part, of(cells))
    return dataset


def write_rows(dataset: h5py.Dataset, part: slice, rows: np.ndarray) -> None:
    """Write rows of a table; converted here, which takes the HDF5 library far longer."""
    if len(rows):
        dataset.write_direct(np.ascontiguousarray(rows, dataset.dtype), dest_sel=np.s_[part])
