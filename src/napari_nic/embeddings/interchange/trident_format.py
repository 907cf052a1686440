"""Patch features as TRIDENT keeps them: one HDF5 file a slide.

``features`` (N, D) float32 and ``coords`` (N, 2) int64, **(x, y)** in level-0 pixels, with the attributes
that its tools look for. Only the format was looked at, none of its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.hdf5 import (
    attribute_names,
    has_datasets,
    open_table,
    read_count,
    read_number,
    write_table,
)
from napari_nic.embeddings.interchange.registry import Exporter, Importer
from napari_nic.embeddings.interchange.table import (
    UM_PER_PX_AT_1X,
    CodeTable,
    ForeignCodes,
    ImportHints,
    header_attribute,
    magnification_of,
    named_header,
)
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store), named_header(store)
    place = {"name": readable(header.slide_name), "savetodir": readable(str(path.parent))}
    attributes = {
        "features": place | {"encoder": header.encoder_name},
        "coords": place | _geometry(header),
        "/": header_attribute(header),
    }
    places = {"coords": table.coords_xy}
    write_table(path, table, "features", places, attributes, token, dtype=np.float32)


def _geometry(header: StoreHeader) -> dict[str, Any]:
    grid = header.grid
    return {
        "patch_size": grid.patch_size,
        "patch_size_level0": round(grid.patch_px * grid.downsample[1]),
        "level0_magnification": magnification_of(grid.pixel_size.mean),
        "target_magnification": magnification_of(grid.mpp),
        "overlap": overlap_of(grid),
        "level0_width": header.slide_shape[1],
        "level0_height": header.slide_shape[0],
    }


def overlap_of(grid: PatchGrid) -> int:
    """Overlap of neighbouring patches in pixels that the encoder sees; negative where there are gaps."""
    return round((grid.patch_px - grid.stride_px) * grid.patch_size / grid.patch_px)


def default_name(header: StoreHeader) -> Path:
    """Path inside a TRIDENT job folder."""
    grid = header.grid
    cut = f"{magnification_of(grid.mpp)}x_{grid.patch_size}px_{overlap_of(grid)}px_overlap"
    return Path(cut, f"features_{safe_name(header.encoder_name)}", f"{safe_name(header.slide_name)}.h5")


def recognises(path: Path) -> bool:
    """Whether the file holds features and TRIDENT's description of the coordinates."""
    return has_datasets(path, "features", "coords") and "patch_size_level0" in attribute_names(path, "coords")


@contextmanager
def read(path: Path, _hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features, and the size of the patches from the coordinates' attributes."""
    with open_table(path) as file:
        attributes = file.attributes("coords")
        patch_size = read_count(attributes, "patch_size", path)
        patch_px = read_number(attributes, "patch_size_level0", path)
        overlap = read_number(attributes, "overlap", path, 0.0)
        magnification = read_number(attributes, "target_magnification", path, 0.0)
        yield ForeignCodes(
            features=file.rows(),
            corners=file.read_coords(token),
            patch=patch_px,
            stride=patch_px * (patch_size - overlap) / patch_size,
            patch_size=patch_size,
            mpp=UM_PER_PX_AT_1X / magnification if magnification > 0 else None,
            encoder_name=str(file.attributes("features").get("encoder", "unknown")),
            slide_name=str(attributes["name"]) if "name" in attributes else None,
            slide_shape=_shape(attributes, path),
            header=file.header(),
        )


def _shape(attributes: dict[str, Any], path: Path) -> tuple[int, int] | None:
    if not {"level0_width", "level0_height"} <= attributes.keys():
        return None
    return read_count(attributes, "level0_height", path), read_count(attributes, "level0_width", path)


EXPORTER = Exporter("TRIDENT features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("TRIDENT features (.h5)", recognises, read)
