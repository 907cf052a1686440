"""The tool that selects objects and moves their corners."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from napari_nic.editing import AnnotationObject
from napari_nic.editing.operations import area_of, size_text
from napari_nic.editing.operations.objects import Step, reshaped
from napari_nic.plugin.tools.base import Tool
from napari_nic.plugin.tools.outlining import MOVED
from napari_nic.plugin.tools.pointer import XY, Pointer, Sketch, outlines_of

REACH = 6.0
"""Screen pixels within which a click meets a line, a point or a corner."""


class SelectTool(Tool):
    """Selects by click or box; a corner of the only selected object is moved by dragging it."""

    name, title, key, cursor = "select", "Select", "S", "pointing"
    help = (
        "Click an object; Shift adds to the selection, Alt takes out of it. Drag a box to select what touches"
        " it. Drag a corner of the selected object to move it"
    )

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._start: Pointer | None = None
        self._corner: int | None = None
        self._moved: AnnotationObject | None = None

    def press(self, pointer: Pointer) -> None:
        """Take hold of a corner, or begin a box."""
        self._start = pointer
        self._moved = self._only_selected()
        self._corner = None if self._moved is None else _corner_at(self._moved, pointer)

    def drag(self, pointer: Pointer) -> None:
        """Move the corner, or the other end of the box."""
        if self._start is None or pointer.distance(self._start.xy) < MOVED:
            return
        if self._corner is not None and self._moved is not None:
            shape = _with_corner(self._moved.annotation.geometry, self._corner, pointer.xy)
            text = size_text(shape, self.desk.known_pixel) if shape.is_valid else ""
            self.sketch = Sketch(outlines_of(shape), (pointer.xy,), text)
        else:
            self.sketch = Sketch(outlines_of(_box(self._start.xy, pointer.xy)))

    def release(self, pointer: Pointer) -> None:
        """Put the corner down, or select."""
        start, corner, moved = self._start, self._corner, self._moved
        self.cancel()
        if start is None:
            return
        is_drag = pointer.distance(start.xy) >= MOVED
        if is_drag and corner is not None and moved is not None:
            self._move_corner(moved, corner, pointer.xy)
        elif is_drag:
            self._select([i.id for i in self.desk.touching(_box(start.xy, pointer.xy))], pointer)
        else:
            found = self.desk.at(pointer.xy, REACH * pointer.step)
            self._select([item.id for item in found[:1]], pointer)

    def cancel(self) -> bool:
        """Drop what was begun."""
        self._start = self._corner = self._moved = None
        return super().cancel()

    def _only_selected(self) -> AnnotationObject | None:
        items = self.desk.items
        return items[0] if len(items) == 1 and not self.desk.is_locked(items[0]) else None

    def _move_corner(self, item: AnnotationObject, corner: int, xy: XY) -> None:
        shape = _with_corner(item.annotation.geometry, corner, xy)
        if item.annotation.is_area:
            shape = area_of(shape)
            if shape.is_empty:
                self.desk.tell("the object would cover no ground: the corner stays")
                return
        self.desk.carry_out(Step("move corner", (reshaped(item, shape),)))

    def _select(self, ids: list[str], pointer: Pointer) -> None:
        before = [item.id for item in self.desk.items]
        if pointer.add:
            ids = [*before, *(i for i in ids if i not in before)]
        elif pointer.subtract:
            ids = [i for i in before if i not in ids]
        self.desk.select(ids)


def _corner_at(item: AnnotationObject, pointer: Pointer) -> int | None:
    points = shapely.get_coordinates(item.annotation.geometry)
    distance = np.hypot(*(points - pointer.xy).T) / pointer.step
    nearest = int(np.argmin(distance))
    return nearest if distance[nearest] <= REACH else None


def _with_corner(geometry: Any, corner: int, xy: XY) -> Any:
    """Move a corner; where a ring begins it is there twice."""
    points = shapely.get_coordinates(geometry)
    same = (points == points[corner]).all(axis=1)
    points[same] = xy
    return shapely.transform(geometry, lambda _: points)


def _box(first: XY, last: XY) -> Any:
    (x0, y0), (x1, y1) = first, last
    return box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)) if (x0, y0) != (x1, y1) else Polygon()
