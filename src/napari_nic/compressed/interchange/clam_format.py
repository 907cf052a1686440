"""Patch features as CLAM keeps them: ``h5_files/{slide}.h5``.

``features`` (N, D) float32 and ``coords`` (N, 2), **(x, y)** in level-0 pixels, with the attributes of the
level that the patches were cut from.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_nic.compressed.header import StoreHeader
from napari_nic.compressed.interchange.hdf5 import (
    existing_file,
    has_datasets,
    new_file,
    read_attribute,
    read_coords,
    read_matrix,
)
from napari_nic.compressed.interchange.registry import Exporter, Importer
from napari_nic.compressed.interchange.table import (
    HEADER_ATTRIBUTE,
    CodeTable,
    ForeignCodes,
    ImportHints,
    header_from_text,
    header_to_text,
    named_header,
)
from napari_nic.compressed.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.names import readable, safe_name


def write(store: CompressedSlide, path: Path) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store), named_header(store)
    grid = header.grid
    height, width = header.slide_shape
    down_y, down_x = grid.downsample
    level_dim = (round(width / down_x), round(height / down_y))
    with new_file(path) as file:
        file.create_dataset("features", data=table.features.astype(np.float32))
        coords = file.create_dataset("coords", data=table.coords_xy)
        coords.attrs.update(
            {
                "patch_size": grid.patch_px,
                "patch_level": grid.level,
                "downsample": (down_x, down_y),
                "downsampled_level_dim": level_dim,
                "level_dim": level_dim,
                "name": readable(header.slide_name),
                "save_path": readable(str(path.parent)),
            }
        )
        file.attrs[HEADER_ATTRIBUTE] = header_to_text(header)


def default_name(header: StoreHeader) -> Path:
    """``h5_files/{slide}.h5``."""
    return Path("h5_files", f"{safe_name(header.slide_name)}.h5")


def recognises(path: Path) -> bool:
    """Whether the file holds features and CLAM's description of the coordinates."""
    if not has_datasets(path, "features", "coords"):
        return False
    with h5py.File(path, "r") as file:
        return "patch_level" in file["coords"].attrs


def read(path: Path, hints: ImportHints) -> ForeignCodes:
    """Read features; CLAM cuts patches without overlap, and does not say the pixel size."""
    with existing_file(path) as file:
        header = header_from_text(file.attrs.get(HEADER_ATTRIBUTE), path)
        attributes = dict(file["coords"].attrs)
        patch_size = int(read_attribute(attributes, "patch_size", path))
        factor = float(np.ravel(attributes.get("downsample", 1.0))[0])
        pixel = header.grid.pixel_size if header else hints.pixel_size
        if pixel is None:
            raise StoreError(
                "the file does not state the pixel size", path=path, hint="give the slide, or its um/px"
            )
        return ForeignCodes(
            features=read_matrix(file, "features", path),
            corners_px=read_coords(file, path),
            patch_px=patch_size * factor,
            stride_px=patch_size * factor,
            patch_size=patch_size,
            pixel_size=pixel,
            encoder_name="unknown (CLAM features)",
            slide_name=str(attributes["name"]) if "name" in attributes else None,
            header=header,
        )


EXPORTER = Exporter("CLAM features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("CLAM features (.h5)", recognises, read)
