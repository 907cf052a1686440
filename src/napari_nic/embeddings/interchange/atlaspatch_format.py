"""Patch features as AtlasPatch keeps them: one HDF5 file a slide, for any number of encoders.

``coords`` (N, 5) int32: **x, y** in level-0 pixels, then the width, height and level that were read; group
``features`` with a dataset (N, D) float32 for each encoder; attributes on the file itself. Only the format
was looked at, none of its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from napari_nic.embeddings.interchange.hdf5 import (
    TableFile,
    checked_matrix,
    has_datasets,
    open_table,
    read_corners,
    read_count,
    read_number,
)
from napari_nic.embeddings.interchange.hdf5_contents import is_group
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import UM_PER_PX_AT_1X, ForeignCodes, ImportHints
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken

_HALF_WRITTEN = "__tmp_"
"""Features that are still being written are called so."""


def recognises(path: Path) -> bool:
    """Whether the file holds places, and features by the name of their encoder."""
    return has_datasets(path, "features", "coords") and is_group(path, "features")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read the features of one encoder: the only one, or the one that the hints name."""
    with open_table(path) as whole:
        encoder = _encoder(whole.file, hints.features, path)
        file = TableFile(whole.file, path, f"features/{encoder}")
        attributes = file.attributes()
        patch_size = read_count(attributes, "patch_size", path)
        patch_px = read_number(attributes, "patch_size_level0", path)
        overlap = read_number(attributes, "overlap", path, 0.0)
        magnification = read_number(attributes, "target_magnification", path, 0.0)
        shape = None
        if {"level0_width", "level0_height"} <= attributes.keys():
            shape = (
                read_count(attributes, "level0_height", path),
                read_count(attributes, "level0_width", path),
            )
        yield ForeignCodes(
            features=file.rows(),
            corners=_corners(file, token),
            patch=patch_px,
            stride=patch_px * (patch_size - overlap) / patch_size,
            patch_size=patch_size,
            mpp=UM_PER_PX_AT_1X / magnification if magnification > 0 else None,
            encoder_name=encoder,
            slide_shape=shape,
            header=file.header(),
        )


def _encoder(file: h5py.File, wanted: str | None, path: Path) -> str:
    """Choose the features to read."""
    if not isinstance(file.get("features", getlink=True), h5py.HardLink):
        raise StoreError("group 'features' leads elsewhere", path=path, hint="copy it into the file")
    texts = [name for name in file["features"] if isinstance(name, str)]  # bytes where they are no text
    names = [name for name in texts if not name.startswith(_HALF_WRITTEN)]
    if wanted in names:
        return str(wanted)
    if wanted is None and len(names) == 1:
        return str(names[0])
    if not names:
        raise StoreError(
            "places of patches, no features of them",
            path=path,
            expected="features of at least one encoder",
            found="features that are half written" if len(file["features"]) else "an empty group 'features'",
            hint="let AtlasPatch extract features first",
        )
    raise StoreError(
        "the file holds features of several encoders" if wanted is None else "no features of that encoder",
        path=path,
        expected=f"one of {', '.join(names)}",
        found=f"none named: {len(names)} to choose from" if wanted is None else wanted,
        hint="name one (--features NAME)",
    )


def _corners(file: TableFile, token: CancellationToken) -> np.ndarray:
    """(y, x) of the patches, the first two of five columns."""
    coords = checked_matrix(file.file, "coords", file.path)
    if coords.shape[1] not in (2, 5):
        raise StoreError(
            "dataset 'coords' has neither five columns nor two", path=file.path, found=f"shape {coords.shape}"
        )
    return read_corners(coords, token)


IMPORTER = Importer("AtlasPatch features (.h5)", recognises, read)
