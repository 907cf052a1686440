"""From what the user typed - files, folders, patterns - to the slides and stores that are meant."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from napari_nic.cli.arguments import require_folder
from napari_nic.errors import StoreError

STORE_SUFFIX = ".nic.zarr"
PATCHES_SUFFIX = ".patches.zarr"


def find_slides(arguments: Sequence[str]) -> list[Path]:
    """List the slides that arguments mean.

    A file is itself; a folder that is a slide (OME-Zarr, DICOM) is itself; any other folder stands for the
    slides in it (not below it); ``*``, ``?`` and ``[...]`` are expanded where the shell did not.

    What does not exist, a pattern without a match and a folder without slides are listed as they are: opening
    them tells what is wrong, and the others go on.
    """
    return _find(arguments, _slides_in)


def find_stores(arguments: Sequence[str]) -> list[Path]:
    """List the stores that arguments mean: stores, folders of stores, or slides with a store beside them.

    What does not exist is listed as it is, as :func:`find_slides` does; :func:`store_of` goes from a slide to
    its store.
    """
    return _find(arguments, _stores_in)


def store_of(path: Path) -> Path:
    """Return a store as it is, and for a slide the store that lies beside it.

    Raises
    ------
    StoreError
        If the slide has none, or several.
    """
    from napari_nic.compressed import find_stores as stores_beside

    if is_store(path) or not path.exists():
        return path
    stores = stores_beside(path)
    if not stores:
        raise StoreError(
            "this slide has no compressed slide beside it",
            path=path,
            expected=f"{path.stem}{STORE_SUFFIX}",
            hint=f"make it with: napari-nic compress {path}",
        )
    if len(stores) > 1:
        raise StoreError(
            "this slide has several compressed slides",
            path=path,
            found=", ".join(store.name for store in stores),
            hint="name the one that is meant",
        )
    return stores[0]


def is_store(path: Path) -> bool:
    """Whether a path is, or by its name would be, a compressed slide."""
    return path.name.endswith(STORE_SUFFIX)


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
        If `out` names one file for several inputs.
    """
    name = _stem(path) + (f".{label}" if label else "") + suffix
    if out is None:
        return path.parent / name
    target = Path(out)
    if not target.name.endswith(suffix) or (target.is_dir() and not is_store(target)):
        return target / name
    require_folder(out, several=several)
    return target


def _find(arguments: Sequence[str], list_folder: Callable[[Path], list[Path]]) -> list[Path]:
    found: dict[Path, None] = {}
    for argument in arguments:
        for match in _expand(argument):
            try:
                inside = list_folder(match) if os.path.isdir(match) else []  # noqa: PTH112 - false for any error
            except OSError:
                inside = []  # a folder that may not be listed: opening it tells
            found.update(dict.fromkeys(inside or [match]))
    return list(found)


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    # Unlike Path.exists, false for names that no file can have.
    if os.path.exists(path) or not glob.has_magic(argument):  # noqa: PTH110
        return [path]
    # Path.glob takes no absolute pattern.
    matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
    return [Path(match) for match in matches] or [path]


def _slides_in(folder: Path) -> list[Path]:
    from napari_nic.slides import slide_suffixes

    if folder.suffix == ".zarr" or _holds(folder, ".dcm"):
        return [folder]
    suffixes = slide_suffixes()
    return [
        entry
        for entry in _listing(folder)
        if (entry.is_file() and entry.name.lower().endswith(suffixes))
        or (entry.is_dir() and not _is_ours(entry) and (entry.suffix == ".zarr" or _holds(entry, ".dcm")))
    ]


def _stores_in(folder: Path) -> list[Path]:
    if is_store(folder) or folder.suffix == ".zarr" or _holds(folder, ".dcm"):
        return [folder]
    return [entry for entry in _listing(folder) if is_store(entry)]


def _is_ours(path: Path) -> bool:
    return path.name.endswith((STORE_SUFFIX, PATCHES_SUFFIX))


def _holds(folder: Path, suffix: str) -> bool:
    return any(entry.suffix.lower() == suffix for entry in folder.iterdir())


def _listing(folder: Path) -> Iterable[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _stem(path: Path) -> str:
    if is_store(path):
        return path.name.removesuffix(STORE_SUFFIX)
    return path.name if path.is_dir() and path.suffix != ".zarr" else path.stem
