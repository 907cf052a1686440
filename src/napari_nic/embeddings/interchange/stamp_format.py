"""Patch features as STAMP keeps them: ``feats`` (N, D) float16, ``coords`` (N, 2) of **(x, y)**.

Since version 2 these are micrometres, in version 1 pixels of a picture of the slide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.embeddings.interchange.choosing import chosen_rows
from napari_nic.embeddings.interchange.hdf5 import (
    TableFile,
    attribute_names,
    has_datasets,
    open_table,
    read_count,
    read_number,
    read_text,
)
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.stamp_tiles import place_tiles
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    ForeignCodes,
    ImportHints,
    needs_slide,
    no_patches_but_a_slide,
)
from napari_nic.errors import StoreError
from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.jobs import CancellationToken


def recognises(path: Path) -> bool:
    """Whether the file holds STAMP's features, of tiles or of a whole slide."""
    return has_datasets(path, "feats")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; places become level-0 pixels by the slide's pixel size, which the file lacks."""
    with open_table(path, "feats") as file:
        attributes, header = file.attributes(), file.header()
        kind = read_text(attributes, "feat_type") or "tile"
        if kind in _WHOLES:
            raise no_patches_but_a_slide(path, file.file["feats"].shape, _WHOLES[kind])
        if header is not None:
            pixel = header.grid.pixel_size
            corners = file.read_coords(token) / np.array([pixel.y, pixel.x])
            yield ForeignCodes(file.rows(), corners, header=header)
        elif attributes.keys() & {"tile_size_um", "tile_size"}:
            yield _of_tiles(file, attributes, hints, token)
        else:
            yield _of_a_picture(file, attributes, hints, token)


_WHOLES = {"slide": "the whole slide", "patient": "a whole patient"}
_PX = 224
"""Side of a tile that the encoder sees, unless STAMP was told another."""


def _of_tiles(
    file: TableFile, attributes: dict[str, Any], hints: ImportHints, token: CancellationToken
) -> ForeignCodes:
    """Read a file of STAMP 2: places in micrometres."""
    unit = read_text(attributes, "unit") or "um"
    if unit != "um":
        raise StoreError("coordinates in an unknown unit", path=file.path, expected="um", found=unit)
    size = "tile_size_um" if "tile_size_um" in attributes else "tile_size"  # of 2.0
    tile_um = read_number(attributes, size, file.path)
    notes: tuple[str, ...] = ()
    if "tile_size_px" in attributes:
        tile_px = read_count(attributes, "tile_size_px", file.path)
    else:
        tile_px = hints.patch_size or _PX
        notes = (
            f"the file does not state how many pixels of a tile the encoder saw: {tile_px} are taken, as "
            "STAMP 2.0 does unless it is told otherwise",
        )
    _check_mpp(tile_um / tile_px, file.path)
    found = place_tiles(file.read_coords(token), tile_um, _mpp(file.path, hints, "micrometres"), file.path)
    return ForeignCodes(
        features=file.rows(),
        corners=found.corners,
        patch=found.side,
        stride=found.side,
        patch_size=tile_px,
        mpp=tile_um / tile_px,
        encoder_name=read_text(attributes, "extractor") or "unknown",
        notes=notes,
    )


def _of_a_picture(
    file: TableFile, attributes: dict[str, Any], hints: ImportHints, token: CancellationToken
) -> ForeignCodes:
    """Read a file of STAMP 1: places in pixels of a picture of the slide, made at the resolution of tiles."""
    microns, side, notes = _picture(file.path)
    rows, corners = file.rows(), file.read_coords(token)
    if "augmented" in file.file:
        kept = _not_augmented(file)
        rows, corners = chosen_rows(rows, kept), corners[kept]
    if np.mod(corners, side).any():
        raise StoreError(
            "tiles that do not lie as STAMP 1 cuts them",
            path=file.path,
            expected=f"places at multiples of {side} px, or the attributes of STAMP 2 (tile_size_um, unit)",
            found="places between them",
        )
    unit = microns / side / _mpp(file.path, hints, f"pixels of {microns / side:g} um")
    return ForeignCodes(
        features=rows,
        corners=corners,
        unit_px=(unit, unit),
        patch=side,
        stride=side,
        patch_size=side,
        mpp=microns / side,
        encoder_name=read_text(attributes, "extractor") or "unknown",
        notes=notes,
    )


def _picture(path: Path) -> tuple[float, int, tuple[str, ...]]:
    """(micrometres, pixels) of the side of a tile, from the description beside the files of STAMP 1."""
    beside = _description(path)
    if not beside.is_file():
        note = f"no info.json beside it: tiles of 256 um and {_PX} px are taken, as STAMP 1 cuts them"
        return 256.0, _PX, (note,)
    info = read_json(beside, StoreError, what="the description beside the features")
    if not isinstance(info, dict):
        raise StoreError("no description of features", path=beside, expected="microns and patch_size")
    microns, side = read_number(info, "microns", beside), read_count(info, "patch_size", beside)
    _check_mpp(microns / side, beside)
    return microns, side, ()


def _not_augmented(file: TableFile) -> np.ndarray:
    """Rows of tiles as they are on the slide."""
    link, augmented = file.file.get("augmented", getlink=True), file.file.get("augmented")
    if (
        not isinstance(link, h5py.HardLink)
        or not isinstance(augmented, h5py.Dataset)
        or augmented.is_virtual
        or augmented.external
        or augmented.dtype.kind not in "bui"
        or augmented.shape != (len(file.file["coords"]),)
    ):
        raise StoreError("dataset 'augmented' does not fit the places", path=file.path)
    return np.flatnonzero(~augmented[()].astype(bool))


def _mpp(path: Path, hints: ImportHints, unit: str) -> float:
    """STAMP takes the um/px across for both axes."""
    if hints.pixel_size is None:
        raise needs_slide(path, f"its coordinates are {unit}")
    return hints.pixel_size.x


def _check_mpp(mpp: float, path: Path) -> None:
    if not MPP_MIN <= mpp <= MPP_MAX:
        raise StoreError("tiles of a resolution that cannot be", path=path, found=f"{mpp:g} um/px")


def _description(path: Path) -> Path:
    return path.with_name("info.json")


def files(path: Path, _hints: ImportHints) -> tuple[Path, ...]:
    """The features, and the description beside those of STAMP 1."""
    beside = _description(path)
    is_read = not attribute_names(path, "/") & {"tile_size_um", "tile_size", HEADER_ATTRIBUTE}
    return (path, beside) if is_read and beside.is_file() else (path,)


IMPORTER = Importer("STAMP features (.h5)", recognises, read, files)
