"""Paths that stand for addresses: what users and commands name, and where results beside a slide go."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from platformdirs import user_data_dir

from napari_nic.addresses import has_secrets, is_address, name_in, show_as, without_secrets
from napari_nic.descriptions import read_json
from napari_nic.disk import write_text
from napari_nic.errors import RemoteError, StoreError, UnreadableSlideError
from napari_nic.names import has_suffix, safe_name
from napari_nic.slides.remote.choosing import server_of
from napari_nic.slides.remote.files import RemoteFile

FOLDER = "remote"
ADDRESS_FILE = "address.json"
_lock = threading.Lock()
_places: dict[Path, RemotePlace] = {}


class RemotePlace:
    """An address, and the path that stands for it; nothing is asked of the server before it is needed.

    Parameters
    ----------
    address : str
        Whole, with what may be secret in it.
    path : Path
        There is no file at it; results beside the slide go into its folder.
    """

    def __init__(self, address: str, path: Path) -> None:
        self._address = address
        self.path = path

    @property
    def shown(self) -> str:
        """The address as it may be shown and kept."""
        return without_secrets(self._address)

    @property
    def is_folder(self) -> bool:
        """Whether it is a Zarr folder, by its name."""
        return has_suffix(self.path, ".zarr")

    @property
    def whole_address(self) -> str:
        """With what may be secret in it: for requests only."""
        return self._address

    @cached_property
    def file(self) -> RemoteFile:
        """The file there, of the version that it has now.

        Raises
        ------
        SlideNotFoundError, UnreadableSlideError, RemoteError, MissingDependencyError
        """
        return RemoteFile(server_of(self._address))

    def renew(self) -> None:
        """Take the version that the server has now, for a slide that is opened anew."""
        self.__dict__.pop("file", None)


def remote_folder() -> Path:
    """Folder in which addresses have their folders."""
    home = os.environ.get("NAPARI_NIC_HOME") or user_data_dir("napari-nic", appauthor=False)
    return Path(home) / FOLDER


def path_for(address: str) -> Path:
    """Return the path that stands for an address; nothing is asked of its server.

    Raises
    ------
    UnreadableSlideError
        If it names no file.
    """
    shown = without_secrets(address)
    name = safe_name(name_in(address))
    if not address.partition("://")[2].partition("/")[2].strip("/"):
        raise UnreadableSlideError(f"{shown}: the address names no file")
    folder = remote_folder() / hashlib.sha256(shown.encode()).hexdigest()[:16]
    path = folder / name
    with _lock:
        known = _places.get(path)
        if known is None or known.whole_address != address:
            _places[path] = RemotePlace(address, path)
    show_as(path, shown)
    return path


def remote_of(path: Path | str) -> RemotePlace | None:
    """Return the place that a path stands for, or that is an address; None of any other path.

    Raises
    ------
    RemoteError
        If another program's run made the path of an address with a secret, which is not kept.
    """
    if isinstance(path, str) and is_address(path):
        path = path_for(path)
    path = Path(path)
    known = _places.get(path)
    if known is not None or path.parent.parent.name != FOLDER:
        return known
    return _read(path)


def remember(path: Path) -> None:
    """Keep what a path stands for, without secrets, so that other processes know it too."""
    place = _places.get(path)
    if place is None:
        return
    kept = {"address": place.shown, "has_secrets": has_secrets(place.whole_address)}
    with suppress(StoreError):  # the folder may be one that is only read
        write_text(path.parent / ADDRESS_FILE, json.dumps(kept) + "\n")


def _read(path: Path) -> RemotePlace | None:
    file = path.parent / ADDRESS_FILE
    if path.parent.parent != remote_folder() or path.exists() or not file.is_file():
        return None
    kept = read_json(file, StoreError, what="the address of a slide")
    address = str(kept.get("address")) if isinstance(kept, dict) else ""
    if not is_address(address) or path_for(address) != path:
        return None
    if kept.get("has_secrets"):
        _places.pop(path, None)
        raise RemoteError(
            f"{address}: its address had a secret part, which is not kept", hint="give it again"
        )
    return _places.get(path)
