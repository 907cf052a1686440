"""HDF5 files of other programs: written whole or not at all, read with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.disk import replacing
from napari_nic.errors import StoreError


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for writing that appears under its name when it is whole."""
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        yield file


@contextmanager
def existing_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    StoreError
        If it is no HDF5 file or lacks a dataset that is asked for.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError("not a readable HDF5 file of this kind", path=path, found=f"{error}") from error


def has_datasets(path: Path, *names: str) -> bool:
    """Whether a file is HDF5 and holds these datasets."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return all(name in file for name in names)


def read_attribute(attributes: Any, name: str, path: Path) -> Any:
    """Get an attribute as a Python value.

    Raises
    ------
    StoreError
        If it is absent.
    """
    if name not in attributes:
        raise StoreError("an attribute is missing", path=path, expected=name, found=f"{sorted(attributes)}")
    value = attributes[name]
    return value.item() if isinstance(value, np.generic) else value


def read_matrix(file: h5py.File, name: str, path: Path) -> np.ndarray:
    """Read a dataset that must be a matrix."""
    matrix = np.asarray(file[name][()])
    if matrix.ndim != 2:
        raise StoreError(f"dataset {name!r} is no matrix", path=path, found=f"shape {matrix.shape}")
    return matrix


def read_coords(file: h5py.File, path: Path) -> np.ndarray:
    """Read dataset `coords` (N, 2) of (x, y) and return float64 (y, x)."""
    coords = read_matrix(file, "coords", path)
    if coords.shape[1] != 2:
        raise StoreError("dataset 'coords' has not two columns", path=path, found=f"shape {coords.shape}")
    return coords[:, ::-1].astype(np.float64)
