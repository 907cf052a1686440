"""Read XML element by element, safely and without keeping the document in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from napari_nic.errors import AnnotationError

CHUNK_BYTES = 2**20

_ROOT = re.compile(rb"<\s*([A-Za-z_][\w.-]*)")
_PROLOG = re.compile(rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(\[.*?\]\s*)?>", re.DOTALL)


class ElementHandler(Protocol):
    """What a format does at each element."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle an opening tag."""

    def end(self, tag: str) -> None:
        """Handle a closing tag."""


class MissingAttributeError(LookupError):
    """An element lacks an attribute; :func:`parse` adds file and line."""


def root_tag(head: bytes) -> str | None:
    """Name of the root element of a file that begins with `head`."""
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        if head.startswith(mark):
            head = head[2:].decode(encoding, errors="ignore").encode()
    match = _ROOT.match(_PROLOG.sub(b"", head.removeprefix(b"\xef\xbb\xbf")).lstrip())
    return match.group(1).decode() if match else None


def parse(path: Path, handler: ElementHandler) -> None:
    """Feed a file to `handler`.

    Raises
    ------
    AnnotationError
        If it is no well-formed XML, declares entities, or `handler` meets what it cannot understand
        (ValueError or :class:`MissingAttributeError`); names the line.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.EntityDeclHandler = _refuse_entities
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise AnnotationError("not a readable XML file", path=path, found=f"{error}") from error
    except (ValueError, MissingAttributeError) as error:
        raise AnnotationError(
            "the annotation file is damaged",
            path=path,
            found=f"line {parser.CurrentLineNumber}: {error}",
        ) from error


def need(attributes: Mapping[str, str], name: str, tag: str) -> str:
    """Get an attribute.

    Raises
    ------
    MissingAttributeError
        If it is absent.
    """
    try:
        return attributes[name]
    except KeyError:
        raise MissingAttributeError(f"<{tag}> without {name}") from None


def xy(attributes: Mapping[str, str], tag: str) -> tuple[float, float]:
    """Get a point from attributes X and Y; a decimal comma, which some locales write, is understood.

    Raises
    ------
    MissingAttributeError, ValueError
        If one is absent or no number.
    """
    try:  # the way of nearly all points, of which there may be millions
        return float(attributes["X"]), float(attributes["Y"])
    except (KeyError, ValueError):
        return _number(attributes, "X", tag), _number(attributes, "Y", tag)


def _number(attributes: Mapping[str, str], name: str, tag: str) -> float:
    text = need(attributes, name, tag)
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"<{tag}> whose {name} is no number: {text!r}") from None


def _refuse_entities(name: str, *_declaration: object) -> None:
    # Entities can blow a small file up to gigabytes or read other files; annotations never need them.
    raise ValueError(f"the file declares an XML entity ({name}), which is refused for safety")
