"""What operations make of a document's objects: each is one step, to be handed to :meth:`Document.put`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_nic.editing.document import Document
from napari_nic.editing.objects import AnnotationObject
from napari_nic.editing.operations import reshaping
from napari_nic.editing.operations.areas import filled, n_holes
from napari_nic.editing.operations.simplifying import simplified
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize

TWO = 2


@dataclass(frozen=True)
class Step:
    """Objects to put and to remove, under one title.

    Attributes
    ----------
    title : str
        For "Undo ...".
    put : tuple of AnnotationObject
    remove : tuple of str
        Ids.
    """

    title: str
    put: tuple[AnnotationObject, ...] = ()
    remove: tuple[str, ...] = ()

    def apply_to(self, document: Document) -> None:
        """Make the step.

        Raises
        ------
        LockedAnnotationError
            If an object is locked; nothing is changed then.
        """
        document.put(self.title, *self.put, remove=self.remove)


def reshaped(item: AnnotationObject, geometry: Any) -> AnnotationObject:
    """Return an object in another shape; what was a rectangle, or any other area, is then a polygon."""
    changed = item.with_geometry(geometry)
    if not item.annotation.is_area:
        return changed
    return replace(changed, annotation=replace(changed.annotation, kind="polygon"))


def merge(items: Sequence[AnnotationObject]) -> Step:
    """Merge areas into the first of them, whose class and name the result has.

    Raises
    ------
    AnnotationError
        If these are not two areas or more.
    """
    areas = _areas(items, TWO, "merge")
    shape = reshaping.merged(item.annotation.geometry for item in areas)
    return Step(
        f"merge {len(areas)} objects", (reshaped(areas[0], shape),), tuple(item.id for item in areas[1:])
    )


def subtract(items: Sequence[AnnotationObject]) -> Step:
    """Take all areas but the first out of the first; the others stay.

    Raises
    ------
    AnnotationError
        If these are not two areas or more, or nothing would be left.
    """
    first, *others = _areas(items, TWO, "subtract")
    shape = reshaping.subtracted(first.annotation.geometry, [item.annotation.geometry for item in others])
    return Step("subtract", (reshaped(first, shape),))


def fill_holes(items: Sequence[AnnotationObject]) -> Step:
    """Fill the holes of areas.

    Raises
    ------
    AnnotationError
        If none has holes.
    """
    with_holes = [item for item in _areas(items, 1, "fill holes") if n_holes(item.annotation.geometry)]
    if not with_holes:
        raise AnnotationError("no selected object has holes", hint="select objects with holes")
    return Step("fill holes", tuple(reshaped(item, filled(item.annotation.geometry)) for item in with_holes))


def expand(
    items: Sequence[AnnotationObject], distance_um: float, pixel: PixelSize, within: Any = None
) -> Step:
    """Grow areas by a distance on the glass, or shrink them by a negative one, see `expanded`."""
    areas = _areas(items, 1, "expand")
    put = [
        reshaped(item, reshaping.expanded(item.annotation.geometry, distance_um, pixel, within))
        for item in areas
    ]
    return Step(f"{'expand' if distance_um > 0 else 'shrink'} by {abs(distance_um):g} um", tuple(put))


def simplify(items: Sequence[AnnotationObject], tolerance_um: float, pixel: PixelSize) -> Step:
    """Leave corners of outlines and lines out, see `simplified`.

    Raises
    ------
    AnnotationError
        If an object would vanish.
    """
    put = []
    for item in items:
        shape = simplified(item.annotation.geometry, tolerance_um / pixel.mean)
        if shape.is_empty:
            raise AnnotationError(
                "an object is smaller than what is simplified away", hint="take a smaller distance"
            )
        put.append(reshaped(item, shape))
    return Step("simplify", tuple(put))


def split_by_line(items: Sequence[AnnotationObject], line: Any) -> Step:
    """Cut areas along a line; each keeps its largest piece, the others become objects of its class.

    Raises
    ------
    AnnotationError
        If the line cuts through none of them.
    """
    put: list[AnnotationObject] = []
    for item in _areas(items, 1, "split"):
        try:
            first, *others = reshaping.split(item.annotation.geometry, line)
        except AnnotationError:
            continue
        put += [reshaped(item, first), *(duplicate_of(item, piece) for piece in others)]
    if not put:
        raise AnnotationError(
            "the line cuts through no object", hint="begin and end it outside of the object"
        )
    return Step("split", tuple(put))


def invert(items: Sequence[AnnotationObject], within: Any, label: str) -> Step:
    """Make an object of what of `within` these areas do not cover."""
    areas = _areas(items, 1, "make inverse")
    shape = reshaping.inverted((item.annotation.geometry for item in areas), within)
    annotation = replace(
        areas[0].annotation, label=label, kind="polygon", geometry=shape, name="", id="", extra={}
    )
    return Step("make inverse", (AnnotationObject.new(annotation),))


def duplicate(items: Sequence[AnnotationObject]) -> Step:
    """Copy objects; the copies lie on them, unlocked, with ids of their own."""
    if not items:
        raise AnnotationError("no object is selected", hint="select one first")
    return Step("duplicate", tuple(duplicate_of(item, item.annotation.geometry) for item in items))


def transfer(
    item: AnnotationObject, center: tuple[float, float], from_pixel: PixelSize, to_pixel: PixelSize
) -> Step:
    """Put a copy of the same size in micrometres around another point, of another slide too."""
    shape = reshaping.transferred(item.annotation.geometry, center, from_pixel, to_pixel)
    return Step("transfer", (duplicate_of(item, shape),))


def carry(items: Sequence[AnnotationObject], from_pixel: PixelSize, to_pixel: PixelSize) -> Step:
    """Copy objects to the same place, in micrometres, of another slide."""
    copies = [
        duplicate_of(item, reshaping.carried(item.annotation.geometry, from_pixel, to_pixel))
        for item in items
    ]
    return Step("copy from another slide", tuple(copies))


def set_locks(items: Sequence[AnnotationObject], *, locked: bool) -> Step:
    """Lock objects, or unlock them."""
    return Step("lock" if locked else "unlock", tuple(replace(item, locked=locked) for item in items))


def duplicate_of(item: AnnotationObject, geometry: Any) -> AnnotationObject:
    """Return a new object like another one in a shape of its own."""
    annotation = replace(reshaped(item, geometry).annotation, id="")
    if geometry is item.annotation.geometry:
        annotation = replace(item.annotation, id="")
    return AnnotationObject.new(annotation, color=item.color, parent=item.parent)


def _areas(items: Sequence[AnnotationObject], least: int, what: str) -> list[AnnotationObject]:
    areas = [item for item in items if item.annotation.is_area]
    if len(areas) < least:
        wanted = "two areas or more" if least == TWO else "an area"
        raise AnnotationError(
            f"to {what} takes {wanted}",
            found=f"{len(areas)} of {len(items)} selected objects",
            hint="select more: Shift and a click with the select tool add to the selection",
        )
    return areas
