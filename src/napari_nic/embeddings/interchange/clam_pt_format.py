"""Patch features as CLAM trains on them: ``pt_files/{slide}.pt``, a tensor (N, D) and no coordinates.

Its rows are those of ``h5_files/{slide}.h5``, and of the file of patches, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_nic.embeddings.interchange import clam_format
from napari_nic.embeddings.interchange.clam_places import PATCHES, patches_of, read_patches
from napari_nic.embeddings.interchange.hdf5 import has_datasets
from napari_nic.embeddings.interchange.partners import partner_of, stem_of
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints
from napari_nic.embeddings.interchange.tensors import is_tensor_file, open_tensor
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import exists
from napari_nic.wording import counted


def recognises(path: Path) -> bool:
    """Whether the file may be a tensor whose places lie in a file of CLAM's."""
    if not is_tensor_file(path):
        return False
    return not any(exists(path.with_name(f"{stem_of(path)}{suffix}")) for suffix in _OF_OTHERS)


_OF_OTHERS = (".index.npz", ".meta.json")
"""What lies beside tensors of slideflow and slide2vec."""

_FEATURES = ("../h5_files/{stem}.h5", "{stem}.h5")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features, and their places from the file of features or patches that has the same rows."""
    features, partner = open_tensor(path), _partner(path, hints)
    if partner is None:
        raise StoreError(
            "features without the places of their patches",
            path=path,
            expected="../h5_files/{slide}.h5 or ../patches/{slide}.h5 (CLAM), {slide}.index.npz beside it "
            "(slideflow), or {slide}.meta.json (slide2vec)",
            found=f"{counted(features.shape[0], 'row')} of {features.shape[1]} numbers, and no such file",
            hint="name the file of places, or its folder (import --coords), or import an .h5 that has them",
        )
    with _places(partner, hints, token) as places:
        yield replace(places, features=features)


@contextmanager
def _places(partner: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    if has_datasets(partner, "features", "coords"):
        with clam_format.read(partner, replace(hints, coords=None), token) as places:
            yield places
        return
    corners, cut = read_patches(partner, token)
    yield ForeignCodes(
        features=np.empty((0, 1)),
        corners=corners,
        unit_px=cut.unit_px,
        patch=cut.patch,
        patch_size=cut.patch_size,
        pixel_size=hints.pixel_size,
        encoder_name="unknown (CLAM features)",
        slide_name=cut.slide_name,
        slide_shape=cut.slide_shape,
    )


def _partner(path: Path, hints: ImportHints) -> Path | None:
    if hints.coords is not None:
        return partner_of(path, hints, *_FEATURES, *PATCHES)
    return partner_of(path, hints, *_FEATURES) or patches_of(path, hints)


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """The tensor, the file of its places, and what goes with that."""
    partner = _partner(path, hints)
    if partner is None:
        return (path,)
    if has_datasets(partner, "features", "coords"):
        return (path, *clam_format.files(partner, replace(hints, coords=None)))
    return (path, partner)


IMPORTER = Importer("CLAM features (.pt, with its .h5)", recognises, read, files)
