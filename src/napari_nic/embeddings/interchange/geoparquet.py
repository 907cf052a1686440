"""Shapes as GeoPandas keeps them (GeoParquet): boxes by the number of their tile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.disk import check_regular
from napari_nic.embeddings.interchange.hdf5 import ALWAYS_BYTES, MOST_RATIO
from napari_nic.errors import StoreError
from napari_nic.extras import check_installed
from napari_nic.jobs import CancellationToken

_AT_ONCE = 2**16
_GEOMETRY = "geometry"
_NEARLY = 1e-6


@dataclass(frozen=True, eq=False)
class Boxes:
    """Tiles.

    Attributes
    ----------
    ids : ndarray of int64 or text, (N,)
    bounds : ndarray of float64, (N, 4)
        (min x, min y, max x, max y).
    """

    ids: np.ndarray
    bounds: np.ndarray


def read_boxes(path: Path, key: str, token: CancellationToken) -> Boxes:
    """Read boxes and what numbers them: the column `key`, or the table's index where there is none.

    Raises
    ------
    StoreError
        If the file is damaged, or its shapes are no boxes.
    MissingDependencyError
        If pyarrow is not installed.
    """
    check_installed("pyarrow", "tables of SpatialData (Parquet)")
    check_regular(path, StoreError)
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check_size(file, path)
            number = _numbering(file, key)
            columns = [_GEOMETRY] if isinstance(number, range) else [number, _GEOMETRY]
            ids: list[np.ndarray] = []
            bounds: list[np.ndarray] = []
            for batch in file.iter_batches(batch_size=_AT_ONCE, columns=columns):
                token.checkpoint()
                if not isinstance(number, range):
                    ids.append(np.asarray(batch.column(number).to_numpy(zero_copy_only=False)))
                bounds.append(_bounds(batch.column(_GEOMETRY).to_numpy(zero_copy_only=False), path))
    except (
        pa.ArrowException,
        shapely.errors.ShapelyError,
        KeyError,
        OSError,
        ValueError,
        TypeError,
    ) as error:
        if isinstance(error, StoreError):
            raise
        text = str(error).partition("\n")[0][:200]
        raise StoreError(
            "the file of tiles cannot be read", path=path, expected="GeoParquet", found=text
        ) from error
    found = np.concatenate([np.zeros((0, 4)), *bounds])
    numbers = (
        np.asarray(number) if isinstance(number, range) else np.concatenate([np.zeros(0, np.int64), *ids])
    )
    return Boxes(_plain(numbers), found)


def _check_size(file: Any, path: Path) -> None:
    described = file.metadata
    wanted = sum(described.row_group(n).total_byte_size for n in range(described.num_row_groups))
    if max(wanted, 8 * described.num_rows) > max(ALWAYS_BYTES, MOST_RATIO * path.stat().st_size):
        raise StoreError(
            "a table that unpacks to far more than it holds", path=path, found=f"{wanted:,} bytes"
        )


def _numbering(file: Any, key: str) -> str | range:
    """Name the column that numbers the tiles, or give the index that is only described."""
    names = file.schema_arrow.names
    if _GEOMETRY not in names:
        raise KeyError(_GEOMETRY)
    if key in names:
        return key
    described = json.loads((file.schema_arrow.metadata or {}).get(b"pandas", b"{}"))
    index = next(iter(described.get("index_columns", ())), None)
    if isinstance(index, str) and index in names:
        return index
    rows = file.metadata.num_rows
    if isinstance(index, dict) and index.get("kind") == "range":
        found = range(int(index["start"]), int(index["stop"]), int(index["step"]))
        if len(found) == rows:
            return found
    if index is None:
        return range(rows)
    raise KeyError(f"index {str(index)[:80]}")


def _bounds(geometries: np.ndarray, path: Path) -> np.ndarray:
    shapes = shapely.from_wkb(geometries)
    bounds = np.asarray(shapely.bounds(shapes), np.float64).reshape(-1, 4)
    area = (bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])
    if not np.allclose(shapely.area(shapes), area, rtol=_NEARLY, atol=0) or not (area > 0).all():
        raise StoreError("shapes that are no tiles: not all of them are boxes", path=path)
    return bounds


def _plain(numbers: np.ndarray) -> np.ndarray:
    if numbers.dtype.kind in "iu":
        return numbers.astype(np.int64)
    return np.array([str(entry) for entry in numbers.tolist()], dtype=np.str_)
