"""Patch features as STAMP keeps them: ``feats`` (N, D) float16, ``coords`` (N, 2) (x, y) in micrometres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.hdf5 import (
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
from napari_nic.errors import StoreError
from napari_nic.geometry import MPP_MAX, MPP_MIN, PixelSize
from napari_nic.jobs import CancellationToken
from napari_nic.names import safe_name

FORMAT_VERSION = "2.5.0"
"""Version of STAMP whose files these are like."""


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store, token), named_header(store)
    grid = header.grid
    pixel = np.array([grid.pixel_size.x, grid.pixel_size.y])
    attributes = {
        "extractor": header.encoder_name,
        "unit": "um",
        "tile_size_um": grid.mpp * grid.patch_size,
        "tile_size_px": grid.patch_size,
        "stamp_version": FORMAT_VERSION,
        "code_hash": header.software,
        "feat_type": "tile",
    }
    rows = {"feats": table.features, "coords": table.corners_px[:, ::-1] * pixel}
    write_table(path, rows, {"/": attributes | header_attribute(header)}, token)


def default_name(header: StoreHeader) -> Path:
    """``{encoder}/{slide}.h5``."""
    return Path(safe_name(header.encoder_name), f"{safe_name(header.slide_name)}.h5")


def recognises(path: Path) -> bool:
    """Whether the file holds STAMP's datasets."""
    return has_datasets(path, "feats", "coords")


def read(path: Path, hints: ImportHints, token: CancellationToken) -> ForeignCodes:
    """Read features; the pixel size is the one of the tiles unless the slide's is given."""
    with open_table(path, "feats") as file:
        header, attributes = file.header(), file.attributes()
        unit = attributes.get("unit", "um")
        if unit != "um":
            raise StoreError("coordinates in an unknown unit", path=path, expected="um", found=str(unit))
        tile_um = read_number(attributes, "tile_size_um", path)
        tile_px = read_count(attributes, "tile_size_px", path)
        tile_mpp = tile_um / tile_px
        if not MPP_MIN <= tile_mpp <= MPP_MAX:
            raise StoreError("tiles of a resolution that cannot be", path=path, found=f"{tile_mpp:g} um/px")
        pixel = header.grid.pixel_size if header else hints.pixel_size
        pixel = pixel or PixelSize(tile_mpp, tile_mpp, "stamp tile size")
        return ForeignCodes(
            features=file.read_features(token),
            corners_px=file.read_coords(token) / np.array([pixel.y, pixel.x]),
            patch_px=tile_um / pixel.mean,
            stride_px=tile_um / pixel.mean,
            patch_size=tile_px,
            pixel_size=pixel,
            encoder_name=str(attributes.get("extractor", "unknown")),
            header=header,
            off_grid="STAMP rounds the side of its tiles up to whole pixels, so that they lie at another "
            "distance than the file states; such files cannot be laid on one grid yet",
        )


EXPORTER = Exporter("STAMP features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("STAMP features (.h5)", recognises, read)
