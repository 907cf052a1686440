"""What becomes of an area that was drawn: an object of its own, more of one, less of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_nic.annotations import Annotation, Kind
from napari_nic.editing import AnnotationObject
from napari_nic.editing.operations import area_of, erased, painted
from napari_nic.editing.operations.objects import Step, reshaped
from napari_nic.plugin.tools.base import Desk
from napari_nic.wording import counted, was_were

FLAT = "nothing was drawn: the shape covers no ground. Draw it larger"
HALF_SCREEN_PIXEL = 0.5
"""Outlines are thinned by what nobody sees where they were drawn."""


@dataclass(frozen=True)
class Drawn:
    """An area that was drawn.

    Attributes
    ----------
    geometry : geometry
        Level-0 pixels; may cross itself.
    title : str
        For "Undo ...".
    kind : str
        Of a new object.
    tolerance : float
        Corners nearer to a line than this are left out where it was drawn, level-0 pixels.
    """

    geometry: Any
    title: str
    kind: Kind = "polygon"
    tolerance: float = 0.0


def target_of(desk: Desk) -> AnnotationObject | None:
    """Return the selected area that drawing adds to or takes from: the only selected one."""
    areas = [item for item in desk.items if item.annotation.is_area]
    return areas[0] if len(areas) == 1 else None


def commit(desk: Desk, drawn: Drawn, *, add: bool = False, subtract: bool = False) -> bool:
    """Make an object of an area, or add it to the selected one, or take it out; what is refused is told."""
    shape = area_of(drawn.geometry)
    if shape.is_empty:
        desk.tell(FLAT)
        return False
    if subtract:
        return erase(desk, drawn)
    target = target_of(desk)
    if add and target is not None:
        grown = painted(target.annotation.geometry, shape, drawn.tolerance)
        return desk.carry_out(Step(drawn.title, (reshaped(target, grown),)))
    if add:
        desk.tell("Shift adds to the selected area; none is selected, so this is a new object")
    kept = shape if drawn.kind != "polygon" else painted(shape, shape, drawn.tolerance)
    return put_new(desk, kept, drawn.kind, drawn.title)


def put_new(desk: Desk, geometry: Any, kind: Kind, title: str, name: str = "") -> bool:
    """Make an object in the current class and select it."""
    item = AnnotationObject.new(Annotation(desk.label, kind, geometry, name=name))
    if not desk.carry_out(Step(title, (item,))):
        return False
    desk.select([item.id])
    return True


def erase(desk: Desk, drawn: Drawn) -> bool:
    """Take an area out of the selected areas, or of all it touches if none is selected.

    Objects of which nothing is left are removed. Locked ones are left alone, and that is told.
    """
    chosen = [item for item in desk.items if item.annotation.is_area]
    touched = [item for item in chosen or desk.touching(drawn.geometry) if item.annotation.is_area]
    free = [item for item in touched if not desk.is_locked(item)]
    if n_locked := len(touched) - len(free):
        desk.tell(f"{counted(n_locked, 'locked object')} {was_were(n_locked)} left alone")
    put, removed = [], []
    for item in free:
        left = erased(item.annotation.geometry, drawn.geometry, drawn.tolerance)
        if left.is_empty:
            removed.append(item.id)
        elif not left.equals(item.annotation.geometry):
            put.append(reshaped(item, left))
    return bool(put or removed) and desk.carry_out(Step(drawn.title, tuple(put), tuple(removed)))
