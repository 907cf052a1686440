"""AnnData tables as they lie in a Zarr folder or an HDF5 file: the same parts by the same names.

Only what an import needs is read: numbers, columns of numbers or text, and small values. A table may be
packed by rows (CSR), and a column as categories, as AnnData writes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import zarr

from napari_nic.embeddings.interchange.hdf5 import check_size, checked_array, checked_matrix, existing_file
from napari_nic.embeddings.interchange.sparse_rows import sparse_rows
from napari_nic.embeddings.interchange.table import Rows
from napari_nic.embeddings.interchange.zarr_tables import ZarrFolder
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken

_SPARSE, _CATEGORICAL, _NULLABLE, _NONE = "csr_matrix", "categorical", "nullable-", "null"


class Table(Protocol):
    """An AnnData table; names are paths within it, such as ``"obs/tile_id"``."""

    @property
    def path(self) -> Path:
        """Of the table."""

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of a part; none where it is not there."""

    def kind(self, name: str) -> str:
        """``"group"``, ``"array"`` or ``""``."""

    def matrix(self, name: str) -> Rows:
        """Array of numbers with two axes, read slab by slab."""

    def vector(self, name: str) -> np.ndarray:
        """Array of one axis: of numbers, or of text (dtype U)."""

    def value(self, name: str) -> Any:
        """Scalar, text, array or mapping of these; None where there is none."""


@dataclass(frozen=True, eq=False)
class ZarrTable:
    """A table in a Zarr folder.

    Attributes
    ----------
    folder : ZarrFolder
    name : str
        Path of the table within the folder; empty where the folder is the table.
    token : CancellationToken
    """

    folder: ZarrFolder
    name: str
    token: CancellationToken

    @property
    def path(self) -> Path:
        """Of the table."""
        return self.folder.path / self.name

    def _at(self, name: str) -> str:
        return f"{self.name}/{name}".strip("/")

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of a part."""
        return self.folder.attributes(self._at(name))

    def kind(self, name: str) -> str:
        """Whether a part is a group or an array, if it is there."""
        node = self.folder.node(self._at(name))
        return "" if node is None else "group" if isinstance(node, zarr.Group) else "array"

    def matrix(self, name: str) -> Rows:
        """Array of numbers with two axes."""
        rows = self.folder.array(self._at(name))
        if len(rows.shape) != 2:
            raise StoreError("no table of numbers", path=rows.path, found=f"shape {rows.shape}")
        return rows

    def vector(self, name: str) -> np.ndarray:
        """Array of one axis."""
        if self.kind(name) != "array":
            raise StoreError("a part of the table is missing", path=self.path, expected=name)
        return _vector(self.folder.value(self._at(name)), name, self.path)

    def value(self, name: str) -> Any:
        """Scalar, text, array or mapping."""
        if self.attributes(name).get("encoding-type") == _NONE:
            return None
        if self.kind(name) == "group":
            return {key: self.value(f"{name}/{key}") for key in self.folder.members(self._at(name))}
        return self.folder.value(self._at(name))


@dataclass(frozen=True, eq=False)
class Hdf5Table:
    """A table in an HDF5 file (``.h5ad``) that is open.

    Attributes
    ----------
    file : h5py.File
    path : Path
    """

    file: h5py.File
    path: Path

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of a part."""
        return dict(self.file[name or "/"].attrs) if self.kind(name) else {}

    def kind(self, name: str) -> str:
        """Whether a part is a group or an array, if it is there and in the file itself."""
        if not name:
            return "group"
        parts = name.split("/")
        for count in range(len(parts)):
            link = self.file.get("/".join(parts[: count + 1]), getlink=True)
            if not isinstance(link, h5py.HardLink):
                return ""
        return "group" if isinstance(self.file[name], h5py.Group) else "array"

    def matrix(self, name: str) -> Rows:
        """Array of numbers with two axes."""
        if self.kind(name) != "array":
            raise StoreError("a part of the table is missing", path=self.path, expected=name)
        return checked_matrix(self.file, name, self.path)

    def vector(self, name: str) -> np.ndarray:
        """Array of one axis."""
        return _vector(self._read(name), name, self.path)

    def _read(self, name: str) -> Any:
        dataset = checked_array(self.file, name, self.path)
        check_size(dataset, name, self.path)
        if h5py.check_string_dtype(dataset.dtype):
            return dataset.asstr()[()]
        return dataset[()]

    def value(self, name: str) -> Any:
        """Scalar, text, array or mapping."""
        kind = self.kind(name)
        if kind == "group":
            return {key: self.value(f"{name}/{key}") for key in self.file[name]}
        if not kind or self.attributes(name).get("encoding-type") == _NONE:
            return None
        read = self._read(name)
        return read.item() if isinstance(read, np.generic) else read


@contextmanager
def open_h5ad(path: Path) -> Iterator[Hdf5Table]:
    """Open an AnnData file; raises :class:`StoreError` as :func:`~...hdf5.existing_file` does."""
    with existing_file(path) as file:
        yield Hdf5Table(file, path)


def features_of(table: Table) -> Rows:
    """Features X (N, C) of a table, read slab by slab, whether or not it is packed.

    Raises
    ------
    StoreError
        If there are none, or they are packed by columns.
    """
    kind = table.kind("X")
    if kind == "array":
        return table.matrix("X")
    encoding = table.attributes("X").get("encoding-type", "nothing")
    if kind != "group" or encoding != _SPARSE:
        raise StoreError(
            "a table without features in X that can be read by rows",
            path=table.path,
            expected=f"an array, or {_SPARSE}",
            found=str(encoding)[:80],
        )
    shape = np.ravel(table.attributes("X").get("shape", ())).tolist()
    return sparse_rows(
        [int(side) for side in shape],
        *(table.vector(f"X/{part}") for part in ("data", "indices", "indptr")),
        path=table.path,
    )


def column(table: Table, name: str) -> np.ndarray:
    """Read a column of ``obs``: numbers, or text (dtype U).

    Raises
    ------
    StoreError
        If it is not there, or of a kind that is not read.
    """
    return _values(table, f"obs/{name}")


def _values(table: Table, part: str) -> np.ndarray:
    """Read values as they are, as categories, or beside a mask of those that are missing."""
    if table.kind(part) != "group":
        return table.vector(part)
    encoding = str(table.attributes(part).get("encoding-type"))
    if encoding.startswith(_NULLABLE):
        if np.any(table.value(f"{part}/mask")):
            raise StoreError(f"{part!r} has rows without a value", path=table.path)
        return table.vector(f"{part}/values")
    if encoding != _CATEGORICAL:
        raise StoreError(f"{part!r} is of a kind that is not read", path=table.path, found=encoding[:80])
    categories, codes = _values(table, f"{part}/categories"), table.vector(f"{part}/codes")
    if codes.dtype.kind not in "iu" or (len(codes) and not 0 <= codes.min() <= codes.max() < len(categories)):
        raise StoreError(f"{part!r} has rows without a value", path=table.path)
    return np.asarray(categories[codes])


def _vector(read: Any, name: str, path: Path) -> np.ndarray:
    array = np.asarray(read)
    if array.ndim != 1:
        raise StoreError(f"{name!r} is no column", path=path, found=f"shape {array.shape}")
    if array.dtype.kind in "fiu":
        return array
    return np.array([str(entry) for entry in array.tolist()], dtype=np.str_)
