"""Exports as Parquet: a table of one row a patch, for pandas, Polars, DuckDB, R and databases.

Columns ``x``, ``y`` (int64, top left corner in level-0 pixels), ``row``, ``col`` (int32) and ``features``, a
list of C float32. The file's metadata has our header, and under ``patches`` in plain JSON what a program
needs that knows nothing of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.disk import replacing
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import CodeTable, header_attribute, side_px, step_px
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name

DESCRIPTION = "patches"
"""Key of the plain description among the file's metadata."""


def described(header: StoreHeader) -> dict[str, Any]:
    """Describe slide and patches in plain JSON."""
    grid = header.grid
    return {
        "slide": readable(header.slide_name),
        "slide_width": header.slide_shape[1],
        "slide_height": header.slide_shape[0],
        "um_per_px": [grid.pixel_size.x, grid.pixel_size.y],
        "encoder": header.encoder_name,
        "patch_size": grid.patch_size,
        "mpp": grid.mpp,
        "patch_size_level0": side_px(grid),
        "stride_level0": step_px(grid),
    }


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write the table, a group of rows for each slab."""
    pa = require("pyarrow", "tables of Parquet")
    parquet = require("pyarrow.parquet", "tables of Parquet")
    table, header = CodeTable.of(store), named_header(store)
    metadata = {DESCRIPTION: json.dumps(described(header)), **header_attribute(header)}
    features = pa.list_(pa.float32(), store.code_size)
    columns = [("x", pa.int64()), ("y", pa.int64()), ("row", pa.int32()), ("col", pa.int32())]
    schema = pa.schema([*columns, ("features", features)], metadata=metadata)
    coords = table.coords_xy
    with replacing(path) as temporary, temporary.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for part, codes in table.slabs(token):
                places = (*coords[part].T, *table.cells[part].T.astype(np.int32))
                flat = pa.array(codes.astype(np.float32).ravel())
                rows = pa.FixedSizeListArray.from_arrays(flat, type=features)
                writer.write_table(pa.Table.from_arrays([*map(pa.array, places), rows], schema=schema))
        token.checkpoint()


def default_name(header: StoreHeader) -> Path:
    """``{slide}.parquet``."""
    return Path(f"{safe_name(header.slide_name)}.parquet")


EXPORTER = Exporter("Parquet table (.parquet)", ".parquet", default_name, write)
