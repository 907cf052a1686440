"""Tools that draw an outline: polygon, freehand, rectangle, ellipse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from shapely.geometry import Polygon, box

from napari_nic.annotations import Kind, ellipse_outline
from napari_nic.editing.operations import size_text
from napari_nic.plugin.tools.base import Tool
from napari_nic.plugin.tools.committing import HALF_SCREEN_PIXEL, Drawn, commit
from napari_nic.plugin.tools.pointer import XY, Pointer, Sketch, outlines_of, path_of

NEAR = 8.0
"""Screen pixels within which a click meets the first corner, and closes the outline."""

MOVED = 3.0
"""Screen pixels that the pointer moves before it counts as moved."""

ENDS, CORNERS = 2, 3
SAME_PLACE = 1e-3
"""Level-0 pixels: less than any hand does, more than rounding."""


class PolygonTool(Tool):
    """Corners by clicks, freehand lines by drags; closed by a double click, Enter or a click on the first."""

    name, title, key = "polygon", "Polygon", "P"
    help = (
        "Click corner after corner; hold the button to draw freehand in between. Double click, Enter or a "
        "click on the first corner closes, Backspace takes the last corner back, Escape drops it all"
    )

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._corners: list[XY] = []
        self._marks: list[int] = []
        self._begins: list[int] = []
        self._last: Pointer | None = None

    @property
    def is_drawing(self) -> bool:
        """Whether a corner is set."""
        return bool(self._corners)

    def press(self, pointer: Pointer) -> None:
        """Set a corner, or close."""
        if len(self._corners) >= CORNERS and pointer.distance(self._corners[0]) <= NEAR:
            self._finish(pointer)
            return
        begun = len(self._corners)
        self._corners += self._onward(pointer)
        self._marks.append(len(self._corners) - 1)
        self._begins.append(begun)
        self._show(pointer)

    def drag(self, pointer: Pointer) -> None:
        """Draw freehand between two corners."""
        if self._corners and pointer.distance(self._corners[-1]) >= MOVED:
            self._corners += self._onward(pointer, freehand=True)
        self._show(pointer)

    def hover(self, pointer: Pointer) -> None:
        """Show where the next side would lie."""
        self._show(pointer)

    def double_click(self, pointer: Pointer) -> None:
        """Close the outline; its first click has set the last corner."""
        self._finish(pointer)

    def enter(self) -> None:
        """Close the outline."""
        if self._last is not None:
            self._finish(self._last)

    def back(self) -> bool:
        """Take the last corner back, with what was drawn freehand after it."""
        if not self._marks:
            return False
        self._marks.pop()
        del self._corners[self._begins.pop() :]
        self._show(self._last)
        return True

    def cancel(self) -> bool:
        """Drop all corners."""
        had = bool(self._corners)
        self._corners, self._marks, self._begins, self._last = [], [], [], None
        super().cancel()
        return had

    def _show(self, pointer: Pointer | None) -> None:
        self._last = pointer
        if not self._corners or pointer is None:
            self.sketch = Sketch()
            return
        points = [*self._corners, *self._onward(pointer)]
        points += _closing(self.desk, points, pointer)
        line = path_of(points, closed=len(self._corners) > 1)
        area = Polygon(line) if len(line) > CORNERS else Polygon()
        text = size_text(area, self.desk.known_pixel) if area.is_valid and area.area else ""
        marks = tuple(self._corners[index] for index in self._marks)
        self.sketch = Sketch((line,), marks, text, erases=pointer.subtract)

    def _onward(self, pointer: Pointer, *, freehand: bool = False) -> list[XY]:
        """How it goes on to the pointer; between two points of the tissue's outline it follows that."""
        if not self._corners:
            return [self.desk.snapped(pointer)]
        return self.desk.way(self._corners[-1], pointer, freehand=freehand)

    def _finish(self, pointer: Pointer) -> None:
        corners = self._corners
        corners = corners + _closing(self.desk, corners, pointer)
        self.cancel()
        if not corners:
            return
        if len(corners) < CORNERS:
            self.desk.tell("a polygon has three corners or more: it was dropped")
            return
        drawn = Drawn(Polygon(corners), "draw polygon", tolerance=HALF_SCREEN_PIXEL * pointer.step)
        commit(self.desk, drawn, add=pointer.add, subtract=pointer.subtract)


def _closing(desk: Any, points: list[XY], pointer: Pointer, *, freehand: bool = False) -> list[XY]:
    """Points of the side that closes an outline: of the tissue's, if both ends were drawn onto it."""
    if len(points) < ENDS:
        return []
    way = desk.way(points[-1], replace(pointer, xy=points[0]), freehand=freehand)
    was_snapped = np.allclose(way[-1], points[0], rtol=0, atol=SAME_PLACE)
    goes_back = set(way[:-1]) <= set(points)  # the way that was drawn, which would leave no area
    return way[:-1] if was_snapped and not goes_back else []


class FreehandTool(Tool):
    """An outline by one drag."""

    name, title, key = "freehand", "Freehand", "F"
    help = "Hold the button and draw around it. Shift adds to the selected object, Alt takes away"

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._points: list[XY] = []

    def press(self, pointer: Pointer) -> None:
        """Begin the outline."""
        self._points = [self.desk.snapped(pointer)]

    def drag(self, pointer: Pointer) -> None:
        """Go on with it."""
        self._points += self.desk.way(self._points[-1], pointer, freehand=True)
        line = path_of(self._points, closed=len(self._points) > 1)
        self.sketch = Sketch((line,), erases=pointer.subtract)

    def release(self, pointer: Pointer) -> None:
        """Close it."""
        points, self._points = self._points, []
        points += _closing(self.desk, points, pointer, freehand=True)
        super().cancel()
        if len(points) < CORNERS:
            if points:
                self.desk.tell("hold the button and draw around an area; a click alone draws none")
            return
        drawn = Drawn(Polygon(points), "draw freehand", tolerance=HALF_SCREEN_PIXEL * pointer.step)
        commit(self.desk, drawn, add=pointer.add, subtract=pointer.subtract)

    def cancel(self) -> bool:
        """Drop the outline."""
        self._points = []
        return super().cancel()


class _BoxTool(Tool):
    """A shape in the box from the press to the release."""

    kind: ClassVar[Kind]

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._start: XY | None = None

    def shape(self, left: float, top: float, right: float, bottom: float) -> Any:
        """Return the shape in a box."""
        raise NotImplementedError

    def press(self, pointer: Pointer) -> None:
        """Set one corner."""
        self._start = self.desk.snapped(pointer)

    def drag(self, pointer: Pointer) -> None:
        """Show the shape up to here."""
        shape = self._shape(pointer)
        text = size_text(shape, self.desk.known_pixel) if shape.area else ""
        self.sketch = Sketch(outlines_of(shape), text=text, erases=pointer.subtract)

    def release(self, pointer: Pointer) -> None:
        """Make it."""
        shape = self._shape(pointer)
        is_drawn = self._start is not None and pointer.distance(self._start) >= MOVED
        self.cancel()
        if is_drawn:
            drawn = Drawn(shape, f"draw {self.name}", self.kind)
            commit(self.desk, drawn, add=pointer.add, subtract=pointer.subtract)

    def cancel(self) -> bool:
        """Drop it."""
        self._start = None
        return super().cancel()

    def _shape(self, pointer: Pointer) -> Any:
        if self._start is None:
            return Polygon()
        (x0, y0), (x1, y1) = self._start, self.desk.snapped(pointer)
        if x0 == x1 or y0 == y1:
            return Polygon()
        return self.shape(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


class RectangleTool(_BoxTool):
    """An upright rectangle by one drag."""

    name, title, key, kind = "rectangle", "Rectangle", "R", "rectangle"
    help = "Drag from corner to corner. Shift adds to the selected object, Alt takes away"

    def shape(self, left: float, top: float, right: float, bottom: float) -> Any:
        """Return the box itself."""
        return box(left, top, right, bottom)


class EllipseTool(_BoxTool):
    """An upright ellipse by one drag."""

    name, title, key, kind = "ellipse", "Ellipse", "E", "ellipse"
    help = (
        "Drag from corner to corner of the box around it. Shift adds to the selected object, Alt takes away"
    )

    def shape(self, left: float, top: float, right: float, bottom: float) -> Any:
        """Return the ellipse that fits into the box."""
        middle = (left + right) / 2, (top + bottom) / 2
        return ellipse_outline(middle, ((right - left) / 2, (bottom - top) / 2))
