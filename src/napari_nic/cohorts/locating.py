"""From what a table names - a slide, a store, a bare name - to the compressed slide."""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from napari_nic.embeddings import find_stores
from napari_nic.errors import InvalidParameterError
from napari_nic.names import (
    ARRAY_SUFFIXES,
    FEATURE_SUFFIXES,
    HDF5_SUFFIXES,
    STORE_SUFFIX,
    exists,
    has_suffix,
    slide_stem,
    without_suffix,
)
from napari_nic.slides import slide_suffixes

FOREIGN_ENDINGS = (*HDF5_SUFFIXES, *ARRAY_SUFFIXES)
"""Of other programs' files: TRIDENT, CLAM and STAMP; NIC."""

FOREIGN_FOLDERS = ("", "h5_files")
"""Below the folder of stores; CLAM keeps its features in a folder of this name."""


NOT_FOUND = "no compressed slide"


class SlideMissingError(InvalidParameterError):
    """There is no compressed slide of a name, as opposed to several."""


@dataclass(frozen=True)
class Located:
    """A compressed slide that was found.

    Attributes
    ----------
    name : str
        Of the slide, without folders and suffixes.
    store : Path
        Absolute; a ``.nic.zarr``, or another program's file.
    picture : Path or None
        The slide itself, where the table names it and it is there.
    """

    name: str
    store: Path
    picture: Path | None


class Shelves:
    """What stores lie in folders, each of which is listed once: a table may name thousands of slides."""

    def __init__(self) -> None:
        self._names: dict[Path, list[str] | None] = {}

    def may_hold(self, folder: Path, name: str) -> bool:
        """Whether a folder has a store whose name begins with a slide's, or cannot be listed."""
        if folder not in self._names:
            self._names[folder] = self._listed(folder)
        names = self._names[folder]
        if names is None:
            return True
        at = bisect_left(names, f"{name}.")
        return at < len(names) and names[at].startswith(f"{name}.")

    def _listed(self, folder: Path) -> list[str] | None:
        try:
            return sorted(path.name for path in folder.iterdir() if has_suffix(path, STORE_SUFFIX))
        except FileNotFoundError:
            return []
        except OSError:
            return None  # whoever looks for a store there says why


def locate(value: str, folder: Path, stores: Path | None, shelves: Shelves | None = None) -> Located:
    """Find the compressed slide that a table means.

    Parameters
    ----------
    value : str
        A path (relative ones start at `folder`) of a slide, of a store or of another program's file, or the
        name of a slide.
    folder : Path
        Where the table lies.
    stores : Path or None
        Folder to look in; beside the slide where there is none.
    shelves : Shelves, optional
        The same for all slides of a table, so that no folder is listed again for each.

    Raises
    ------
    SlideMissingError
        If there is none; ``found`` is `value`.
    InvalidParameterError
        If there are several, or `value` is no name.
    """
    given, shelves = _given(folder, value), shelves or Shelves()
    if not given.name:
        raise InvalidParameterError("no name of a slide", found=value)
    if has_suffix(given, STORE_SUFFIX, *FOREIGN_ENDINGS):
        # A table of stores may have been made elsewhere: then the folder of stores decides.
        candidates = [given] if stores is None else [given, stores / value, stores / given.name]
        there = [path for path in candidates if exists(path)]
        if there:
            return Located(_name_of(given.name), _absolute(there[0]), None)
    if has_suffix(given, STORE_SUFFIX):
        raise SlideMissingError(NOT_FOUND, found=value)
    if has_suffix(given, *FEATURE_SUFFIXES):
        # A table for another program names that program's file: the slide of that name is meant.
        given = given.with_name(without_suffix(given.name, FEATURE_SUFFIXES))
    picture = given if exists(given) else None
    # Without the slide at hand, a name may be one with an extension or without, and may hold dots.
    names = [slide_stem(given)] if picture else list(dict.fromkeys([given.name, slide_stem(given.name)]))
    for name in dict.fromkeys(form for given_name in names for form in (given_name, *_composed(given_name))):
        found = _named(name, given, stores or given.parent, shelves)
        if found:
            return Located(name, _only(found, value), find_picture(given))
    raise SlideMissingError(_why_not(names, stores or given.parent), found=value)


def _given(folder: Path, value: str) -> Path:
    """Return the path that a field means; a table may have been written on Windows."""
    given = folder / value
    if "\\" in value and not exists(given):
        return folder / PureWindowsPath(value).as_posix()
    return given


def find_picture(given: Path) -> Path | None:
    """Return the slide at a path, which may lack its suffix; None if there is none, or several.

    Parameters
    ----------
    given : Path
        As a table names it: ``"a.svs"``, or ``"a"`` where ``a.svs`` is meant.
    """
    if exists(given):
        return _absolute(given)
    endings = [form for suffix in slide_suffixes() for form in (suffix, suffix.upper())]
    found = [path for path in (given.with_name(given.name + ending) for ending in endings) if exists(path)]
    # A file system that does not tell capitals apart has one file under both names.
    return _absolute(found[0]) if found and all(path.samefile(found[0]) for path in found) else None


def _composed(name: str) -> tuple[str, str]:
    """Return both ways to write letters with accents: macOS and others differ in them."""
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def _named(name: str, given: Path, folder: Path, shelves: Shelves) -> list[Path]:
    """List the stores of a slide, or else other programs' files."""
    exact = folder / f"{name}{STORE_SUFFIX}"
    if exists(exact):
        return [exact]
    if shelves.may_hold(folder, name):
        stores = find_stores(given.with_name(f"{name}{STORE_SUFFIX}"), folder)
        if stores:
            return stores
    candidates = [
        folder / inner / f"{name}{ending}" for inner in FOREIGN_FOLDERS for ending in FOREIGN_ENDINGS
    ]
    return [path for path in candidates if exists(path) and path.is_file() and path != given]


def _why_not(names: Sequence[str], folder: Path) -> str:
    for file in (folder / inner / f"{name}.pt" for name in names for inner in ("", "pt_files")):
        if exists(file):
            return f"{NOT_FOUND}, and a .pt file holds no coordinates: the .h5 beside it does"
    return NOT_FOUND


def _name_of(file: str) -> str:
    return without_suffix(file, (STORE_SUFFIX, *FOREIGN_ENDINGS))


def _only(found: list[Path], value: str) -> Path:
    if len(found) == 1:
        return _absolute(found[0])
    raise InvalidParameterError(f"{len(found)} compressed slides of this name", found=value)


def _absolute(path: Path) -> Path:
    # Not Path.resolve: a link is called as it is, not as what it leads to.
    return Path(os.path.abspath(path))  # noqa: PTH100
