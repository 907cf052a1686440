"""Features as Owkin's HistoSSLscaling keeps them: ``{slide}.svs/features.npy``, float (N, 3 + D).

The first three columns are a DeepZoom level, and the tile's column and row in it. DeepZoom's last level is
the slide itself, each level before it half as large, so the slide's size tells what a level's pixel is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.numpy_files import is_array, map_array
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    ForeignCodes,
    ImportHints,
    header_from_text,
    slabs,
)
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import SLIDE_SUFFIXES, without_suffix

PLACE = 3
"""Columns before the features: level, column, row."""

TILE = 224
"""Side of the tiles in pixels of their level, unless the user says otherwise."""

_MOST_LEVELS = 64


def recognises(path: Path) -> bool:
    """Whether the file is an array of two axes, unlike those of NIC, which have three."""
    if not is_array(path):
        return False
    try:
        array = map_array(path)
    except StoreError:
        return False
    return array.ndim == 2


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; the size of the slide comes from `hints`."""
    array = map_array(path)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise StoreError(
            "no table of features",
            path=path,
            expected="float (N, 3 + D)",
            found=f"{array.dtype} {array.shape}",
        )
    if array.shape[1] <= PLACE:
        raise StoreError("features without a number", path=path, found=f"shape {array.shape}")
    places = _places(array, path, token)
    header = _header_beside(path)
    if header is not None:
        hints = replace(hints, slide_shape=header.slide_shape, patch_size=header.grid.patch_size)
    unit = 1.0 if not len(places) else _unit(int(places[0, 0]), path, hints)
    side = hints.patch_size or TILE
    yield ForeignCodes(
        features=_Behind(array),
        corners=places[:, :0:-1] * float(side),
        unit_px=(unit, unit),
        patch=side,
        stride=side,
        patch_size=side,
        mpp=hints.mpp,
        encoder_name="unknown (Owkin features)",
        slide_name=without_suffix(path.parent.name, SLIDE_SUFFIXES) if path.stem == "features" else None,
        header=header,
        notes=() if header or hints.patch_size else (f"tiles of {TILE} px are taken, as Owkin cuts them",),
    )


def files(path: Path, _hints: ImportHints) -> tuple[Path, ...]:
    """The array, and our header beside it if there is one."""
    described = path.with_suffix(".json")
    return (path, described) if described.is_file() else (path,)


def _header_beside(path: Path) -> StoreHeader | None:
    described = path.with_suffix(".json")
    if not described.is_file():
        return None
    found = read_json(described, StoreError, what="the description beside the array")
    return header_from_text(json.dumps(found), described)


def _places(array: np.ndarray, path: Path, token: CancellationToken) -> np.ndarray:
    """Read level, column and row, (N, 3); refuse numbers that are none, as of a table of features alone."""
    places = np.empty((len(array), PLACE))
    for rows in checked(slabs(array), token):
        places[rows] = array[rows, :PLACE]
    is_whole = bool((places == np.rint(places)).all() and (places >= 0).all())  # not of NaN
    if not is_whole or (len(places) and (places[:, 0] > _MOST_LEVELS).any()):
        raise StoreError(
            "a table of features without places",
            path=path,
            expected="columns of DeepZoom level, tile column and tile row before the features (Owkin), "
            "or an array (C, rows, cols)",
            found=f"{array.dtype} {array.shape} of other numbers",
        )
    if len(np.unique(places[:, 0])) > 1:
        raise StoreError(
            "tiles of several DeepZoom levels",
            path=path,
            found=", ".join(f"{level:g}" for level in np.unique(places[:, 0])),
            hint="import the tiles of each level apart",
        )
    return places


def _unit(level: int, path: Path, hints: ImportHints) -> float:
    """Level-0 pixels of a pixel of a DeepZoom level."""
    if hints.slide_shape is None:
        raise StoreError(
            "the size of the slide is needed",
            path=path,
            found="places counted in tiles of a DeepZoom level, whose scale hangs on the slide's size",
            hint="give the slide itself (--slides FOLDER)",
        )
    finest = (max(hints.slide_shape) - 1).bit_length()
    if level > finest:
        raise StoreError(
            "the features are of another slide",
            path=path,
            expected=f"a DeepZoom level up to {finest}, the finest of {hints.slide_name}",
            found=f"{level}",
        )
    return float(2 ** (finest - level))


@dataclass(frozen=True, eq=False)
class _Behind:
    """The features behind the places, (N, D)."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        return len(self.array), self.array.shape[1] - PLACE

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the features."""
        return self.array.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.array[rows, PLACE:]


IMPORTER = Importer("Owkin features (.npy)", recognises, read, files)
