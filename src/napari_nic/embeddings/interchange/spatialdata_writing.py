"""The elements of a SpatialData folder (Zarr v3) that hold patches: boxes as shapes, codes as a table."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import zarr
from zarr.storage import LocalStore

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.anndata_parts import ARRAY, patches_frame, write_parts
from napari_nic.embeddings.interchange.table import CodeTable, header_attribute, side_px
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken

SHAPES, TABLES = "shapes", "tables"
REGION_KEY, INSTANCE_KEY = "library_id", "tile_id"
SHAPES_FILE, ROOT = "shapes.parquet", "zarr.json"

_ROWS_AT_ONCE, _CHUNK_BYTES = 2**16, 4 * 2**20
_AXES = [{"name": name, "type": "space", "unit": "unit"} for name in "xy"]
_SHAPES = {
    "encoding-type": "ngff:shapes",
    "axes": ["x", "y"],
    "coordinateTransformations": [
        {
            "type": "identity",
            "input": {"name": "xy", "axes": _AXES},
            "output": {"name": "global", "axes": _AXES},
        }
    ],
    "spatialdata_attrs": {"version": "0.3"},
}


def write_shapes(folder: Path, table: CodeTable, token: CancellationToken) -> None:
    """Write the patches as boxes in level-0 pixels: GeoParquet with tile_id, tissue_id, row and col."""
    pa = require("pyarrow", "tables of SpatialData")
    parquet = require("pyarrow.parquet", "tables of SpatialData")
    group_of(folder, _SHAPES)
    side, corners = side_px(table.store.grid), table.coords_xy
    far = corners.max(axis=0, initial=0) + side
    near = corners.min(axis=0) if len(corners) else np.zeros(2)
    geometry = {
        "encoding": "WKB",
        "crs": None,
        "geometry_types": ["Polygon"],
        "bbox": [float(side) for side in (*near, *far)],
    }
    described = {"primary_column": "geometry", "columns": {"geometry": geometry}, "version": "1.1.0"}
    names = ("tile_id", "tissue_id", "row", "col")
    schema = pa.schema(
        [*((name, pa.int64()) for name in names), ("geometry", pa.binary())],
        metadata={"geo": json.dumps(described)},
    )
    with parquet.ParquetWriter(folder / SHAPES_FILE, schema, compression="zstd") as writer:
        for start in range(0, len(table), _ROWS_AT_ONCE):
            token.checkpoint()
            part = slice(start, min(len(table), start + _ROWS_AT_ONCE))
            x, y = corners[part].T
            boxes = shapely.to_wkb(shapely.box(x, y, x + side, y + side))
            numbers = np.arange(part.start, part.stop)
            columns = (numbers, np.zeros_like(numbers), *table.cells[part].T)
            arrays = [*map(pa.array, columns), pa.array(boxes, pa.binary())]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_codes(
    folder: Path, table: CodeTable, header: StoreHeader, tiles: str, ids: np.ndarray, token: CancellationToken
) -> None:
    """Write the codes as a table that annotates shapes.

    Parameters
    ----------
    folder : Path
        Of the table.
    table : CodeTable
    header : StoreHeader
        Written into ``uns``.
    tiles : str
        Name of the shapes.
    ids : ndarray of int64, (N,)
        Number of each patch's shape. A patch's row in the table is the rank of its number.
    token : CancellationToken
    """
    import pandas as pd

    said = {"region": tiles, "region_key": REGION_KEY, "instance_key": INSTANCE_KEY}
    group = group_of(folder, {"spatialdata-encoding-type": "ngff:regions_table", **said, "version": "0.2"})
    order = np.argsort(ids, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    _write_matrix(group, table, rank, token)
    obs = patches_frame(table, ids).iloc[order]
    obs[REGION_KEY] = pd.Categorical.from_codes(np.zeros(len(obs), np.int8), pd.Index([tiles], dtype=object))
    uns = {"spatialdata_attrs": said, "encoder": header.encoder_name, **header_attribute(header)}
    write_parts(group, obs, {"uns": uns}, table.shape[1])
    token.checkpoint()


def _write_matrix(group: zarr.Group, table: CodeTable, rank: np.ndarray, token: CancellationToken) -> None:
    rows, size = table.shape
    at_once = max(1, min(max(1, rows), _CHUNK_BYTES // (4 * size)))
    matrix = group.create_array(
        "X",
        shape=(rows, size),
        dtype="float32",
        chunks=(at_once, size),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    matrix.attrs.update(ARRAY)
    for part, codes in table.slabs(token):
        at = rank[part]
        if (np.diff(at) == 1).all():
            matrix[int(at[0]) : int(at[-1]) + 1] = codes.astype(np.float32)
        else:  # the shapes of another program have an order of their own
            matrix.set_orthogonal_selection((at, slice(None)), codes.astype(np.float32))


def group_of(folder: Path, attributes: Mapping[str, Any]) -> zarr.Group:
    """Make a group in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return zarr.create_group(LocalStore(folder), zarr_format=3, attributes=dict(attributes))


def consolidated(folder: Path, attributes: Mapping[str, Any]) -> bytes:
    """Return the root's description that names all elements of a folder, as SpatialData looks for it.

    Parameters
    ----------
    folder : Path
        Left as it is.
    attributes : mapping
        What the root's attributes will say besides, or anew.
    """
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)
        copy = Path(name)
        # Of the descriptions alone: zarr does not know what else lies in a folder of SpatialData.
        for file in folder.rglob(ROOT):
            target = copy / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        root = json.loads((copy / ROOT).read_bytes())
        root["attributes"] = {**(root.get("attributes") or {}), **attributes}
        (copy / ROOT).write_text(json.dumps(root))
        zarr.consolidate_metadata(LocalStore(copy), zarr_format=3)
        return (copy / ROOT).read_bytes()
