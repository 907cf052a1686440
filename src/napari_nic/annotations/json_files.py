"""JSON files of annotations: told apart by their first keys, and read whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_nic.annotations.building import BadShapeError, Drawn
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.json_parsing import parsed
from napari_nic.colors import RGB, from_hex
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked

MAX_BYTES = 2**30
"""A file is held in memory whole, ten times its size: three million nuclei."""

MAX_LEVEL = 2
"""Keys are told of the document and of the objects in it, and no deeper."""

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)
_RGB = re.compile(r"rgba?\(\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})")
_SURROGATES = re.compile("[\ud800-\udfff]")


def is_json(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON."""
    return _text(head)[:1] in ("{", "[")


@lru_cache(maxsize=4)
def first_keys(head: bytes) -> tuple[frozenset[str], ...]:
    """Return keys by level of the document, or of the first object of a list, as far as `head` shows them."""
    found: list[set[str]] = [set() for _ in range(MAX_LEVEL)]
    level = 0
    for match in _TOKEN.finditer(_text(head)) if is_json(head) else ():
        found_text = match.group()
        if found_text == "{":
            level += 1
        elif found_text == "}":
            level -= 1
            if level == 0:
                break
        elif match.group(2) and 0 < level <= MAX_LEVEL:
            found[level - 1].add(match.group(1))
    return tuple(map(frozenset, found))


def load_json(path: Path, what: str) -> Any:
    """Read a file whole.

    Raises
    ------
    AnnotationError
        If it is too large or no JSON; `what` is the format that it should be.
    """
    return parse_json(read_json(path), path, what)


def read_json(path: Path) -> bytes:
    """Return the text of a file, not parsed yet.

    Raises
    ------
    AnnotationError
        If it is too large.
    """
    if path.stat().st_size > MAX_BYTES:
        raise AnnotationError(
            "the file is too large for annotations", path=path, expected=f"at most {MAX_BYTES:,} bytes"
        )
    return path.read_bytes()


def parse_json(text: bytes, path: Path, what: str) -> Any:
    """Parse the text of a file.

    Raises
    ------
    AnnotationError
        If it is no JSON; `what` is the format that it should be.
    """
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"not a readable {what} file", path=path, found=f"{error}") from error


def shapes_of(
    items: Iterable[Any],
    word: str,
    shape: Callable[[Mapping[str, Any], str], Iterable[Drawn]],
    token: CancellationToken | None,
) -> list[Drawn]:
    """Make shapes of the objects of a list; one that is damaged is kept as such, and costs no other.

    Parameters
    ----------
    items : iterable
    word : str
        What the objects are called in messages.
    shape : callable
        ``shape(item, where)``; raises :class:`BadShapeError` at what it cannot understand.
    token : CancellationToken, optional
        Asked at each object.
    """
    drawn: list[Drawn] = []
    for number, item in enumerate(checked(items, token)):
        where = f"{word} {number}"
        try:
            drawn.extend(shape(_object(item), where))
        except BadShapeError as error:
            drawn.append(Drawn(where, UNCLASSIFIED, "polygon", [], damage=str(error)))
    return drawn


def _object(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise BadShapeError(f"a {type(item).__name__} instead of an object")
    return item


def plain_text(value: Any) -> str:
    """Text of a name or id; halves of characters (lone surrogates) are replaced; empty if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}"
    return _SURROGATES.sub("\ufffd", value) if isinstance(value, str) else ""


def color_of_text(text: Any) -> RGB | None:
    """Colour as ``rgb(r, g, b)``, ``rgba(...)`` or ``#rrggbb``."""
    if not isinstance(text, str):
        return None
    match = _RGB.match(text)
    if match is None:
        return from_hex(text[:7])
    red, green, blue = (min(255, int(value)) for value in match.groups())
    return red, green, blue


def number_of(value: Any, what: str) -> float:
    """Return a number.

    Raises
    ------
    BadShapeError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadShapeError(f"{what} that is no number")
    try:
        return float(value)
    except OverflowError:
        raise BadShapeError(f"{what} beyond any slide") from None


def list_of(value: Any, what: str) -> Sequence[Any]:
    """Return a list.

    Raises
    ------
    BadShapeError
        If it is none.
    """
    if not isinstance(value, list):
        raise BadShapeError(f"{what} that is no list")
    return value


def xy_of(value: Any, what: str = "a point") -> tuple[float, float]:
    """Return the point of an object {x, y}.

    Raises
    ------
    BadShapeError
        If it is none.
    """
    if not isinstance(value, Mapping):
        raise BadShapeError(f"{what} that is no object of x and y")
    return number_of(value.get("x"), "an x"), number_of(value.get("y"), "a y")


def _text(head: bytes) -> str:
    return head.decode(json.detect_encoding(head), errors="ignore").lstrip("\ufeff \t\r\n")
