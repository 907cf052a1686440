"""Files of servers, copied whole before they are opened: for formats whose library reads files alone."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from platformdirs import user_cache_dir

from napari_nic.addresses import show_as
from napari_nic.disk import replacing
from napari_nic.errors import StoreError, UnreadableSlideError
from napari_nic.slides.remote.places import RemotePlace
from napari_nic.telling import Notices, tell

MOST_BYTES = 50 * 2**30
"""Of all copies together; those used longest ago go first."""

_GIB = 2**30
_used: set[Path] = set()
"""Of this process: they may be open."""


def copies_folder() -> Path:
    """Folder of copies, in the user's cache."""
    home = os.environ.get("NAPARI_NIC_HOME")
    return Path(home or user_cache_dir("napari-nic", appauthor=False)) / "remote-copies"


def copied(place: RemotePlace) -> Path:
    """Copy a file from its server, unless just this version was copied before.

    Returns
    -------
    Path
        Of the copy.

    Raises
    ------
    RemoteError
        If the server does not give the whole file, or it changes meanwhile: nothing is kept then.
    UnreadableSlideError
        If it is larger than all copies may be.
    StoreError
        If there is no room for it.
    """
    file = place.file
    version = file.version
    key = hashlib.sha256(f"{place.shown} {version.name}".encode()).hexdigest()[:24]
    copy = copies_folder() / key / place.path.name
    show_as(copy, place.shown)
    _used.add(copy)
    if version.is_told and copy.is_file() and copy.stat().st_size == version.size:
        os.utime(copy)
        return copy
    _make_room(version.size, place.shown)
    tell(Notices(place.path.name, (f"copied first, {_said(version.size)}: it cannot be read by parts",)))
    with replacing(copy) as temporary, temporary.open("wb") as out:
        for piece in file.server.pieces(version):
            out.write(piece)
    return copy


def _make_room(size: int, shown: str) -> None:
    if size > MOST_BYTES:
        raise UnreadableSlideError(
            f"{shown}: the file must be copied first, and is too large for that",
            expected=f"at most {_said(MOST_BYTES)}",
            found=_said(size),
            hint="download it with another program and open that",
        )
    folder = copies_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copies = sorted(
        (file for file in folder.glob("*/*") if file.is_file()), key=lambda file: file.stat().st_mtime
    )
    total = sum(file.stat().st_size for file in copies)
    for file in copies:
        if total + size <= MOST_BYTES:
            break
        if file not in _used:
            total -= file.stat().st_size
            shutil.rmtree(file.parent, ignore_errors=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StoreError(
            f"there is no room for a copy of {shown}",
            path=folder,
            expected=_said(size),
            found=f"{_said(free)} free",
        )


def _said(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.1f} MiB"
