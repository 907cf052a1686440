"""Patch features as CLAM keeps them: ``h5_files/{slide}.h5``.

``features`` (N, D) float32 and ``coords`` (N, 2), **(x, y)** in level-0 pixels, with the attributes of the
level that the patches were cut from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.embeddings.interchange.clam_places import check_same_places, cut_of, patches_of, read_patches
from napari_nic.embeddings.interchange.hdf5 import (
    attribute_names,
    has_datasets,
    open_table,
)
from napari_nic.embeddings.interchange.hdf5_contents import is_group
from napari_nic.embeddings.interchange.partners import encoder_stated
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    ForeignCodes,
    ImportHints,
)
from napari_nic.jobs import CancellationToken

if TYPE_CHECKING:
    import h5py


def recognises(path: Path) -> bool:
    """Whether the file holds features and coordinates, and is neither TRIDENT's nor AtlasPatch's."""
    if not has_datasets(path, "features", "coords") or is_group(path, "features"):
        return False
    return "patch_size_level0" not in attribute_names(path, "coords")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; CLAM states neither the pixel size nor the distance of its patches.

    Its extraction of features leaves the coordinates without their attributes: those of the file of patches
    are taken, if there is one; else the side of the patches is the distance of neighbours.
    """
    with open_table(path) as file:
        attributes = file.attributes("coords")
        corners, cut = file.read_coords(token), cut_of(attributes, path)
        partner = _patches_of(path, hints)
        notes: tuple[str, ...] = ()
        if partner is not None:
            patches, cut = read_patches(partner, token)
            check_same_places(corners, patches, path, partner)
        elif cut.patch is None and _is_old(file.file["coords"]):
            notes = (_OLD,)
        yield ForeignCodes(
            features=file.rows(hints.encoder["code_size"] if hints.encoder else None),
            corners=corners,
            unit_px=cut.unit_px,
            patch=cut.patch,
            patch_size=cut.patch_size,
            pixel_size=hints.pixel_size,
            encoder_name=encoder_stated(file.attributes("features"), path) or "unknown (CLAM features)",
            slide_name=cut.slide_name,
            slide_shape=cut.slide_shape,
            header=file.header(),
            notes=notes,
        )


_OLD = (
    "versions of CLAM before 2021 wrote places in pixels of the patches' level: these are taken as level-0 "
    "pixels; give the file of its patches (import --coords) to be sure"
)


def _is_old(coords: h5py.Dataset) -> bool:
    """Whether the places look like those of the versions that kept pictures of all patches."""
    return bool(coords.dtype == np.int32 and coords.chunks is not None and coords.chunks[0] == 1)


def _patches_of(path: Path, hints: ImportHints) -> Path | None:
    """The file of patches, unless all of it is in the file of features already."""
    is_needed = hints.coords is not None or (
        "patch_size" not in attribute_names(path, "coords")
        and HEADER_ATTRIBUTE not in attribute_names(path, "/")
    )
    return patches_of(path, hints) if is_needed else None


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """The features, and the file of patches where it is read."""
    partner = _patches_of(path, hints)
    return (path,) if partner is None else (path, partner)


IMPORTER = Importer("CLAM features (.h5)", recognises, read, files)
