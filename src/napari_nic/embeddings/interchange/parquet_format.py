"""Tables of Parquet: a row a patch, with ``x``, ``y`` and a list of ``features``.

``x`` and ``y`` are the top left corner in level-0 pixels. The features are one column of lists of numbers,
all of one length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.disk import check_regular
from napari_nic.embeddings.interchange.hdf5 import ALWAYS_BYTES, MOST_RATIO
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    ForeignCodes,
    ImportHints,
    header_from_text,
)
from napari_nic.errors import StoreError
from napari_nic.extras import require
from napari_nic.geometry import MPP_MAX, MPP_MIN, PixelSize
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import has_suffix

SUFFIX = ".parquet"
MAGIC = b"PAR1"
_DESCRIPTION = b"patches"
_PLACES = ("x", "y")


def recognises(path: Path) -> bool:
    """Whether it is a Parquet file, by its name and first bytes."""
    if not has_suffix(path, SUFFIX):
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read places and features, a group of rows at a time."""
    check_regular(path, StoreError)
    parquet = require("pyarrow.parquet", "tables of Parquet")
    with _told(path), parquet.ParquetFile(path) as file:
        _check_size(file, path)
        metadata = file.schema_arrow.metadata or {}
        said = _described(metadata.get(_DESCRIPTION), path)
        yield ForeignCodes(
            features=ParquetRows(file, hints.features or "features", path),
            corners=_corners(file, path, token),
            patch=said.get("patch_size_level0"),
            stride=said.get("stride_level0"),
            patch_size=said.get("patch_size") or hints.patch_size,
            mpp=said.get("mpp") or hints.mpp,
            pixel_size=said.get("pixel"),
            encoder_name=said.get("encoder", "unknown (Parquet)"),
            slide_name=said.get("slide"),
            slide_shape=said.get("shape"),
            header=header_from_text(_text(metadata.get(HEADER_ATTRIBUTE.encode())), path),
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the library raises over damaged files into one sentence."""
    arrow = require("pyarrow", "tables of Parquet")
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, StoreError):
            raise
        text = str(error).partition("\n")[0][:200]
        raise StoreError("not a readable Parquet table", path=path, found=text) from error


def _check_size(file: Any, path: Path) -> None:
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    wanted = sum(group.total_byte_size for group in groups)
    if wanted > max(ALWAYS_BYTES, MOST_RATIO * path.stat().st_size):
        raise StoreError(
            "a table that unpacks to far more than it holds", path=path, found=f"{wanted:,} bytes"
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _described(value: bytes | None, path: Path) -> dict[str, Any]:
    """Read the plain description, as far as it is there and can be."""
    if value is None:
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise StoreError("the description of the patches is damaged", path=path, hint="remove it")
    said: dict[str, Any] = {
        name: number
        for name in ("patch_size_level0", "stride_level0", "mpp")
        if (number := _number(found.get(name)))
    }
    said |= {name: str(found[name])[:500] for name in ("encoder", "slide") if found.get(name)}
    sides = [_number(found.get(name)) for name in ("slide_height", "slide_width", "patch_size")]
    if sides[0] and sides[1]:
        said["shape"] = (int(sides[0]), int(sides[1]))
    if sides[2]:
        said["patch_size"] = max(1, int(sides[2]))
    um = found.get("um_per_px")
    if isinstance(um, list) and len(um) == 2 and all(MPP_MIN <= _number(side) <= MPP_MAX for side in um):
        said["pixel"] = PixelSize(float(um[1]), float(um[0]), "the Parquet table")
    return said


def _number(value: object) -> float:
    """Return a number above 0, or 0 for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e9 else 0.0  # type: ignore[operator, arg-type]


def _corners(file: Any, path: Path, token: CancellationToken) -> np.ndarray:
    names = file.schema_arrow.names
    if not set(_PLACES) <= set(names):
        raise StoreError(
            "a table without the places of the patches",
            path=path,
            expected="columns x and y, the top left corner in level-0 pixels",
            found=", ".join(names)[:200],
        )
    parts = [np.zeros((0, 2))]
    for group in checked(range(file.num_row_groups), token):
        columns = file.read_row_group(group, columns=list(_PLACES))
        # By name: a table has its columns in the order of the file.
        parts.append(np.stack([_numbers(columns.column(name), path) for name in ("y", "x")], axis=1))
    return np.concatenate(parts)


def _numbers(column: Any, path: Path) -> np.ndarray:
    values = np.asarray(column.to_numpy())
    if values.dtype.kind not in "fiu":
        raise StoreError("places that are no numbers", path=path, found=str(column.type))
    return values.astype(np.float64)


class ParquetRows:
    """A column of lists of numbers, all of one length, read a group of rows at a time."""

    def __init__(self, file: Any, name: str, path: Path) -> None:
        names = file.schema_arrow.names
        if name not in names:
            raise StoreError(
                "a table without features",
                path=path,
                expected=f"a column {name!r} of lists of numbers",
                found=", ".join(names)[:200],
                hint="name the column (--features)",
            )
        self._file, self._name, self._path = file, name, path
        counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self._held: tuple[int, np.ndarray] | None = None
        kind = file.schema_arrow.field(name).type
        self.dtype = np.dtype(np.float32)
        self.shape = (int(self._starts[-1]), self._length(kind))

    def _length(self, kind: Any) -> int:
        size = getattr(kind, "list_size", None)
        if size is not None:
            return int(size)
        filled = np.flatnonzero(np.diff(self._starts))
        if not hasattr(kind, "value_type") or not len(filled):
            raise StoreError("features of an unknown length", path=self._path, found=str(kind)[:80])
        return len(self._file.read_row_group(int(filled[0]), columns=[self._name]).column(0)[0].as_py() or ())

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        found = np.empty((max(0, stop - start), self.shape[1]), np.float32)
        group = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            first, last = int(self._starts[group]), int(self._starts[group + 1])
            end = min(stop, last)
            part = self._group(group)[start - first : end - first]
            at = len(found) - (stop - start)
            found[at : at + len(part)] = part
            start, group = end, group + 1
        return found

    def _group(self, group: int) -> np.ndarray:
        if self._held is None or self._held[0] != group:
            with _told(self._path):
                column = self._file.read_row_group(group, columns=[self._name]).column(0).combine_chunks()
                values = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
            rows = int(self._starts[group + 1] - self._starts[group])
            if column.null_count or values.size != rows * self.shape[1]:
                raise StoreError(
                    "features that are missing, or not all of one length",
                    path=self._path,
                    expected=f"{self.shape[1]} numbers in each of {rows:,} rows",
                    found=f"{values.size:,} numbers",
                )
            self._held = group, values.reshape(rows, self.shape[1])
        return self._held[1]


IMPORTER = Importer("Parquet table (.parquet)", recognises, read)
