"""A Zarr folder on a server: its files are fetched as they are asked for, into a folder of this process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path, PurePosixPath

from napari_nic.addresses import show_as
from napari_nic.disk import replacing
from napari_nic.errors import RemoteError, SlideNotFoundError, UnreadableSlideError
from napari_nic.names import ZARR_FILES
from napari_nic.slides.remote.choosing import server_of
from napari_nic.slides.remote.places import RemotePlace
from napari_nic.slides.remote.servers import Server, changed

MOST_BYTES = 2 * 2**30
"""Of the files that lie here; those used longest ago go first."""

MOST_FILE = 512 * 2**20
"""A chunk that is larger is not fetched: shards are meant to be read by parts, which this does not do."""


class RemoteFolder:
    """The files of a picture on a server, mirrored as they are needed.

    Each has a version of its own. What a server says was written after the picture was opened is refused:
    pixels of two versions never lie side by side.

    Parameters
    ----------
    place : RemotePlace
    """

    def __init__(self, place: RemotePlace) -> None:
        self.place = place
        self.path = Path(tempfile.mkdtemp(prefix="napari-nic-remote-")) / place.path.name
        self.path.mkdir()
        atexit.register(shutil.rmtree, self.path.parent, ignore_errors=True)
        show_as(self.path, place.shown)
        self._server = server_of(place.whole_address)
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._absent: set[str] = set()
        self._versions: dict[str, str] = {}
        self._opened: float | None = None
        self._lock = threading.RLock()

    def fetch(self, key: str, *, keep: bool = False) -> bool:
        """Bring the file under a key here; False where the server has none.

        Parameters
        ----------
        key : str
        keep : bool
            Never let it go: the picture is recognised by it.

        Raises
        ------
        RemoteError
            If the server does not give it, or it is another one than was here before.
        UnreadableSlideError
            If it is larger than a chunk should be.
        """
        name = PurePosixPath(key).name
        with self._lock:
            if key in self._absent:
                return False
            if key in self._kept:
                self._kept.move_to_end(key)
                self._kept[key] = 0 if keep else self._kept[key]
                return True
        found = self._asked(key)
        if found is None:
            with self._lock:
                self._absent.add(key)
            return False
        with replacing(self.path / key) as temporary:
            temporary.write_bytes(found)
        with self._lock:
            self._kept[key] = 0 if keep or name in ZARR_FILES else len(found)
            self._drop_old()
        return True

    def folders(self) -> tuple[str, ...] | None:
        """Names of the folders in it; None where the server does not list them."""
        return self._server.folders()

    def close(self) -> None:
        """Remove what was fetched."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _asked(self, key: str) -> bytes | None:
        server: Server = self._server.below(key)
        try:
            version = server.version()
        except SlideNotFoundError:
            return None
        if version.size > MOST_FILE:
            raise UnreadableSlideError(
                f"{server.address}: the chunk is too large to be fetched whole",
                expected=f"at most {MOST_FILE // 2**20} MiB",
                found=f"{version.size / 2**20:.0f} MiB",
                hint="copy the folder to this machine, and open that",
            )
        with self._lock:
            before = self._versions.setdefault(key, version.name)
            self._opened = version.asked if self._opened is None else self._opened
            opened = self._opened
        is_newer = version.written is not None and opened is not None and version.written > opened
        if before != version.name or is_newer:
            raise changed(server.address)
        data = b"".join(server.pieces(version))
        if len(data) != version.size:
            raise RemoteError(f"{server.address}: the server's answer was cut off")
        return data

    def _drop_old(self) -> None:
        total = sum(self._kept.values())
        for key in list(self._kept)[:-1]:  # the last one is about to be read
            if total <= MOST_BYTES:
                return
            if self._kept[key]:
                total -= self._kept.pop(key)
                (self.path / key).unlink(missing_ok=True)
