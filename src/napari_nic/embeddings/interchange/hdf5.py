"""HDF5 files of other programs, read with errors that name the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.disk import check_regular
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.choosing import BatchOfOne
from napari_nic.embeddings.interchange.hdf5_contents import without_features
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    Rows,
    header_from_text,
    no_patches_but_a_slide,
    slabs,
)
from napari_nic.errors import NicError, StoreError
from napari_nic.hdf5_files import check_hdf5, check_types
from napari_nic.jobs import CancellationToken, checked

MOST_RATIO, ALWAYS_BYTES = 200, 64 * 2**20
"""Features are noise and hardly shrink: a file that says it holds 200 times its size is to fill memory."""


_MOST_BESIDE = 20


@contextmanager
def existing_file(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    StoreError
        If it is no HDF5 file, is damaged or lacks a dataset that is asked for.
    """
    check_regular(path, StoreError)
    check_hdf5(path, StoreError)
    try:
        # Rows are read once and by whole chunks: a cache of chunks would be one more copy.
        with h5py.File(path, "r", rdcc_nbytes=0) as file:
            check_types(file, path, StoreError)
            yield file
    except (OSError, KeyError, RuntimeError, MemoryError) as error:
        if isinstance(error, NicError):
            raise
        raise StoreError("not a readable HDF5 file of this kind", path=path, found=f"{error}") from error


def has_datasets(path: Path, *names: str) -> bool:
    """Whether a file is HDF5 and holds these datasets."""
    try:
        if not h5py.is_hdf5(path):
            return False
        check_hdf5(path, StoreError)
        with h5py.File(path, "r") as file:
            return all(name in file for name in names)
    except (OSError, RuntimeError, KeyError):
        return False


def why_unreadable(path: Path) -> str:
    """Say why a file that is called HDF5 cannot be opened as such; empty if it can."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
        if not h5py.is_hdf5(path):
            return f"a file that begins with {head!r}" if head else "an empty file"
        check_hdf5(path, StoreError)
        with h5py.File(path, "r"):
            return ""
    except (OSError, RuntimeError) as error:
        return f"{error}"


def why_not_features(path: Path) -> StoreError | None:
    """Build the error for an HDF5 file that no importer takes; None for a file of another kind."""
    try:
        if path.is_dir() or not h5py.is_hdf5(path):
            return None
        with existing_file(path) as file:
            return without_features(file, path)
    except OSError:
        return None


def attribute_names(path: Path, dataset: str) -> frozenset[str]:
    """Names of a dataset's attributes; none where it cannot be read."""
    try:
        check_hdf5(path, StoreError)
        with h5py.File(path, "r") as file:
            return frozenset(file[dataset].attrs)
    except (OSError, RuntimeError, KeyError):
        return frozenset()


def read_attribute(attributes: Any, name: str, path: Path) -> Any:
    """Get an attribute as a Python value.

    Raises
    ------
    StoreError
        If it is absent.
    """
    if name not in attributes:
        raise StoreError(
            "an attribute is missing", path=path, expected=name, found=f"{sorted(map(str, attributes))}"
        )
    value = attributes[name]
    return value.item() if isinstance(value, np.generic) else value


def read_text(attributes: Any, name: str) -> str | None:
    """Get an attribute that is text, however it was written; None where it is absent, empty or ``"None"``."""
    value = np.ravel(attributes.get(name, ""))[:1]
    first = value[0] if len(value) else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return text if text.strip() not in ("", "None") else None


def read_number(attributes: Any, name: str, path: Path, default: float | None = None) -> float:
    """Get an attribute that is a finite number.

    Raises
    ------
    StoreError
        If it is absent and has no default, or is no number.
    """
    if default is not None and name not in attributes:
        return default
    value = read_attribute(attributes, name, path)
    try:
        number = float(np.asarray(value).item())  # some programs write arrays of one
    except (ValueError, TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise StoreError(f"attribute {name!r} is no number", path=path, found=repr(value)[:80])
    return number


def read_count(attributes: Any, name: str, path: Path) -> int:
    """Get an attribute that is a whole number above 0.

    Raises
    ------
    StoreError
        If it is not.
    """
    number = read_number(attributes, name, path)
    if number < 1 or number != round(number):
        raise StoreError(f"attribute {name!r} is no whole number above 0", path=path, found=f"{number:g}")
    return int(number)


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table of patches that is open for reading; made by :func:`open_table`.

    Attributes
    ----------
    file : h5py.File
    path : Path
    features : str
        Name of the dataset of features; that of the places is ``coords``.
    """

    file: h5py.File
    path: Path
    features: str

    def attributes(self, name: str = "/") -> dict[str, Any]:
        """Attributes of a dataset, or of the file itself."""
        return dict(self.file[name].attrs)

    def header(self) -> StoreHeader | None:
        """Our header, where the file is one of ours."""
        return header_from_text(self.file.attrs.get(HEADER_ATTRIBUTE), self.path)

    def rows(self, code_size: int | None = None) -> Rows:
        """Features (N, C), read slab by slab while the file is open; see :func:`checked_matrix`.

        `code_size` is C of a table of no rows that does not tell it; by default that of a file beside it, or
        1.

        Raises
        ------
        StoreError
            If they are one vector of a whole slide, or lie on their side.
        """
        count = checked_matrix(self.file, "coords", self.path).shape[0]
        dataset = checked_numbers(self.file, self.features, self.path)
        if dataset.shape == (0,) and not count:
            return np.empty((0, code_size or self._code_size_beside() or 1), dataset.dtype)
        if dataset.ndim == 1 or (dataset.ndim == 2 and len(dataset) == 1 != count):
            raise no_patches_but_a_slide(self.path, dataset.shape)
        rows = checked_matrix(self.file, self.features, self.path)
        if rows.shape[0] != count == rows.shape[1]:
            raise StoreError(
                "the features lie on their side",
                path=self.path,
                expected=f"({count}, C) for places of shape ({count}, 2)",
                found=f"shape {rows.shape}",
                hint="write them with a row for each patch",
            )
        return rows

    def _code_size_beside(self) -> int | None:
        """C of the features of another slide in the same folder, which holds those of one encoder."""
        for other in sorted(self.path.parent.glob(f"*{self.path.suffix}"))[:_MOST_BESIDE]:
            try:
                with open_table(other, self.features) as file:
                    shape = file.file[self.features].shape
            except StoreError:
                continue
            if len(shape) == 2 and shape[1]:
                return int(shape[1])
        return None

    def read_coords(self, token: CancellationToken) -> np.ndarray:
        """Read dataset `coords` (N, 2) of (x, y) and return (y, x), see :func:`read_corners`."""
        coords = checked_matrix(self.file, "coords", self.path)
        if coords.shape[1] != 2:
            found = f"shape {coords.shape}"
            raise StoreError("dataset 'coords' has not two columns", path=self.path, found=found)
        return read_corners(coords, token)


@contextmanager
def open_table(path: Path, features: str = "features") -> Iterator[TableFile]:
    """Open a table of patches; see :func:`existing_file`."""
    with existing_file(path) as file:
        if features not in file or "coords" not in file:
            raise without_features(file, path)
        yield TableFile(file, path, features)


def read_corners(rows: Rows, token: CancellationToken) -> np.ndarray:
    """Read places (N, 2 or more) that begin with (x, y), slab by slab.

    Returns
    -------
    ndarray of int32 or float64, (N, 2)
        (y, x): the narrower where all are whole numbers that it holds with room to add, since a million
        places in several copies are more than the features that are in memory at a time.
    """
    corners = np.empty((rows.shape[0], 2), np.int32 if rows.dtype.kind in "iu" else np.float64)
    chunks = getattr(rows, "chunks", None)
    at_once = chunks[0] if chunks else 1
    for part in checked(slabs(rows, rows_at_once=at_once, most_bytes=_PLACES_BYTES), token):
        here = np.asarray(rows[part])[:, 1::-1]  # in steps of chunks: each is decompressed once
        if corners.dtype == np.int32 and here.size and not -_FAR < int(here.min()) <= int(here.max()) < _FAR:
            corners = corners.astype(np.float64)
        corners[part] = here
    return corners


_PLACES_BYTES = 2**19
"""Places that are read at a time; what is freed of larger ones stays with the process."""

_FAR = 2**30
"""From here on places are float64: no slide is so large, and sums of others fit int32."""


def checked_matrix(file: h5py.File, name: str, path: Path) -> Rows:
    """Get a dataset that must be a matrix of numbers, and lie in the file itself.

    Raises
    ------
    StoreError
        If it is something else, leads to another file, or would fill the memory.
    """
    dataset = checked_numbers(file, name, path)
    rows = BatchOfOne(dataset) if dataset.ndim == 3 and dataset.shape[0] == 1 else dataset
    if len(rows.shape) != 2:
        raise StoreError(f"dataset {name!r} is no matrix", path=path, found=f"shape {dataset.shape}")
    check_size(dataset, name, path)
    return rows


def checked_numbers(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Get a dataset of numbers that lies in the file itself; raises as :func:`checked_matrix`."""
    dataset = checked_array(file, name, path)
    if dataset.dtype.kind not in "fiu":
        raise StoreError(f"{name!r} holds no numbers", path=path)
    return dataset


def checked_array(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Get a dataset of any kind that lies in the file itself; raises as :func:`checked_matrix`."""
    for part in _links(name):
        if not isinstance(file.get(part, getlink=True), h5py.HardLink):
            raise StoreError(f"dataset {name!r} leads elsewhere", path=path, hint="copy it into the file")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise StoreError(f"{name!r} holds no numbers", path=path)
    if dataset.is_virtual or dataset.external:
        raise StoreError(f"dataset {name!r} lies in other files", path=path, hint="copy it into the file")
    return dataset


def check_size(dataset: h5py.Dataset, name: str, path: Path) -> None:
    """Raise :class:`StoreError` if a dataset says it holds far more than the file does."""
    wanted, there = math.prod(dataset.shape or ()) * dataset.dtype.itemsize, path.stat().st_size
    if wanted > max(ALWAYS_BYTES, MOST_RATIO * there):
        raise StoreError(
            f"dataset {name!r} cannot be what it says",
            path=path,
            expected=f"at most {MOST_RATIO} times the {there:,} bytes of the file",
            found=f"{wanted:,} bytes",
        )


def _links(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
