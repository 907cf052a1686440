"""From what the user typed - files, folders, patterns - to the slides and stores that are meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from napari_nic.addresses import is_address, shown
from napari_nic.cli.arguments import UsageError, require_folder
from napari_nic.errors import StoreError
from napari_nic.names import (
    PATCHES_SUFFIX,
    STORE_SUFFIX,
    check_apart,
    exists,
    folder_of_stores,
    has_suffix,
    is_folder,
    known_suffix,
    same_file_key,
    slide_stem,
)

OUR_PICTURES = (".pca.png", ".saliency.png", ".clusters.png", ".anomaly.png")
"""Endings of what commands write beside slides by themselves: in a folder these pictures are no slides."""


def find_slides(arguments: Sequence[str]) -> list[Path]:
    """List the slides that arguments mean.

    A file is itself; a folder that is a slide (OME-Zarr, DICOM) is itself; any other folder stands for the
    slides in it (not below it); ``*``, ``?`` and ``[...]`` are expanded where the shell did not.

    What does not exist, a pattern without a match and a folder without slides are listed as they are: opening
    them tells what is wrong, and the others go on.
    """
    return _find(arguments, _slides_in)


def find_uncompressed(arguments: Sequence[str]) -> list[Path]:
    """List the slides that arguments mean, as :func:`find_slides` does, for commands that want no stores.

    A store whose slide is named too, as by ``slides/*`` once they are compressed, is that slide and left out.
    A store alone is listed: opening it tells that it is no slide.
    """
    found = find_slides(arguments)
    named = {same_file_key(path.parent / slide_stem(path)) for path in found if not is_store(path)}
    return [
        path
        for path in found
        if not (is_store(path) and same_file_key(path.parent / slide_stem(path)) in named)
    ]


def find_stores(arguments: Sequence[str]) -> list[Path]:
    """List the stores that arguments mean: stores, folders of stores or of a run, slides with one beside.

    What does not exist is listed as it is, as :func:`find_slides` does; :func:`store_of` goes from a slide to
    its store.
    """
    found: dict[Path, Path] = {}
    for path in _find(arguments, _stores_in):
        # A pattern finds a slide and its store: it is one compressed slide.
        found.setdefault(_only_store(path), path)
    return list(found.values())


def _only_store(path: Path) -> Path:
    from napari_nic.embeddings import find_stores as stores_beside

    stores = [path] if is_store(path) or not exists(path) else stores_beside(path)
    return Path(os.path.abspath(stores[0] if len(stores) == 1 else path))  # noqa: PTH100 - as in _find


def store_of(path: Path) -> Path:
    """Return a store as it is, and for a slide the store that lies beside it.

    Raises
    ------
    StoreError
        If the slide has none, or several.
    StoreMismatchError
        If the store of this name was made from another slide.
    """
    from napari_nic.embeddings import CompressedSlide, open_slide_of
    from napari_nic.embeddings import find_stores as stores_beside

    if is_store(path) or not exists(path):
        return path
    stores = stores_beside(path)
    if not stores:
        raise StoreError(
            "this slide has no compressed slide beside it",
            path=path,
            expected=f"{slide_stem(path)}{STORE_SUFFIX}",
            hint=f"make it with: napari-nic compress {path}",
        )
    if len(stores) > 1:
        raise StoreError(
            "this slide has several compressed slides",
            path=path,
            found=", ".join(store.name for store in stores),
            hint="name the one that is meant",
        )
    store = CompressedSlide.open(stores[0])
    with open_slide_of(store.header, path) as slide:
        # slide.tif and slide.svs, or two scans one after the other, may bear one name.
        store.check_slide(slide)
    return stores[0]


def is_store(path: Path) -> bool:
    """Whether a path is, or by its name would be, a compressed slide."""
    if has_suffix(path, STORE_SUFFIX):
        return True
    if not exists(path / "zarr.json"):
        return False
    from napari_nic.embeddings import is_marked

    return bool(is_marked(path))


def output_for(path: Path, out: str | None, *, suffix: str, several: bool, label: str = "") -> Path:
    """Return where the output for an input goes.

    Parameters
    ----------
    path : Path
        The input.
    out : str or None
        What the user gave: a file ending in `suffix` when there is one input, else a folder.
    suffix : str
        Of the output file, with its dot.
    several : bool
        Whether there are several inputs.
    label : str
        Set between name and suffix where the name is ours to choose: ``slide.pca.png``.

    Raises
    ------
    UsageError
        If `out` names one file for several inputs, or a file of another kind.
    """
    name = slide_stem(path) + (f".{label}" if label else "") + suffix
    require_folder(out, several=False)
    if out is None:
        return folder_beside(path) / name
    target = Path(out)
    if has_suffix(target, suffix) and (is_store(target) or not is_folder(target)):
        require_folder(out, several=several)
        return target
    other = known_suffix(target.name)
    if is_store(target) or (other and not is_folder(target)):
        raise UsageError(
            "the output's name does not fit what is written",
            path=target,
            expected=f"a name that ends in {suffix}, or a folder",
            found=other,
        )
    return target / name


def address_path(address: str) -> Path:
    """Return the path that stands for a slide in the network."""
    from napari_nic.slides import path_for

    return path_for(address)


def folder_beside(path: Path) -> Path:
    """Folder of what is written beside a slide: of one in the network, the one that the command runs in."""
    return path.parent if shown(path) == str(path) else Path()


def outputs_for(paths: Sequence[Path], out: str | None, *, suffix: str, label: str = "") -> dict[Path, Path]:
    """Return where the output of each input goes, see :func:`output_for`; no two of them share it.

    Raises
    ------
    UsageError
        If `out` names one file for several inputs, or a file of another kind.
    StoreError
        If two inputs would be written to one place.
    """
    targets = {
        path: output_for(path, out, suffix=suffix, several=len(paths) > 1, label=label) for path in paths
    }
    check_apart(targets)
    return targets


def _find(arguments: Sequence[str], list_folder: Callable[[Path], list[Path]]) -> list[Path]:
    found: dict[Path, Path] = {}
    for argument in arguments:
        if is_address(argument):
            stand_in = address_path(argument)
            found.setdefault(stand_in, stand_in)
            continue
        for match in expand(argument):
            inside = _inside(match, list_folder)
            for path in inside or [match]:
                # A slide that is named twice, here as x.tif and there as ./x.tif, is one.
                found.setdefault(Path(os.path.abspath(path)), path)  # noqa: PTH100 - links keep their names
    return list(found.values())


def _inside(folder: Path, list_folder: Callable[[Path], list[Path]]) -> list[Path]:
    try:
        return list_folder(folder) if is_folder(folder) else []
    except OSError:
        return []  # a folder that may not be read: opening it tells


def expand(argument: str) -> list[Path]:
    """Return a path as it is, and what matches a pattern that the shell did not expand."""
    if not argument:  # a variable of the shell that is not set: never the folder that one happens to be in
        raise UsageError("an empty name was given", expected="a file, a folder or a pattern")
    path = Path(argument)
    if exists(path) or not glob.has_magic(argument):
        return [path]
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
    return [Path(match) for match in matches] or [path]


def _slides_in(folder: Path) -> list[Path]:
    from napari_nic.slides import is_part, slide_suffixes

    if has_suffix(folder, ".zarr") or _holds(folder, ".dcm"):
        return [folder]
    suffixes = slide_suffixes()
    return [
        entry
        for entry in _listing(folder)
        if not _is_ours(entry)
        and (
            (
                entry.is_file()
                and has_suffix(entry, *suffixes)
                and not has_suffix(entry, *OUR_PICTURES)
                and not is_part(entry)
            )
            or (entry.is_dir() and (has_suffix(entry, ".zarr") or _holds(entry, ".dcm")))
        )
    ]


def _stores_in(folder: Path) -> list[Path]:
    if has_suffix(folder, ".zarr") or _holds(folder, ".dcm"):
        return [folder]
    return [entry for entry in _listing(folder_of_stores(folder)) if is_store(entry)]


def _is_ours(path: Path) -> bool:
    """Whether something is called like what we make of slides, be it a folder or a file in its place."""
    return has_suffix(path, STORE_SUFFIX, PATCHES_SUFFIX)


def _holds(folder: Path, suffix: str) -> bool:
    try:
        return any(has_suffix(entry, suffix) for entry in folder.iterdir())
    except OSError:
        return False


def _listing(folder: Path) -> Iterable[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
