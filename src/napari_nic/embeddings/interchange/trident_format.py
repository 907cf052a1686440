"""Patch features as TRIDENT keeps them: one HDF5 file a slide.

``features`` (N, D) float32 and ``coords`` (N, 2) int64, **(x, y)** in level-0 pixels, with the attributes
that its tools look for. Only the format was looked at, none of its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nic.embeddings.interchange.hdf5 import (
    attribute_names,
    has_datasets,
    open_table,
    read_count,
    read_number,
    read_text,
)
from napari_nic.embeddings.interchange.hdf5_contents import is_group
from napari_nic.embeddings.interchange.partners import encoder_stated
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    UM_PER_PX_AT_1X,
    ForeignCodes,
    ImportHints,
)
from napari_nic.jobs import CancellationToken
from napari_nic.names import exists


def recognises(path: Path) -> bool:
    """Whether the file holds features and TRIDENT's description of the coordinates."""
    if not has_datasets(path, "features", "coords") or is_group(path, "features"):
        return False
    return "patch_size_level0" in attribute_names(path, "coords")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features, and the size of the patches from the coordinates' attributes.

    What is stated of the distance of patches is only a fallback: versions differ in what they mean by an
    overlap, and the side in level-0 pixels may be one pixel less than what was cut.
    """
    with open_table(path) as file:
        attributes = file.attributes("coords")
        patch_size = read_count(attributes, "patch_size", path)
        overlap = read_number(attributes, "overlap", path, 0.0)
        magnification = read_number(attributes, "target_magnification", path, 0.0)
        patch_px, scale = _patch_px(attributes, patch_size, magnification, path)
        yield ForeignCodes(
            features=file.rows(hints.encoder["code_size"] if hints.encoder else None),
            corners=file.read_coords(token),
            patch=patch_px,
            stride=patch_px - round(overlap * scale),
            patch_size=patch_size,
            mpp=UM_PER_PX_AT_1X / magnification if magnification > 0 else None,
            encoder_name=encoder_stated(file.attributes("features"), path) or "unknown",
            slide_name=read_text(attributes, "name"),
            slide_shape=_shape(attributes, path),
            header=file.header(),
            notes=(_LOCKED,) if exists(path.with_name(f"{path.name}.lock")) else (),
        )


def _patch_px(
    attributes: dict[str, Any], patch_size: int, magnification: float, path: Path
) -> tuple[float, float]:
    """Side of the patches in level-0 pixels, and level-0 pixels of one that the encoder saw.

    The side is stated rounded down, and cut rounded: 256 px at 15x of 40x are 682 as stated, and 683. Where
    the side is the distance of patches, as models of whole slides want it, its own attribute tells it.
    """
    name = "patch_side_level0" if "patch_side_level0" in attributes else "patch_size_level0"
    stated = read_number(attributes, name, path)
    level0 = read_number(attributes, "level0_magnification", path, 0.0)
    scale = level0 / magnification if level0 > 0 and magnification > 0 else 0.0
    if 0 <= patch_size * scale - stated < 1:
        return float(round(patch_size * scale)), scale
    return stated, stated / patch_size


_LOCKED = (
    "a lock of TRIDENT lies beside it, so it may still be written, or its writing was broken off: import it "
    "again when the lock is gone"
)


def _shape(attributes: dict[str, Any], path: Path) -> tuple[int, int] | None:
    if not {"level0_width", "level0_height"} <= attributes.keys():
        return None
    return read_count(attributes, "level0_height", path), read_count(attributes, "level0_width", path)


IMPORTER = Importer("TRIDENT features (.h5)", recognises, read)
