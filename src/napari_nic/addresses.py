"""Addresses in the network, and the paths that stand for them; what of an address may be shown or kept.

Slides are named by paths everywhere: in stores, in messages, beside files. A slide in the network has a path
too, which stands for it and at which there is no file. Where it is shown, the address is, without what may be
secret in it: user, password and query.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

TESTED = ("https", "http", "s3")
UNTESTED = ("gs", "gcs", "az", "abfs", "abfss")
"""Schemes of fsspec that read by the same code, and that nobody has tried."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_shown: dict[Path, str] = {}


def is_address(text: str) -> bool:
    """Whether a text is an address rather than a path, of whatever scheme."""
    return _ADDRESS.match(text) is not None


def without_secrets(address: str) -> str:
    """Return an address without user, password, query and fragment."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme.lower()}://{host}{parts.path}"


def has_secrets(address: str) -> bool:
    """Whether an address says more than :func:`without_secrets` shows."""
    parts = urlsplit(address)
    return bool(parts.query) or "@" in parts.netloc


def name_in(address: str) -> str:
    """Return the last part of an address's path, as text: ``"a b.svs"``; the host's where there is none."""
    parts = urlsplit(address)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc.rpartition("@")[2]


def joined(address: str, key: str) -> str:
    """Return the address of what lies below another one; its query stays."""
    parts = urlsplit(address)
    path = f"{parts.path.rstrip('/')}/{quote(key)}"
    return parts._replace(path=path).geturl()


def show_as(path: Path, text: str) -> None:
    """Let a path be shown as the address that it stands for."""
    _shown[path] = text


def shown(path: Path) -> str:
    """Return how a path is shown: itself, or the address that it, or a folder above it, stands for."""
    if not _shown:
        return str(path)
    for place in (path, *path.parents):
        if place in _shown:
            return "/".join((_shown[place], *path.relative_to(place).parts))
    return str(path)
