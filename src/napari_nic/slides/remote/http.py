"""Files by https, through fsspec's session; each range is asked for on the condition that nothing changed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urljoin

from napari_nic.addresses import joined, without_secrets
from napari_nic.errors import NicError, RemoteError
from napari_nic.extras import check_installed
from napari_nic.slides.remote.servers import (
    CONNECT_SECONDS,
    PASSING,
    PIECE_BYTES,
    READ_SECONDS,
    PassingError,
    Server,
    Version,
    changed,
    check_encrypted,
    persistent,
    refusal,
    seconds_of,
    wrong_bytes,
)

WHAT = "slides in the network"
MOST_REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_OK, _PART, _CONDITION, _NO_RANGE = 200, 206, 412, 416
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_EMPTY = re.compile(r"bytes \*/(\d+)")

T = TypeVar("T")


class HttpServer:
    """A file by https, or by http on this machine.

    Parameters
    ----------
    url : str
        With whatever query it needs; only the rest is ever shown.
    """

    def __init__(self, url: str) -> None:
        self.address = without_secrets(url)
        self._url = url
        check_encrypted(url, self.address)
        self._files = _filesystem()

    def version(self) -> Version:
        """Ask for the first byte: the answer says how many there are, and of which version."""
        return self._try(self._version)

    def read(self, start: int, stop: int, version: Version) -> bytes:
        """Ask for a range."""
        return self._try(lambda: self._range(start, stop, version))

    def pieces(self, version: Version) -> Iterator[bytes]:
        """Ask for the whole file, once: a second answer could be of another version."""
        response = self._try(lambda: self._whole(version))
        done = 0
        try:
            while done < version.size:
                piece = self._sync(lambda: _some(response))
                if not piece:
                    break
                done += len(piece)
                yield piece
            if done != version.size:
                raise wrong_bytes(self.address, f"{version.size:,} bytes", f"{done:,}")
        finally:
            response.close()

    def below(self, key: str) -> Server:
        """Return a file below this one."""
        return HttpServer(joined(self._url, key))

    def folders(self) -> None:
        """HTTP lists nothing."""
        return

    # -- requests ----------------------------------------------------------------------------------------

    def _try(self, ask: Callable[[], Awaitable[T]]) -> T:
        return persistent(lambda: self._sync(ask), self.address)

    def _sync(self, ask: Callable[[], Awaitable[T]]) -> T:
        import aiohttp
        from fsspec.asyn import sync

        try:
            return sync(self._files.loop, ask)
        except NicError:
            raise
        except TimeoutError:
            raise PassingError("no answer in time") from None
        # Nothing of the library's own texts is shown or kept: they hold the whole address.
        except aiohttp.ClientConnectorCertificateError:
            raise RemoteError(
                f"{self.address}: the server's certificate is not valid", hint="ask the server's owner"
            ) from None
        except (aiohttp.ClientPayloadError, asyncio.IncompleteReadError):
            raise PassingError("an answer that was cut off") from None
        except aiohttp.InvalidURL:
            raise RemoteError(f"{self.address}: no address that can be asked for") from None
        except aiohttp.ClientError as error:
            raise PassingError(f"no connection ({type(error).__name__})") from None
        except OSError as error:
            raise PassingError(error.strerror or type(error).__name__) from None

    async def _version(self) -> Version:
        response = await self._get({"Range": "bytes=0-0"})
        try:
            tag, modified = _told(response)
            times = seconds_of(modified), seconds_of(response.headers.get("Date", ""))
            if response.status == _PART:
                found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if found is None:
                    raise wrong_bytes(self.address, "a Content-Range", "none")
                return Version(int(found[3]), tag, modified, True, *times)
            if response.status == _NO_RANGE and _EMPTY.fullmatch(response.headers.get("Content-Range", "")):
                return Version(0, tag, modified, True, *times)
            size = response.headers.get("Content-Length", "")
            if response.status != _OK:
                raise refusal(response.status, self.address)
            if not size.isdecimal():
                raise RemoteError(
                    f"{self.address}: the server does not say how large the file is",
                    hint="download the file with another program and open that",
                )
            return Version(int(size), tag, modified, False, *times)
        finally:
            response.close()

    async def _range(self, start: int, stop: int, version: Version) -> bytes:
        response = await self._get({"Range": f"bytes={start}-{stop - 1}", **_condition(version)})
        try:
            if response.status in (_CONDITION, _NO_RANGE):
                raise changed(self.address)
            if response.status not in (_OK, _PART):
                raise refusal(response.status, self.address)
            if version.is_other(*_told(response)):
                raise changed(self.address)
            found = response.headers.get("Content-Range", "no Content-Range")
            wanted = f"bytes {start}-{stop - 1}/{version.size}"
            if response.status == _OK or found != wanted:
                raise wrong_bytes(self.address, wanted, found)
            data: bytes = await response.content.readexactly(stop - start)
            if response.headers.get("Content-Length", str(len(data))) != str(len(data)):
                raise wrong_bytes(self.address, f"{len(data)} bytes", response.headers["Content-Length"])
            return data
        finally:
            response.close()

    async def _whole(self, version: Version) -> Any:
        response = await self._get(_condition(version))
        length = response.headers.get("Content-Length")
        problem: NicError | None = None
        if response.status == _CONDITION or version.is_other(*_told(response)):
            problem = changed(self.address)
        elif response.status != _OK:
            problem = refusal(response.status, self.address)
        elif length is not None and length != str(version.size):
            problem = changed(self.address, f"{length} bytes, {version.size} before")
        if problem is not None:
            response.close()
            raise problem
        return response

    async def _get(self, headers: dict[str, str]) -> Any:
        """Ask, and follow where the answer leads, but never to where nothing is encrypted."""
        from yarl import URL

        session, url = await self._files.set_session(), self._url
        headers = {"Accept-Encoding": "identity", **headers}
        for _ in range(MOST_REDIRECTS + 1):
            check_encrypted(url, self.address)
            response = await session.get(
                URL(url, encoded=url.isascii() and " " not in url), headers=headers, allow_redirects=False
            )
            if response.status not in _MOVED:
                if response.status in PASSING:
                    response.close()
                    raise PassingError(f"status {response.status}")
                return response
            response.close()
            url = urljoin(url, response.headers.get("Location", ""))
        raise RemoteError(f"{self.address}: the server leads from address to address")


def _filesystem() -> Any:
    for module in ("fsspec", "aiohttp"):
        check_installed(module, WHAT)
    import aiohttp
    import fsspec

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    return fsspec.filesystem(
        "https", client_kwargs={"timeout": timeout, "trust_env": True}, use_listings_cache=False
    )


def _condition(version: Version) -> dict[str, str]:
    """Ask only for the version that was opened; tags that are weak cannot be asked for, and are compared."""
    if version.tag and not version.tag.startswith("W/"):
        return {"If-Match": version.tag}
    return {"If-Unmodified-Since": version.modified} if version.modified else {}


def _told(response: Any) -> tuple[str, str]:
    return response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")


async def _some(response: Any) -> bytes:
    piece: bytes = await response.content.read(PIECE_BYTES)
    return piece
