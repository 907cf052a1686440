"""Which folders of this process mirror one on a server, for the reader of OME-Zarr."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.errors import UnreadableSlideError
from napari_nic.names import ZARR_FILES
from napari_nic.slides.remote.folders import RemoteFolder
from napari_nic.slides.remote.places import RemotePlace

USUAL_FOLDERS = ("OME", "associated", "labels")
"""Beside the levels, where a server does not list what there is."""

MOST_CHUNKS = 4096
"""Of the coarsest level, which stands for the picture in its fingerprint: it is fetched whole."""

_lock = threading.Lock()
_mirrors: weakref.WeakValueDictionary[Path, RemoteFolder] = weakref.WeakValueDictionary()


def open_mirror(place: RemotePlace) -> RemoteFolder:
    """Begin to mirror a Zarr folder.

    Raises
    ------
    UnreadableSlideError
        If there are no metadata of Zarr.
    """
    folder = RemoteFolder(place)
    if not any(folder.fetch(name) for name in ZARR_FILES):
        folder.close()
        raise UnreadableSlideError(
            f"{place.shown}: a folder without Zarr metadata, or none at all",
            expected=f"one of {', '.join(ZARR_FILES)} in it",
            hint="check the address for typing errors",
        )
    with _lock:
        _mirrors[folder.path] = folder
    return folder


def mirror_of(path: Path) -> RemoteFolder | None:
    """Return the mirror that a path is, or lies in."""
    if not _mirrors:
        return None
    return next((_mirrors[place] for place in (path, *path.parents) if place in _mirrors), None)


def bring(*paths: Path, keep: bool = False) -> None:
    """Fetch files that lie in a mirror; does nothing for others."""
    for path in paths:
        is_there(path, keep=keep)


def is_there(path: Path, *, keep: bool = False) -> bool:
    """Whether a file is there; one that lies in a mirror is fetched."""
    mirror = mirror_of(path)
    if mirror is None:
        return path.is_file()
    return mirror.fetch(path.relative_to(mirror.path).as_posix(), keep=keep)


def fetch_for(folder: Path) -> Callable[[Path], bool] | None:
    """Return what fetches the files of a folder that lies in a mirror; None for others."""
    return is_there if mirror_of(folder) is not None else None


def bring_what_identifies(path: Path, levels: Iterable[str], coarsest: Path, array: Any) -> None:
    """Fetch the files by which a picture is recognised: metadata, and chunks of its coarsest level."""
    mirror = mirror_of(path)
    if mirror is None:
        return
    inside = mirror.folders()
    names = inside if inside is not None else (*(level.partition("/")[0] for level in levels), *USUAL_FOLDERS)
    bring(*(path / folder / name for folder in dict.fromkeys(names) for name in ZARR_FILES), keep=True)
    stored = array.shards or array.chunks
    counts = [-(-size // part) for size, part in zip(array.shape, stored, strict=True)]
    if np.prod(counts) > MOST_CHUNKS:
        raise UnreadableSlideError(
            f"{mirror.place.shown}: no level is small enough to recognise the picture by",
            expected=f"a level of at most {MOST_CHUNKS:,} chunks",
            found=f"{int(np.prod(counts)):,}",
            hint="copy the folder to this machine, and open that",
        )
    bring(*(coarsest / array.metadata.encode_chunk_key(at) for at in np.ndindex(*counts)), keep=True)
