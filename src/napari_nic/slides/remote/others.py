"""Files by any other of fsspec's schemes: read by the same code, and never tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from napari_nic.addresses import joined, without_secrets
from napari_nic.errors import MissingDependencyError, SlideNotFoundError, UnreadableSlideError
from napari_nic.extras import check_installed
from napari_nic.slides.remote.http import WHAT
from napari_nic.slides.remote.servers import (
    PIECE_BYTES,
    PassingError,
    Server,
    Version,
    changed,
    persistent,
    wrong_bytes,
)

_TAGS = ("etag", "ETag", "md5Hash", "generation")
_DATES = ("mtime", "last_modified", "LastModified", "updated")


class OtherServer:
    """A file that fsspec reads.

    Whether it changed is asked after each range, since there is no common way to make that a condition.

    Parameters
    ----------
    address : str
    """

    def __init__(self, address: str) -> None:
        self.address = without_secrets(address)
        check_installed("fsspec", WHAT)
        import fsspec

        try:
            self._files: Any = fsspec.filesystem(urlsplit(address).scheme.lower(), use_listings_cache=False)
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.address}: fsspec needs another package for this scheme", found=str(error)
            ) from None

    def version(self) -> Version:
        """Ask for what is known of the file."""
        info = persistent(self._info, self.address)
        return Version(int(info["size"]), _first(info, _TAGS), _first(info, _DATES))

    def read(self, start: int, stop: int, version: Version) -> bytes:
        """Read a range, then ask whether it was of the same version."""
        data = persistent(lambda: self._range(start, stop), self.address)
        if len(data) != stop - start:
            raise wrong_bytes(self.address, f"{stop - start} bytes", f"{len(data)}")
        if self.version().name != version.name:
            raise changed(self.address)
        return data

    def pieces(self, version: Version) -> Iterator[bytes]:
        """Yield the file in ranges."""
        for start in range(0, version.size, PIECE_BYTES):
            yield self.read(start, min(version.size, start + PIECE_BYTES), version)

    def below(self, key: str) -> Server:
        """Return a file below this one."""
        return OtherServer(joined(self.address, key))

    def folders(self) -> tuple[str, ...]:
        """List the folders in this one."""
        found = persistent(lambda: self._listed(), self.address)
        names = (str(entry["name"]) for entry in found if entry.get("type") == "directory")
        return tuple(sorted(name.rstrip("/").rpartition("/")[2] for name in names))

    def _info(self) -> dict[str, Any]:
        return dict(self._asked(lambda: self._files.info(self.address)))

    def _range(self, start: int, stop: int) -> bytes:
        return bytes(self._asked(lambda: self._files.cat_file(self.address, start=start, end=stop)))

    def _listed(self) -> list[dict[str, Any]]:
        return list(self._asked(lambda: self._files.ls(self.address, detail=True)))

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except FileNotFoundError:
            raise SlideNotFoundError(f"{self.address}: the server has no such file") from None
        except PermissionError:
            raise UnreadableSlideError(f"{self.address}: the server does not let you read it") from None
        except (OSError, RuntimeError) as error:
            raise PassingError(type(error).__name__) from None


def _first(info: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(info[name]) for name in names if info.get(name)), "")
