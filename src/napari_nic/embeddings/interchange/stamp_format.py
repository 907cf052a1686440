"""Patch features as STAMP keeps them: ``feats`` (N, D) float16, ``coords`` (N, 2) (x, y) in micrometres."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
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
    needs_slide,
)
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.jobs import CancellationToken
from napari_nic.names import safe_name

FORMAT_VERSION = "2.5.0"
"""Version of STAMP whose files these are like."""


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store), named_header(store)
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
    places = {"coords": table.corners_px[:, ::-1] * pixel}
    write_table(path, table, "feats", places, {"/": attributes | header_attribute(header)}, token)


def default_name(header: StoreHeader) -> Path:
    """``{encoder}/{slide}.h5``."""
    return Path(safe_name(header.encoder_name), f"{safe_name(header.slide_name)}.h5")


def recognises(path: Path) -> bool:
    """Whether the file holds STAMP's datasets."""
    return has_datasets(path, "feats", "coords")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; micrometres become pixels by the slide's pixel size, which the file does not state.

    STAMP cuts tiles of ceil(tile_um / mpp) pixels, at whole multiples of that side; what it writes as
    ``px * mpp + k * tile_um`` is nearest to the right multiple.
    """
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
        if pixel is None:
            raise needs_slide(path, "its coordinates are micrometres")
        corners, side = (
            file.read_coords(token) / np.array([pixel.y, pixel.x]),
            math.ceil(tile_um / pixel.mean),
        )
        yield ForeignCodes(
            features=file.rows(),
            corners=corners if header else np.rint(corners / side) * side,
            patch=side,
            stride=side,
            patch_size=tile_px,
            mpp=tile_mpp,
            encoder_name=str(attributes.get("extractor", "unknown")),
            header=header,
        )


EXPORTER = Exporter("STAMP features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("STAMP features (.h5)", recognises, read)
