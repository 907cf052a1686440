"""Formats by name, and files read in whichever they are; :mod:`~napari_nic.annotations.saving` writes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_nic.annotations.foreign import CONVERT, name_of
from napari_nic.annotations.garbage import without_garbage_collection
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.slide_extent import SlideExtent, Unit, to_pixels
from napari_nic.disk import check_regular
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.names import ZARR_FILES
from napari_nic.registry import Registry
from napari_nic.telling import Notices, tell

SNIFFED_BYTES = 65536
"""How much of a file is looked at to tell its format."""


OF_FOLDER = b"\0folder\0"
"""Begins what stands for the first bytes of a folder."""


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
        ``read(path, token) -> AnnotationSet``; asks the token, which may be None, at each shape.
    write : callable, optional
        ``write(annotations, path, token) -> tuple of str``: what had to be written differently, beside
        what `instead` says.
    instead : mapping of str to str
        Features of :data:`~napari_nic.annotations.carrying.FEATURES` that the format has no place for, and
        what is done instead.
    unit : Unit or callable
        What its coordinates count in, or ``unit(head)`` where that is told by the file. `read` and `write`
        have the coordinates of the file; here they become level-0 pixels.
    step : float
        Coordinates are whole multiples of it, in that unit; 0 where they may be any number.
    iter_read : callable, optional
        The same as `read` with progress, where files may hold very many shapes.
    on_slide : callable, optional
        ``on_slide(format, extent, path)``: the same for one slide, where files say of which slide they are;
        raises :class:`~napari_nic.errors.AnnotationError` if that slide can have none.
    """

    label: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[Path, CancellationToken | None], AnnotationSet]
    write: Callable[[AnnotationSet, Path, CancellationToken | None], tuple[str, ...]] | None = None
    instead: Mapping[str, str] = field(default_factory=dict)
    unit: Unit | Callable[[bytes], Unit] = "px"
    step: float = 0.0
    iter_read: Callable[[Path, CancellationToken | None], Generator[Progress, None, AnnotationSet]] | None = (
        None
    )
    on_slide: Callable[[AnnotationFormat, SlideExtent, Path], AnnotationFormat] | None = None

    def unit_of(self, head: bytes) -> Unit:
        """What the coordinates of a file that begins with `head` count in."""
        return self.unit(head) if callable(self.unit) else self.unit


FORMATS: Registry[AnnotationFormat] = Registry("annotation format")
for _name in (
    *("geojson", "asap", "imagescope", "ndpa", "dsa", "darwin", "sectra", "cytomine"),
    *("geoparquet", "csv", "dicom", "omezarr"),
):
    FORMATS.register(_name, f"napari_nic.annotations.{_name}_format:FORMAT")
FORMATS.register("halo", "napari_nic.annotations.imagescope_format:HALO")


def writable_formats() -> tuple[str, ...]:
    """Names of the formats that can be written."""
    return tuple(name for name in FORMATS if FORMATS.get(name).write is not None)


def read_annotations(
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002 - the user's word
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
) -> AnnotationSet:
    """Read an annotation file of any format we know.

    Parameters
    ----------
    path : Path or str
    format : str, optional
        A name in :data:`FORMATS`; recognised from the content by default.
    token : CancellationToken, optional
        Asked at each shape.
    extent : SlideExtent, optional
        The slide, for files that count in something else than its pixels.

    Returns
    -------
    AnnotationSet
        In pixels of level 0, from the corner that the file counts from; see :meth:`AnnotationSet.shifted`
        for QuPath and slide bounds.

    Raises
    ------
    AnnotationError
        If the format is not recognised, the file is damaged (names the element), or it has no place without
        its slide.
    """
    return result_of(iter_read_annotations(path, format=format, token=token, extent=extent))


def iter_read_annotations(
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002 - the user's word
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
) -> Generator[Progress, None, AnnotationSet]:
    """Read an annotation file and tell how far it is; see :func:`read_annotations`."""
    path = Path(path)
    check_regular(path, AnnotationError)
    try:
        head = _head_of(path)
        name = _recognise(head, path) if format is None else _checked(format, head, path)
        chosen = FORMATS.get(name)
        with without_garbage_collection():
            scaling = to_pixels(chosen.unit_of(head), extent, path)
            chosen = for_slide(chosen, extent, path)
            found = yield from _reading(chosen, path, token)
            annotations = _with_notes(found.moved(scaling))
    except OSError as error:
        raise AnnotationError("the annotation file cannot be read", path=path, found=f"{error}") from error
    if annotations.notes:
        tell(Notices(path.name, annotations.notes))
    return annotations


def for_slide(chosen: AnnotationFormat, extent: SlideExtent | None, path: Path) -> AnnotationFormat:
    """Return a format for one slide, where its files say of which slide they are."""
    return chosen if chosen.on_slide is None or extent is None else chosen.on_slide(chosen, extent, path)


def _reading(
    chosen: AnnotationFormat, path: Path, token: CancellationToken | None
) -> Generator[Progress, None, AnnotationSet]:
    if chosen.iter_read is None:
        return chosen.read(path, token)
    return (yield from chosen.iter_read(path, token))


def format_in(path: Path) -> str:
    """Return the name of the format that a file is in, told from its content.

    Raises
    ------
    AnnotationError
        If it is in none that we know, or cannot be read.
    """
    check_regular(path, AnnotationError)
    try:
        return _recognise(_head_of(path), path)
    except OSError as error:
        raise AnnotationError("the annotation file cannot be read", path=path, found=f"{error}") from error


def counts_in_pixels(path: Path) -> bool:
    """Whether a file that is read counts in pixels of level 0, so that what it says depends on no slide."""
    head = _head_of(path)
    known = (FORMATS.get(name) for name in FORMATS)
    return next((chosen.unit_of(head) == "px" for chosen in known if chosen.recognises(head)), False)


def _head_of(path: Path) -> bytes:
    """What a file begins with; of a folder what tells that it is a Zarr, behind :data:`OF_FOLDER`.

    Raises
    ------
    AnnotationError
        If it is another folder.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return file.read(SNIFFED_BYTES)
    for name in ZARR_FILES:
        check_regular(path / name, AnnotationError)
        if (path / name).is_file():
            return OF_FOLDER + name.encode()
    raise AnnotationError(
        "a folder holds no annotations",
        path=path,
        expected="a file, or the folder of an OME-Zarr with labels",
        hint="name the file in it",
    )


def _with_notes(annotations: AnnotationSet) -> AnnotationSet:
    """Add what is told of files of any format."""
    notes = list(annotations.notes)
    if annotations.recoloured:
        notes.append(
            "classes that the file gives one colour, or the grey of no class, got colours of their own: "
            + ", ".join(annotations.recoloured)
        )
    return replace(annotations, notes=tuple(notes))


def _recognise(head: bytes, path: Path) -> str:
    for name in FORMATS:
        if FORMATS.get(name).recognises(head):
            return name
    found = name_of(head)
    raise AnnotationError(
        "the format of the annotations is not recognised",
        path=path,
        expected="one of " + ", ".join(FORMATS.get(name).label for name in FORMATS),
        found=found,
        hint=None if found == "an empty file" else CONVERT,
    )


def _checked(name: str, head: bytes, path: Path) -> str:
    """Return the name of the format that the user says it is, if it may be."""
    if not FORMATS.get(name).recognises(head):
        raise AnnotationError(
            "the annotations are of another format than was said",
            path=path,
            expected=FORMATS.get(name).label,
            found=name_of(head),
        )
    return name


def format_of(path: Path) -> str:
    """Return the name of the format that a file of this suffix is written in.

    Raises
    ------
    AnnotationError
        If the suffix tells none.
    """
    for name in writable_formats():
        if path.suffix.lower() in FORMATS.get(name).suffixes:
            return name
    known = [suffix for name in writable_formats() for suffix in FORMATS.get(name).suffixes]
    raise AnnotationError(
        "the suffix tells no annotation format", path=path, expected=", ".join(known), found=path.suffix
    )
