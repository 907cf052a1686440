"""Files of other programs that hold no codes with places: what they are, and what is needed instead."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from napari_nic.embeddings.interchange.numpy_files import is_array, open_archive
from napari_nic.errors import StoreError
from napari_nic.names import has_suffix, is_folder, without_suffix

_TILE = re.compile(r"-?\d+x_-?\d+y\.(png|jpe?g)", re.IGNORECASE)
_MOST_ENTRIES, _MOST_HEADER = 1000, 2**16

_TABLES: tuple[tuple[frozenset[str], str, str], ...] = (
    (
        frozenset({"tile_x", "tile_y"}),
        "Prov-GigaPath's list of tiles: pictures, no features",
        "import the .h5 of features and coords that was made of them, or compress the slide itself",
    ),
    (
        frozenset({"embeddings", "target", "split"}),
        "eva's list of files of embeddings, which have no places",
        "compress the slides, or import features that were written with the places of their patches",
    ),
    (
        frozenset({"slide_id", "process"}),
        "CLAM's list of slides, not features",
        "import the files in h5_files",
    ),
    (
        frozenset({"sample_id", "image_path"}),
        "a list of slides for slide2vec, not features",
        "import the files in tile_embeddings",
    ),
)
"""Columns by which a table is known, what it is, and what to do."""


def refusal_of(path: Path) -> StoreError | None:
    """Say what a file or folder is that no importer reads; None where it is not known either."""
    try:
        return _refusal(path)
    except StoreError as said:  # of a file that cannot be opened at all
        return said
    except OSError:
        return None


def _refusal(path: Path) -> StoreError | None:
    if is_folder(path):
        return _of_folder(path)
    ways: dict[tuple[str, ...], Callable[[Path], StoreError | None]] = {
        (".npz",): _of_archive,
        (".csv",): _of_table,
    }
    return next((way(path) for suffixes, way in ways.items() if has_suffix(path, *suffixes)), None)


def _of_folder(path: Path) -> StoreError | None:
    names = [entry.name for entry in islice(path.iterdir(), _MOST_ENTRIES)]
    if any(_TILE.fullmatch(name) for name in names):
        return StoreError(
            "a folder of Prov-GigaPath's tiles: pictures, no features", path=path, hint=_TABLES[0][2]
        )
    if "file_map.dat" in names:
        return StoreError(
            "a folder of TIAToolbox 1, whose list of slides is a pickle, which is not opened",
            path=path,
            expected="one file of features, {number}.features.{head}.npy, and the slide it was made from",
        )
    return None


def _of_archive(path: Path) -> StoreError | None:
    with open_archive(path) as archive:
        names = archive.names
    if {"x", "y"} <= names:
        return StoreError(
            "the places of tiles (hs2p), without features",
            path=path,
            hint="import the file of the same slide in tile_embeddings",
        )
    if has_suffix(path, ".index.npz"):
        return StoreError(
            "the places of a bag's tiles (slideflow), without features",
            path=path,
            hint=f"import {without_suffix(path.name, ('.index.npz',))}.pt",
        )
    if "features" in names:
        return StoreError(
            "features without the places of their patches",
            path=path,
            expected=f"{without_suffix(path.name, ('.npz',))}.meta.json beside it (slide2vec)",
        )
    return None


def _of_table(path: Path) -> StoreError | None:
    if is_array(path):
        return None
    with path.open("rb") as file:
        head = file.readline(_MOST_HEADER).decode("utf-8-sig", "replace")
    columns = {name.strip().lower() for name in next(csv.reader([head]), [])}
    for known, what, hint in _TABLES:
        if known <= columns:
            return StoreError(what, path=path, hint=hint)
    return None
