"""Descriptions that came from anywhere: JSON read in bounded memory, sealed, and checked field by field.

What stands beside weights, codes and models is read here alone, so that each is held to the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from napari_nic.disk import check_regular
from napari_nic.errors import NicError

MOST_NAME = 200
"""Characters of a name, and of a wrong value that an error shows."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

Checks = Mapping[str, tuple[str, Callable[[Any], bool]]]
"""By field: what it may hold, in words, and whether a value is that."""

MOST_JSON_BYTES = 16 << 20
MOST_JSON_DEPTH = 32
"""What a description may take: cards and specs are a few kilobytes, three or four levels deep."""


def read_json(path: Path, error: type[NicError], *, what: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """Read a JSON file that came from anywhere, in bounded memory and time.

    Parameters
    ----------
    path : Path
    error : type
        Kind of error to raise.
    what : str
        What it is, for the error: ``"the encoder's description"``.
    most_bytes : int
        A larger file is not read.

    Raises
    ------
    NicError
        Of the kind `error`, if it is no file, too large, no JSON, or nested without end.
    """
    check_regular(path, error)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise error(f"{what} is too large", path=path, expected=f"at most {most_bytes:,} bytes")
        data = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        data = None
        deep = True
    except (OSError, ValueError) as reason:
        raise error(f"{what} cannot be read", path=path, expected="JSON", found=str(reason)) from reason
    else:
        deep = _too_deep(data)
    if deep:
        raise error(f"{what} is nested too deeply", path=path, expected=f"at most {MOST_JSON_DEPTH} levels")
    return data


def _too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MOST_JSON_DEPTH):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner.extend(node.values())
            elif isinstance(node, list):
                inner.extend(node)
        if not inner:
            return False
        level = inner
    return True


SEAL = "content_sha256"
"""Entry of a description that holds the SHA-256 of all its others."""


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with its seal, by which a flipped bit or an accident of an editor is noticed."""
    plain = json.loads(json.dumps(data))  # as it will be read back
    return {**plain, SEAL: _content_sha256(plain)}


def unsealed(data: Any, path: Path, error: type[NicError]) -> Any:
    """Return a description without its seal, which must fit; older ones have none.

    Raises
    ------
    NicError
        Of the kind `error`, if the content is not the one that was sealed.
    """
    if not isinstance(data, dict) or SEAL not in data:
        return data
    content = {name: value for name, value in data.items() if name != SEAL}
    found = _content_sha256(content)
    if data[SEAL] != found:
        raise error(
            "this description was changed or damaged since it was written",
            path=path,
            expected=f"content of SHA-256 {str(data[SEAL])[:64]}",
            found=found,
            hint=f'get it again; if you changed it on purpose, remove its entry "{SEAL}"',
        )
    return content


def _content_sha256(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_fields(
    data: Mapping[str, Any],
    checks: Checks,
    error: type[NicError],
    *,
    what: str,
    known: Collection[str],
    required: Collection[str],
) -> None:
    """Refuse a description with missing, unknown or wrong fields.

    Parameters
    ----------
    data : mapping
    checks : mapping
        Fields that may be missing are checked where they are there.
    error : type
        Kind of error to raise.
    what : str
        What it should be: ``"an encoder description"``.
    known, required : collection of str
        Fields that may, and that must be there.

    Raises
    ------
    NicError
        Of the kind `error`.
    """
    if set(data) - set(known) or set(required) - set(data):
        raise error(
            f"not {what}",
            expected=f"the fields {', '.join(sorted(known))}",
            found=", ".join(sorted(data)) or "nothing",
        )
    for name, (expected, fits) in checks.items():
        if name in data and not fits(data[name]):
            raise error(f"not {what}: {name}", expected=expected, found=repr(data[name])[:MOST_NAME])


def is_whole(value: Any, most: int, least: int = 1) -> bool:
    """Whether a value of a JSON file is a whole number in a range."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_finite(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_name(value: Any) -> bool:
    """Whether a value of a JSON file can be shown as a name: text without control characters."""
    return isinstance(value, str) and value.strip() != "" and len(value) <= MOST_NAME and value.isprintable()


def is_plain_file_name(name: Any) -> bool:
    """Whether a name of a JSON file is that of a file in the folder itself, on every system."""
    return is_name(name) and not set(name) & set('/\\:*?"<>|') and name == name.strip(" .")


def is_sha256(value: Any) -> bool:
    """Whether a value of a JSON file is a SHA-256, hexadecimal."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_text(value: Any) -> bool:
    """Whether a value of a JSON file is text."""
    return isinstance(value, str)


def is_mapping(value: Any) -> bool:
    """Whether a value of a JSON file is an object."""
    return isinstance(value, Mapping)
