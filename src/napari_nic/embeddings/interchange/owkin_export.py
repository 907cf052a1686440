"""Exports as Owkin's HistoSSLscaling keeps features: ``{slide}/features.npy``, float32 (N, 3 + D).

The first three columns are a DeepZoom level, and the tile's column and row in it. DeepZoom's last level is
the slide itself and each before it half as large, so a grid fits only if its patches lie edge to edge from
the slide's corner, and their pixels are 1, 2, 4... level-0 pixels. Our header lies beside,
``features.json``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.disk import replacing
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import CodeTable, header_to_text
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import safe_name

PLACE = 3
"""Columns before the features."""


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write places and features, slab by slab.

    Raises
    ------
    StoreError
        If the patches are no tiles of DeepZoom.
    """
    table, header = CodeTable.of(store), named_header(store)
    level = deepzoom_level(table)
    columns = PLACE + store.code_size
    described = companions(path)[0]
    with replacing(path) as new_array, replacing(described) as new_header:
        with new_array.open("wb") as file:
            shape = {"descr": "<f4", "fortran_order": False, "shape": (len(table), columns)}
            np.lib.format.write_array_header_1_0(file, shape)
            for part, codes in table.slabs(token):
                rows = np.empty((len(codes), columns), "<f4")
                rows[:, 0], rows[:, 1:PLACE], rows[:, PLACE:] = level, table.cells[part, ::-1], codes
                file.write(rows.data)
        new_header.write_bytes(header_to_text(header).encode("utf-8", "surrogatepass"))
        token.checkpoint()


def deepzoom_level(table: CodeTable) -> int:
    """Return the DeepZoom level of which the patches are tiles.

    Raises
    ------
    StoreError
        If there is none.
    """
    grid, shape = table.store.grid, table.store.header.slide_shape
    finest = (max(shape) - 1).bit_length()
    halvings = _halvings(grid)
    if halvings is None or not 0 <= halvings <= finest or table.store.offsets(table.cells).any():
        raise StoreError(
            "the patches are no tiles of DeepZoom, which Owkin's form counts in",
            path=table.store.path,
            expected="patches edge to edge from the slide's corner, at 1, 2, 4... level-0 pixels a pixel",
            found=f"{grid.patch_size} px of {grid.patch_px * grid.downsample[0]:g} level-0 px, one every "
            f"{grid.stride_px * grid.downsample[0]:g} px, from {grid.origin_px[::-1]}",
            hint="export as trident or parquet",
        )
    return finest - halvings


def _halvings(grid: PatchGrid) -> int | None:
    if grid.patch_px != grid.stride_px or grid.origin_px != (0, 0):
        return None
    scales = {grid.patch_px * downsample / grid.patch_size for downsample in grid.downsample}
    scale = scales.pop()
    halvings = round(np.log2(scale))
    return halvings if not scales and scale == 2**halvings else None


def companions(path: Path) -> tuple[Path, ...]:
    """(our header,) that belongs to an array."""
    return (path.with_suffix(".json"),)


def default_name(header: StoreHeader) -> Path:
    """``{slide}/features.npy``."""
    return Path(safe_name(header.slide_name), "features.npy")


EXPORTER = Exporter("Owkin features (.npy)", ".npy", default_name, write, companions)
