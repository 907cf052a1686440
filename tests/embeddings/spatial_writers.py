"""Folders as LazySlide and other programs of SpatialData write them, small, with each one's quirks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import zarr

SIDE, MPP = 448, 0.25
CODE_SIZE = 6
SLIDE: dict[str, Any] = {
    "shape": [4000, 6000],
    "mpp": MPP,
    "magnification": 40.0,
    "bounds": [100, 200, 5000, 3000],  # of the scanned part; places are of the whole slide all the same
    "level_downsample": [1.0],
}
SPEC: dict[str, Any] = {
    "height": 224,
    "width": 224,
    "stride_height": 224,
    "stride_width": 224,
    "mpp": 0.5,
    "ops_level": 0,
    "base_level": 0,
    "base_downsample": 2.0,
    "tissue_name": "tissues",
}
IDENTITY = {"type": "identity", "output": {"name": "global"}}


def corners(count: int = 24) -> np.ndarray:
    """(x, y) of tiles, column by column, of two pieces whose grids differ by a third of a tile."""
    first = [(300 + SIDE * (k // 4), 500 + SIDE * (k % 4)) for k in range(count // 2)]
    return np.array(first + [(x + 4 * SIDE + 150, y + 150) for x, y in first], np.int64)


def features(count: int = 24) -> np.ndarray:
    """Features that tell which tile they are of: its number in the first channel."""
    found = np.random.default_rng(0).normal(0, 1, (count, CODE_SIZE)).astype(np.float32)
    found[:, 0] = np.arange(count)
    return found


def write_boxes(
    folder: Path,
    xy: np.ndarray,
    ids: np.ndarray | None = None,
    *,
    side: int = SIDE,
    columns: bool = False,
    transformation: dict[str, Any] | None = None,
    key: str | None = "tile_id",
) -> Path:
    """``shapes/{name}`` with its GeoParquet; `columns` adds x and y, as wsidata 0.1 did."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    numbers = np.arange(len(xy)) if ids is None else ids
    boxes = shapely.box(xy[:, 0], xy[:, 1], xy[:, 0] + side, xy[:, 1] + side)
    data: dict[str, Any] = {} if key is None else {key: numbers}
    data |= {"x": xy[:, 0], "y": xy[:, 1]} if columns else {}
    data["geometry"] = list(shapely.to_wkb(boxes))
    index: Any = {"kind": "range", "start": 0, "stop": len(xy), "step": 1}
    if key is None:
        data["__index_level_0__"] = numbers
        index = "__index_level_0__"
    table = arrow.table(data).replace_schema_metadata({"pandas": json.dumps({"index_columns": [index]})})
    group = zarr.open_group(folder, mode="w")
    group.attrs["coordinateTransformations"] = [transformation or IDENTITY]
    parquet.write_table(table, folder / "shapes.parquet")
    return folder / "shapes.parquet"


def write_column(group: zarr.Group, name: str, values: np.ndarray) -> None:
    """A column of ``obs``: numbers, or text as categories."""
    if values.dtype.kind != "U":
        group.create_array(name, data=values)
        return
    categories, codes = np.unique(values, return_inverse=True)
    part = group.create_group(name)
    part.attrs["encoding-type"] = "categorical"
    part.create_array("codes", data=codes.astype(np.int8))
    write_text(part, "categories", categories)


def write_text(group: zarr.Group, name: str, values: np.ndarray) -> None:
    """An array of text, as both versions of Zarr keep it."""
    array = group.create_array(name, shape=values.shape, dtype=str)
    array[...] = values.astype(object)


def write_table(
    group: zarr.Group,
    codes: np.ndarray,
    ids: np.ndarray,
    *,
    region: str = "tiles",
    key: str = "tile_id",
    is_sparse: bool = False,
    spatial: np.ndarray | None = None,
    uns: dict[str, Any] | None = None,
) -> zarr.Group:
    """A table of AnnData as SpatialData keeps it."""
    group.attrs.update({"encoding-type": "anndata", "region": region, "instance_key": key})
    if is_sparse:
        rows, cols = np.nonzero(codes)
        part = group.create_group("X")
        part.attrs.update({"encoding-type": "csr_matrix", "shape": list(codes.shape)})
        part.create_array("data", data=codes[rows, cols])
        part.create_array("indices", data=cols.astype(np.int32))
        counts = np.bincount(rows, minlength=len(codes))
        part.create_array("indptr", data=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    else:
        group.create_array("X", data=codes, chunks=(7, codes.shape[1]))
    write_column(group.create_group("obs"), key, ids)
    if spatial is not None:
        group.create_group("obsm").create_array("spatial", data=spatial)
    unstructured = group.create_group("uns")
    for name, value in (uns or {}).items():
        _write_value(unstructured, name, value)
    return group


def _write_value(group: zarr.Group, name: str, value: Any) -> None:
    if isinstance(value, dict):
        part = group.create_group(name)
        for key, entry in value.items():
            _write_value(part, key, entry)
    elif isinstance(value, str):
        write_text(group, name, np.array(value))
    else:
        group.create_array(name, data=np.asarray(value))


def write_store(
    path: Path,
    *,
    zarr_format: int = 3,
    tables: dict[str, dict[str, Any]] | None = None,
    attributes: dict[str, Any] | None = None,
    order: np.ndarray | None = None,
    **boxes: Any,
) -> Path:
    """A folder of wsidata: tiles, and a table of each name, in any order of rows."""
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    said = {"slide_properties": SLIDE, "tile_spec": {"tiles": SPEC}} if attributes is None else attributes
    root.attrs.update(said)
    order = np.arange(24) if order is None else order
    parts = root.create_group("tables")
    for name, options in (tables or {"uni_tiles": {}}).items():
        write_table(parts.create_group(name), features()[order], order, **options)
    root.create_group("shapes")
    write_boxes(path / "shapes" / "tiles", corners(), **boxes)
    return path
