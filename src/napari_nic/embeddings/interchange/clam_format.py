"""Patch features as CLAM keeps them: ``h5_files/{slide}.h5``.

``features`` (N, D) float32 and ``coords`` (N, 2), **(x, y)** in level-0 pixels, with the attributes of the
level that the patches were cut from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    CodeTable,
    ForeignCodes,
    ImportHints,
    header_attribute,
    named_header,
)
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store), named_header(store)
    grid = header.grid
    height, width = header.slide_shape
    down_y, down_x = grid.downsample
    level_dim = (round(width / down_x), round(height / down_y))
    attributes = {
        "patch_size": grid.patch_px,
        "patch_level": grid.level,
        "downsample": (down_x, down_y),
        "downsampled_level_dim": level_dim,
        "level_dim": level_dim,
        "name": readable(header.slide_name),
        "save_path": readable(str(path.parent)),
    }
    write_table(
        path,
        table,
        "features",
        {"coords": table.coords_xy},
        {"coords": attributes, "/": header_attribute(header)},
        token,
        dtype=np.float32,
    )


def default_name(header: StoreHeader) -> Path:
    """``h5_files/{slide}.h5``."""
    return Path("h5_files", f"{safe_name(header.slide_name)}.h5")


def recognises(path: Path) -> bool:
    """Whether the file holds features and coordinates, and is not TRIDENT's."""
    if not has_datasets(path, "features", "coords"):
        return False
    return "patch_size_level0" not in attribute_names(path, "coords")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; CLAM states neither the pixel size nor the distance of its patches.

    Its extraction of features leaves the coordinates without their attributes: the side of the patches is
    then the distance of neighbours.
    """
    with open_table(path) as file:
        attributes, side, patch_size = file.attributes("coords"), None, None
        if "patch_size" in attributes:
            patch_size = read_count(attributes, "patch_size", path)
            downsample = np.ravel(attributes.get("downsample", 1.0))[:1]  # of x and y
            side = patch_size * int(read_number({"downsample": downsample}, "downsample", path))
        yield ForeignCodes(
            features=file.rows(),
            corners=file.read_coords(token),
            patch=side,
            patch_size=patch_size,
            pixel_size=hints.pixel_size,
            encoder_name="unknown (CLAM features)",
            slide_name=str(attributes["name"]) if "name" in attributes else None,
            header=file.header(),
        )


EXPORTER = Exporter("CLAM features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("CLAM features (.h5)", recognises, read)
