"""Exports as AnnData keeps tables: ``.h5ad``, for scanpy, squidpy and whoever works with anndata.

X holds the codes, float32. ``obs`` numbers the patches and has their row, col, and corner x, y;
``obsm["spatial"]`` (N, 2) are **corners (x, y)** in level-0 pixels, as in the AnnData that LazySlide hands
out, and ``obsm["spatial_centre"]`` the centres, for programs that draw a spot around its place
(``squidpy.pl.spatial_scatter(..., spatial_key="spatial_centre")``). ``uns`` has wsidata's ``tile_spec`` and
``slide_properties``, squidpy's ``spatial`` and our header.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.anndata_parts import ARRAY, patches_frame, write_parts
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.hdf5_writing import new_file, write_rows
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import CodeTable, header_attribute, side_px
from napari_nic.embeddings.interchange.tiles_described import TILES, element_name, slide_properties, tile_spec
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.extras import check_installed
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write the table; codes slab by slab."""
    check_installed("anndata", "files of AnnData")
    table, header = CodeTable.of(store), named_header(store)
    with new_file(path) as file:
        codes = file.create_dataset("X", table.shape, np.float32)
        codes.attrs.update(ARRAY)
        for part, rows in table.slabs(token):
            write_rows(codes, part, rows)
        write_parts(file, patches_frame(table), _parts(table, header), store.code_size)
        token.checkpoint()


def _parts(table: CodeTable, header: StoreHeader) -> dict[str, dict[str, Any]]:
    corners = table.corners_px[:, ::-1]
    side = side_px(header.grid)
    scale = {"spot_diameter_fullres": float(side), "tissue_hires_scalef": 1.0, "tissue_lowres_scalef": 1.0}
    library = {"images": {}, "scalefactors": scale, "metadata": {}}
    uns = {
        "spatial": {element_name(readable(header.slide_name)): library},
        "tile_spec": {key: value for key, value in tile_spec(header.grid).items() if value is not None},
        "slide_properties": slide_properties(header) | {"level_shape": np.array([header.slide_shape])},
        "slide_name": readable(header.slide_name),
        "encoder": header.encoder_name,
        "tile_key": TILES,
    }
    spatial = {"spatial": corners, "spatial_centre": corners + side / 2}
    return {"obsm": spatial, "uns": uns | header_attribute(header)}


def default_name(header: StoreHeader) -> Path:
    """``{slide}.h5ad``."""
    return Path(f"{safe_name(header.slide_name)}.h5ad")


EXPORTER = Exporter("AnnData (.h5ad)", ".h5ad", default_name, write)
