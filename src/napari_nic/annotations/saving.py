"""Annotations written in any format that can be, checked before what was there is replaced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import shapely

from napari_nic.annotations.carrying import losses_of
from napari_nic.annotations.foreign import name_of
from napari_nic.annotations.garbage import without_garbage_collection
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.preparing import ready_to_write
from napari_nic.annotations.registry import (
    FORMATS,
    SNIFFED_BYTES,
    AnnotationFormat,
    for_slide,
    format_of,
    writable_formats,
)
from napari_nic.annotations.slide_extent import SlideExtent, Unit, to_pixels
from napari_nic.disk import check_regular, replacing
from napari_nic.errors import AnnotationError, StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.wording import counted


def write_annotations(
    annotations: AnnotationSet,
    path: Path | str,
    format: str | None = None,  # noqa: A002 - the user's word
    *,
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
) -> tuple[str, ...]:
    """Write annotations; a file that exists is replaced when the new one is whole.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path or str
    format : str, optional
        One of :func:`writable_formats`; told by the suffix by default.
    token : CancellationToken, optional
        Asked at each shape; until the new file is whole, what was there before is kept.
    extent : SlideExtent, optional
        The slide, for formats that count in something else than its pixels.

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
    name = format or format_of(path)
    chosen = FORMATS.get(name)
    if chosen.write is None:
        raise AnnotationError(
            f"annotations cannot be written as {name!r}",
            path=path,
            expected=f"one of {', '.join(writable_formats())}",
        )
    _check_target(path, name)
    lost = losses(annotations, name, extent=extent)
    scaling = to_pixels(_written_unit(chosen), extent, path)
    chosen = for_slide(chosen, extent, path)
    if chosen.write is None:
        raise AssertionError(f"{name} cannot be written for one slide")
    in_file, repaired = ready_to_write(
        annotations.moved(scaling.inverse), chosen.step, token, instead=chosen.instead
    )
    try:
        with replacing(path) as temporary:
            notes = chosen.write(in_file, temporary, token)
            _check_written(in_file, path, partial(chosen.read, temporary, token), chosen.step)
    except StoreError as error:
        raise AnnotationError(
            "the annotations cannot be written",
            path=path,
            found=f"{error.found}",
            hint="choose another folder",
        ) from error
    return (*lost, *repaired, *notes)


def losses(
    annotations: AnnotationSet,
    format: str,  # noqa: A002 - the user's word
    *,
    extent: SlideExtent | None = None,
) -> tuple[str, ...]:
    """Say what a format cannot hold of a set, before it is written.

    Parameters
    ----------
    annotations : AnnotationSet
    format : str
        A name in :data:`FORMATS`.
    extent : SlideExtent, optional
        The slide, for formats that count in something else than its pixels: of pixels that are not square, a
        circle is none on the glass.

    Returns
    -------
    tuple of str
        One sentence for each feature that is lost; empty if the file will hold everything.
    """
    chosen = FORMATS.get(format)
    instead = dict(chosen.instead)
    if chosen.step and _written_unit(chosen) == "px":
        instead["fractions of a unit"] = "rounded to whole pixels"
    if extent is not None and any(a.kind == "ellipse" for a in annotations.annotations):
        annotations = _in_file(annotations, chosen, extent)
    return losses_of(annotations, chosen.label, instead)


def _in_file(annotations: AnnotationSet, chosen: AnnotationFormat, extent: SlideExtent) -> AnnotationSet:
    try:
        scaling = to_pixels(_written_unit(chosen), extent, Path(extent.name))
    except AnnotationError:  # the slide says too little: writing refuses it, with the reason
        return annotations
    return annotations.moved(scaling.inverse)


def _written_unit(chosen: AnnotationFormat) -> Unit:
    """What coordinates are written in, where a file may count in several."""
    return chosen.unit_of(b"")


def _check_target(path: Path, name: str) -> None:
    """Refuse a suffix that says another format, and to replace what holds no annotations."""
    suffix = path.suffix.lower()
    others = [other for other in FORMATS if other != name and suffix in FORMATS.get(other).suffixes]
    if others and suffix not in FORMATS.get(name).suffixes:
        raise AnnotationError(
            "the suffix says another format than the one asked for",
            path=path,
            expected=" or ".join(FORMATS.get(name).suffixes),
            found=suffix,
        )
    check_regular(path, AnnotationError)
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    if head and not any(FORMATS.get(known).recognises(head) for known in FORMATS):
        raise AnnotationError(
            "a file that holds no annotations is not replaced by them",
            path=path,
            found=name_of(head),
            hint="choose another name",
        )


def _check_written(
    annotations: AnnotationSet, path: Path, read: Callable[[], AnnotationSet], step: float
) -> None:
    """Read back what was written, before what was there is replaced."""
    try:
        with without_garbage_collection():
            again = read()
    except AnnotationError as error:
        raise AnnotationError(
            "the annotations cannot be written so that they can be read again",
            path=path,
            found=error.found or error.problem,
            hint="what was there before is kept",
        ) from error
    before, after = (
        float(sum(shapely.area(s.polygons()))) if s.polygons() else 0.0 for s in (annotations, again)
    )
    # Pieces that holes were cut into have corners of their own, which are rounded too.
    rounding = step * float(sum(shapely.length(annotations.polygons()))) if annotations.polygons() else 0.0
    shapes = sum(not annotation.geometry.is_empty for annotation in annotations.annotations)
    if abs(before - after) > 1e-6 * before + 1e-3 + rounding or len(again) < shapes:
        raise AnnotationError(
            "the annotations cannot be written as they are",
            path=path,
            expected=f"{shapes} shapes of area {before:,.0f}",
            found=f"{counted(len(again), 'shape')} of area {after:,.0f} in the file",
            hint="what was there before is kept",
        )
