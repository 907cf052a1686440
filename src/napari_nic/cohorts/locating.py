"""From what a table names - a slide, a store, a bare name - to the compressed slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_nic.compressed import find_stores
from napari_nic.compressed.layout import SUFFIX
from napari_nic.errors import InvalidParameterError

FOREIGN_ENDINGS = (".h5", "_features.npy", ".npy")
"""Of other programs' files: TRIDENT, CLAM and STAMP; NIC."""

FOREIGN_FOLDERS = ("", "h5_files")
"""Below the folder of stores; CLAM keeps its features in a folder of this name."""


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


def locate(value: str, folder: Path, stores: Path | None) -> Located:
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

    Raises
    ------
    InvalidParameterError
        If there is none, or several; ``found`` is `value`.
    """
    given = folder / value
    if given.name.endswith((SUFFIX, *FOREIGN_ENDINGS)):
        # A table of stores may have been made elsewhere: then the folder of stores decides.
        candidates = [given] if stores is None else [given, stores / given.name]
        return Located(_name_of(given.name), _only([p for p in candidates if p.exists()][:1], value), None)
    picture = given if given.exists() else None
    name = given.stem if picture is not None or given.suffix else given.name
    found = _named(name, given, stores or given.parent)
    return Located(name, _only(found, value), picture.resolve() if picture else None)


def _named(name: str, given: Path, folder: Path) -> list[Path]:
    """List the stores of a slide, or else other programs' files."""
    exact = folder / f"{name}{SUFFIX}"
    if exact.exists():
        return [exact]
    stores = find_stores(given, folder)
    if stores:
        return stores
    candidates = [
        folder / inner / f"{name}{ending}" for inner in FOREIGN_FOLDERS for ending in FOREIGN_ENDINGS
    ]
    return [path for path in candidates if path.is_file() and path != given]


def _name_of(file: str) -> str:
    for ending in (SUFFIX, "_features.npy", ".npy", ".h5"):
        if file.endswith(ending):
            return file.removesuffix(ending)
    return file


def _only(found: list[Path], value: str) -> Path:
    if len(found) == 1:
        return found[0].resolve()
    problem = "no compressed slide" if not found else f"{len(found)} compressed slides of this name"
    raise InvalidParameterError(problem, found=value)
