"""Patch features as CLAM keeps them: ``h5_files/{slide}.h5``.

``features`` (N, D) float32 and ``coords`` (N, 2), **(x, y)** in level-0 pixels, with the attributes of the
level that the patches were cut from.
"""

from __future__ import annotations

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
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name
from napari_nic.telling import Notices, tell


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells."""
    table, header = CodeTable.of(store, token), named_header(store)
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
        {"features": table.features, "coords": table.coords_xy},
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


def read(path: Path, hints: ImportHints, token: CancellationToken) -> ForeignCodes:
    """Read features; CLAM cuts patches without overlap, and does not say the pixel size.

    Its extraction of features leaves the coordinates without their attributes: the side of the patches is
    then the distance of neighbours.
    """
    with open_table(path) as file:
        header = file.header()
        attributes, corners = file.attributes("coords"), file.read_coords(token)
        pixel = header.grid.pixel_size if header else hints.pixel_size
        if pixel is None:
            raise StoreError(
                "the file does not state the pixel size of the slide",
                path=path,
                hint="give the um/px of its finest level (--mpp)",
            )
        if "patch_size" in attributes:
            patch_size = read_count(attributes, "patch_size", path)
            downsample = np.ravel(attributes.get("downsample", 1.0))[:1]  # of x and y
            side = patch_size * read_number({"downsample": downsample}, "downsample", path)
        else:
            side = _distance(corners, path)
            patch_size = round(side)
        return ForeignCodes(
            features=file.read_features(token),
            corners_px=corners,
            patch_px=side,
            stride_px=side,
            patch_size=patch_size,
            pixel_size=pixel,
            encoder_name="unknown (CLAM features)",
            slide_name=str(attributes["name"]) if "name" in attributes else None,
            header=header,
            off_grid="CLAM starts a grid of its own at each piece of tissue; such files have no one grid",
        )


def _distance(corners_px: np.ndarray, path: Path) -> float:
    """Commonest distance of a patch to the next one in its row or column, level-0 pixels; the user is told.

    Not the smallest one: CLAM starts a grid at each piece of tissue, and rows of two of them may lie closer
    to each other than the patches of either.
    """
    found = np.concatenate([_steps(corners_px, along) for along in (0, 1)])
    if not len(found) or not np.isfinite(found).all():
        raise StoreError(
            "the file does not state the side of its patches, and their places do not tell it",
            path=path,
            expected="an attribute 'patch_size' of 'coords', or patches side by side",
            hint="write the attribute, as CLAM's patching does",
        )
    distances, counts = np.unique(found, return_counts=True)
    side = float(distances[counts.argmax()])
    text = f"the file does not state the side of its patches: {side:g} px, their distance, is taken"
    tell(Notices(path.name, (text,)))
    return side


def _steps(corners_px: np.ndarray, along: int) -> np.ndarray:
    """Distances along an axis between neighbours that lie at the same place of the other axis."""
    across = 1 - along
    ordered = corners_px[np.lexsort((corners_px[:, along], corners_px[:, across]))]
    gaps = np.diff(ordered, axis=0)
    return gaps[(gaps[:, across] == 0) & (gaps[:, along] >= 1), along]


EXPORTER = Exporter("CLAM features (.h5)", ".h5", default_name, write)
IMPORTER = Importer("CLAM features (.h5)", recognises, read)
