"""Formats by name, and the two functions that use them."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations.model import AnnotationSet
from napari_nic.errors import AnnotationError
from napari_nic.registry import Registry

SNIFFED_BYTES = 65536
"""How much of a file is looked at to tell its format."""


@dataclass(frozen=True)
class AnnotationFormat:
    """How a format is read and written.

    Attributes
    ----------
    label : str
        For menus and messages.
    suffixes : tuple of str
        The first one is used for new files.
    recognises : callable
        ``recognises(head) -> bool`` for a file that begins with the bytes `head`; does not raise.
    read : callable
        ``read(path) -> AnnotationSet``.
    write : callable, optional
        ``write(annotations, path) -> tuple of str``: what had to be written differently.
    """

    label: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[Path], AnnotationSet]
    write: Callable[[AnnotationSet, Path], tuple[str, ...]] | None = None


FORMATS: Registry[AnnotationFormat] = Registry("annotation format")
for _name in ("geojson", "asap", "imagescope"):
    FORMATS.register(_name, f"napari_nic.annotations.{_name}_format:FORMAT")


def writable_formats() -> tuple[str, ...]:
    """Names of the formats that can be written."""
    return tuple(name for name in FORMATS if FORMATS.get(name).write is not None)


def read_annotations(path: Path | str, *, format: str | None = None) -> AnnotationSet:  # noqa: A002 - the user's word
    """Read an annotation file of any format we know.

    Parameters
    ----------
    path : Path or str
    format : str, optional
        A name in :data:`FORMATS`; recognised from the content by default.

    Returns
    -------
    AnnotationSet
        In the coordinates of the file; see :meth:`AnnotationSet.shifted` for QuPath and slide bounds.

    Raises
    ------
    AnnotationError
        If the format is not recognised or the file is damaged; names the element.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
        with _without_garbage_collection():
            return FORMATS.get(format or _recognise(head, path)).read(path)
    except OSError as error:
        raise AnnotationError("the annotation file cannot be read", path=path, found=f"{error}") from error


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep the collector from walking millions of coordinates again and again while they are read.

    It would take three times as long as the reading itself (100,000 outlines: 7 s instead of 2), and finds
    nothing: what is read has no cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _recognise(head: bytes, path: Path) -> str:
    for name in FORMATS:
        if FORMATS.get(name).recognises(head):
            return name
    raise AnnotationError(
        "the format of the annotations is not recognised",
        path=path,
        expected="one of " + ", ".join(FORMATS.get(name).label for name in FORMATS),
        found="an empty file" if not head.strip() else f"a file that begins with {head[:20]!r}",
    )


def write_annotations(
    annotations: AnnotationSet,
    path: Path | str,
    format: str | None = None,  # noqa: A002 - the user's word
) -> tuple[str, ...]:
    """Write annotations; a file that exists is replaced when the new one is whole.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path or str
    format : str, optional
        One of :func:`writable_formats`; told by the suffix by default.

    Returns
    -------
    tuple of str
        What the format does not know and how it was written instead; empty if nothing was lost.

    Raises
    ------
    AnnotationError
        If the suffix tells no format, or the file cannot be written.
    """
    path = Path(path)
    name = format or _format_of_suffix(path)
    write = FORMATS.get(name).write
    if write is None:
        raise AnnotationError(
            f"annotations cannot be written as {name!r}",
            path=path,
            expected=f"one of {', '.join(writable_formats())}",
        )
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        notes = write(annotations, temporary)
        temporary.replace(path)
    except OSError as error:
        raise AnnotationError(
            "the annotations cannot be written", path=path, found=f"{error}", hint="choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return notes


def _format_of_suffix(path: Path) -> str:
    for name in writable_formats():
        if path.suffix.lower() in FORMATS.get(name).suffixes:
            return name
    known = [suffix for name in writable_formats() for suffix in FORMATS.get(name).suffixes]
    raise AnnotationError(
        "the suffix tells no annotation format", path=path, expected=", ".join(known), found=path.suffix
    )
