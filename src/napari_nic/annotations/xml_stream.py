"""Read XML element by element, safely and without keeping the document in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked

CHUNK_BYTES = 2**20

MAX_BYTES = 2**32
"""No annotation file is larger; what is, is something else, or was made to keep us busy."""

_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]{0,200})[\s/>]")
_SPACE = re.compile(rb"\s*")
_FORBIDDEN = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
"""What may be a whole number with its thousands set apart as well as a fraction."""


class ElementHandler(Protocol):
    """What a format does at each element."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle an opening tag."""

    def end(self, tag: str) -> None:
        """Handle a closing tag."""


class MissingAttributeError(LookupError):
    """An element lacks an attribute; :func:`parse` adds file and line."""


def root_tag(head: bytes) -> str | None:
    """Name of the root element of a file that begins with `head`; takes time linear in its length."""
    text = _single_bytes(head)
    at = _next_text(text, 0)
    while text.startswith((b"<?", b"<!"), at):
        end = _end_of_prolog_part(text, at)
        if end < 0:
            return None
        at = _next_text(text, end)
    match = _ROOT.match(text, at)
    return match.group(1).decode("ascii", "replace") if match else None


def _next_text(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _single_bytes(head: bytes) -> bytes:
    """Take off byte order marks and the second byte of UTF-16."""
    for encoding, marks in (("utf-16-le", (b"\xff\xfe", b"<\0")), ("utf-16-be", (b"\xfe\xff", b"\0<"))):
        if head.startswith(marks):
            text = head.decode(encoding, errors="ignore").removeprefix("\ufeff")
            return text.encode("utf-8", errors="replace")
    return head.removeprefix(b"\xef\xbb\xbf")


def _end_of_prolog_part(text: bytes, at: int) -> int:
    """Where the comment, instruction or document type that begins there ends; negative if it does not."""
    for start, end in ((b"<?", b"?>"), (b"<!--", b"-->")):
        if text.startswith(start, at):
            found = text.find(end, at + len(start))
            return -1 if found < 0 else found + len(end)
    found, bracket = text.find(b">", at), text.find(b"[", at)
    if 0 <= bracket < found:  # declarations inside of the document have ends of their own
        closing = text.find(b"]", bracket)
        found = -1 if closing < 0 else text.find(b">", closing)
    return -1 if found < 0 else found + 1


def clean_text(text: str) -> str:
    """Put U+FFFD for what XML 1.0 cannot hold: control characters, lone surrogates, U+FFFE."""
    return _FORBIDDEN.sub("\ufffd", text)


def parse(path: Path, handler: ElementHandler, token: CancellationToken | None = None) -> None:
    """Feed a file to `handler`, with a checkpoint of `token` at each :data:`CHUNK_BYTES`.

    A handler that has a method ``text(text)`` gets what stands between the tags, in any number of pieces.

    Raises
    ------
    AnnotationError
        If it is no well-formed XML, declares entities, names an outer document type, or `handler` meets
        what it cannot understand (ValueError or :class:`MissingAttributeError`); names the line.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    text = getattr(handler, "text", None)
    if text is not None:
        parser.CharacterDataHandler = text
    parser.EntityDeclHandler = _refuse_entities
    parser.StartDoctypeDeclHandler = _refuse_outer_types
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnnotationError("the file is too large for annotations", path=path)
        with path.open("rb") as file:
            for chunk in checked(iter(partial(file.read, CHUNK_BYTES), b""), token):
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise AnnotationError("not a readable XML file", path=path, found=f"{error}") from error
    except (ValueError, MissingAttributeError) as error:
        raise _damaged(path, parser, error) from error
    except LookupError as error:
        if type(error) is not LookupError:  # a KeyError or IndexError would be a mistake of ours
            raise
        # Python knows no encoding of the name that the file gives.
        raise _damaged(path, parser, error) from error


def _damaged(path: Path, parser: expat.XMLParserType, error: Exception) -> AnnotationError:
    return AnnotationError(
        "the annotation file is damaged",
        path=path,
        found=f"line {parser.CurrentLineNumber}: {error}",
    )


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


class Numbers:
    """Reads the numbers of one file; a decimal comma, which some locales write, is understood."""

    def __init__(self) -> None:
        self._n_commas = 0
        self._ambiguous = ""
        self._is_decimal = False

    def xy(self, attributes: Mapping[str, str], tag: str) -> tuple[float, float]:
        """Get a point from attributes X and Y.

        Raises
        ------
        MissingAttributeError, ValueError
            If one is absent or no number.
        """
        try:  # the way of nearly all points, of which there may be millions
            return float(attributes["X"]), float(attributes["Y"])
        except (KeyError, ValueError):
            return self._number(attributes, "X", tag), self._number(attributes, "Y", tag)

    def point(self, attributes: Mapping[str, str], tag: str) -> tuple[tuple[float, float] | None, str]:
        """Get a point, or why it is none: a bad number costs its shape, not the file."""
        try:
            return self.xy(attributes, tag), ""
        except (MissingAttributeError, ValueError) as error:
            return None, str(error)

    def notes(self, path: Path) -> list[str]:
        """Return what is to be told of the commas.

        Raises
        ------
        AnnotationError
            If every comma could as well set thousands apart: 1,234 is then 1.234 or one thousand.
        """
        if self._ambiguous and not self._is_decimal:
            raise AnnotationError(
                "numbers whose commas may be decimal points or set thousands apart",
                path=path,
                found=repr(self._ambiguous),
                hint="write the numbers with decimal points",
            )
        return ["decimal commas were read as decimal points"] if self._n_commas else []

    def _number(self, attributes: Mapping[str, str], name: str, tag: str) -> float:
        return self.number(need(attributes, name, tag), f"<{tag}> whose {name}")

    def number(self, text: str, what: str) -> float:
        """Read one number; `what` is for the message.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            raise ValueError(f"{what} is no number: {text[:40]!r}") from None
        if "," in text:
            self._n_commas += 1
            if _THOUSANDS.fullmatch(text.strip()):
                self._ambiguous = self._ambiguous or text.strip()
            else:
                self._is_decimal = True
        return value


def _refuse_entities(name: str, *_declaration: object) -> None:
    # Entities can blow a small file up to gigabytes or read other files; annotations never need them.
    raise ValueError(f"the file declares an XML entity ({name}), which is refused for safety")


def _refuse_outer_types(_name: str, system: str | None, public: str | None, _has_own: int) -> None:
    # What an outer document type declares would be missing from the values, without a word.
    if system or public:
        raise ValueError("the file refers to a document type outside of it, which is refused for safety")
