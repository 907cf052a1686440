"""HDF5 files of unknown origin: read once in a process of their own before they are read in ours.

The HDF5 library crashes, or runs in circles, on some damaged files, and would take the window and all unsaved
work with it. What has been read once to its end may be read again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py

from napari_nic.apart import check_survives
from napari_nic.errors import NicError

STEP_BYTES = 16 * 2**20
MOST_RATIO, ALWAYS_BYTES = 1000, 64 * 2**20
"""A data set that claims more than this of the file's size is left alone: whoever reads it refuses it."""


_passed: set[tuple[Path, int, int]] = set()


def check_hdf5(path: Path, error: type[NicError]) -> None:
    """Make sure that the HDF5 library gets through a file, of whatever it then says of it.

    A file that got through and has not changed since is not tried again; nor is one that is no HDF5 file.

    Parameters
    ----------
    path : Path
    error : type
        Kind of error to raise.

    Raises
    ------
    NicError
        Of the kind `error`, if reading the file crashes the library or does not come to an end.
    """
    if not h5py.is_hdf5(path):
        return
    state = path.stat()
    version = (path.absolute(), state.st_size, state.st_mtime_ns)
    if version not in _passed:
        check_survives(f"{__name__}:read_all", path, error)
        _passed.add(version)


def check_types(file: h5py.File, path: Path, error: type[NicError]) -> None:
    """Make sure that all data sets and attributes of an open file are of types that NumPy has.

    Others, such as HDF5's times, are rare but in damaged files; asking for them raises wherever it happens.

    Raises
    ------
    NicError
        Of the kind `error`, with the name of the first that is not.
    """
    nodes: list[h5py.Group | h5py.Dataset] = [file]
    try:
        file.visititems(lambda _, node: nodes.append(node))
    except UnicodeDecodeError:
        return  # names that are no text: whoever asks for one of the others finds it
    for node in nodes:
        try:
            _ = node.dtype if isinstance(node, h5py.Dataset) else None
            _ = [node.attrs[name] for name in node.attrs]
        except TypeError as problem:
            found = f"{node.name}: {problem}"
            raise error("values of a type that cannot be read", path=path, found=found) from problem


def read_all(path: Path) -> None:
    """Read every attribute and every data set of a file; links to other files are not followed.

    Of numbers that lie in the file as they will in memory, the index of their chunks is read, and no more:
    nothing but bytes is left to be copied.
    """
    with h5py.File(path, "r") as file:
        most = max(ALWAYS_BYTES, MOST_RATIO * path.stat().st_size)
        nodes: list[h5py.Group | h5py.Dataset] = [file]
        file.visititems(lambda _, node: nodes.append(node))
        for node in nodes:
            for name in node.attrs:
                node.attrs[name]
            if isinstance(node, h5py.Dataset) and not node.external and not node.is_virtual:
                _read_dataset(node, most)


def _read_dataset(dataset: h5py.Dataset, most: int) -> None:
    """Read a data set in slices along its first axis."""
    if not dataset.shape:
        dataset[()]
        return
    if dataset.size * dataset.dtype.itemsize > most or is_only_to_copy(dataset):
        return
    row = max(1, math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)
    step = max(1, STEP_BYTES // row)
    for start in range(0, dataset.shape[0], step):
        dataset[start : start + step]


def is_only_to_copy(dataset: h5py.Dataset) -> bool:
    """Whether a data set is neither filtered nor converted, its chunks are whole, and all lie in the file."""
    plain = dataset.dtype.kind in "iuf" and dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype))
    if not plain or dataset.id.get_create_plist().get_nfilters():
        return False
    end = dataset.file.id.get_filesize()
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        return start is not None and start + dataset.id.get_storage_size() <= end
    if not hasattr(dataset.id, "chunk_iter"):
        return False  # not in older versions of the HDF5 library
    whole = math.prod(dataset.chunks) * dataset.dtype.itemsize

    def first_that_is_not(chunk: Any) -> bool | None:
        is_whole = chunk.size == whole and not chunk.filter_mask and chunk.byte_offset + whole <= end
        return None if is_whole else True

    return dataset.id.chunk_iter(first_that_is_not) is None
