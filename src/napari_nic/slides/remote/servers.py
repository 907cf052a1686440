"""What a server is asked for a file, and what its answers must be: never other bytes than were asked for."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from napari_nic.addresses import without_secrets
from napari_nic.errors import NicError, RemoteError, SlideNotFoundError, UnreadableSlideError

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
"""To reach a server, and between two pieces of its answer."""

WAITS = (0.3, 1.0, 3.0)
"""Seconds before a request is made again that failed for a reason that may pass."""

PIECE_BYTES = 8 * 2**20
"""Of one request while a file is copied."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of HTTP that may be others in a moment."""

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """Which version of a file a server has.

    Attributes
    ----------
    size : int
        Bytes.
    tag, modified : str
        The server's own name of the version (ETag), and its date; empty where it says neither.
    has_ranges : bool
        Whether parts of the file can be asked for.
    written, asked : float or None
        When it was written, and when the server answered, by its own clock (seconds).
    """

    size: int
    tag: str = ""
    modified: str = ""
    has_ranges: bool = True
    written: float | None = None
    asked: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether a change would be noticed."""
        return bool(self.tag or self.modified)

    @property
    def name(self) -> str:
        """Text that is another one for another version."""
        return f"{self.size} {self.tag} {self.modified}"

    def is_other(self, tag: str, modified: str) -> bool:
        """Whether an answer is of another version; what it does not say counts as the same."""
        pairs = ((self.tag, tag), (self.modified, modified))
        return any(ours and theirs and ours != theirs for ours, theirs in pairs)


class Server(Protocol):
    """One file on a server. All methods may be called from several threads at once."""

    address: str
    """As it may be shown."""

    def version(self) -> Version:
        """Ask which version there is.

        Raises
        ------
        SlideNotFoundError, UnreadableSlideError, RemoteError
        """

    def read(self, start: int, stop: int, version: Version) -> bytes:
        """Return exactly the bytes ``start`` up to ``stop``, of just this version.

        Raises
        ------
        RemoteError
            If the server gives others, none, or another version.
        """

    def pieces(self, version: Version) -> Iterator[bytes]:
        """Yield the whole file in one answer, for servers without ranges."""

    def below(self, key: str) -> Server:
        """Return a file below this one, which is a folder then."""

    def folders(self) -> tuple[str, ...] | None:
        """Return the names of the folders in this one; None where the server does not list any."""


class PassingError(Exception):
    """A failure that may pass; `reason` says which, without addresses."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def check_encrypted(url: str, shown: str) -> None:
    """Refuse plain http to anything but this machine: who listens could read, and change, what comes.

    Parameters
    ----------
    url : str
        What would be asked.
    shown : str
        What the user gave, as it may be shown.

    Raises
    ------
    UnreadableSlideError
    """
    parts = urlsplit(url)
    if parts.scheme.lower() == "https":
        return
    if parts.scheme.lower() == "http" and _is_this_machine(parts.hostname or ""):
        return
    led = "" if without_secrets(url) == shown else " (it leads there)"
    raise UnreadableSlideError(
        f"{shown}: would be read without encryption{led}",
        expected="https; plain http only of this machine (127.0.0.1, localhost)",
        hint="ask the server's owner for an address that begins with https, or download the file yourself",
    )


def _is_this_machine(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def persistent(work: Callable[[], T], shown: str) -> T:
    """Do a request, and again a few times where it fails for a reason that may pass.

    Raises
    ------
    RemoteError
        If it fails each time.
    """
    for wait in (*WAITS, None):
        try:
            return work()
        except PassingError as error:
            reason = error.reason
        if wait is not None:
            time.sleep(wait)
    raise RemoteError(
        f"{shown}: the server does not give what it was asked for",
        found=f"{reason}, {len(WAITS) + 1} times",
        hint="try again later: what was done is kept",
    )


def refusal(status: int, shown: str) -> NicError:
    """Build the error for a status of HTTP that will stay."""
    if status in (404, 410):
        return SlideNotFoundError(
            f"{shown}: the server has no such file ({status})", hint="check the address for typing errors"
        )
    if status in (401, 403):
        return UnreadableSlideError(
            f"{shown}: the server does not let you read it ({status})",
            hint="check your right to it; addresses with a signature expire",
        )
    return RemoteError(f"{shown}: the server refuses ({status})", hint="ask the server's owner")


def seconds_of(date: str) -> float | None:
    """Read a date as HTTP writes them: seconds since 1970; None where there is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def changed(shown: str, found: str = "") -> RemoteError:
    """Build the error for a file that is another one by now."""
    return RemoteError(
        f"{shown}: the file changed on the server since it was opened",
        found=found or None,
        hint="open it again; what was made of the earlier one is of another slide",
    )


def wrong_bytes(shown: str, expected: str, found: str) -> RemoteError:
    """Build the error for an answer that is not what was asked for."""
    return RemoteError(
        f"{shown}: the server answers with other bytes than it was asked for",
        expected=expected,
        found=found,
        hint="download the file with another program and open that",
    )
