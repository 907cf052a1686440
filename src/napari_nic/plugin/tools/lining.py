"""Tools that draw lines and points: line, arrow, points, measure, split."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from shapely.geometry import LineString, Point

from napari_nic.annotations import Kind, true_kind
from napari_nic.editing.operations import size_text
from napari_nic.editing.operations.objects import split_by_line
from napari_nic.errors import NicError
from napari_nic.plugin.tools.base import Tool
from napari_nic.plugin.tools.committing import put_new
from napari_nic.plugin.tools.outlining import MOVED
from napari_nic.plugin.tools.pointer import XY, Pointer, Sketch, path_of

ENDS = 2
HEAD, HEAD_ANGLE = 12.0, np.deg2rad(25)
"""An arrow's head: length in screen pixels and half its angle."""


class LineTool(Tool):
    """A straight line by one drag, or corners by clicks, ended by a double click or Enter."""

    name, title, key = "line", "Line", "L"
    help = "Drag for a straight line, or click corner after corner and end with a double click or Enter"
    kind: ClassVar[Kind] = "line"
    undo_title: ClassVar[str] = "draw line"

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._points: list[XY] = []
        self._last: Pointer | None = None
        self._is_ended = False

    @property
    def is_drawing(self) -> bool:
        """Whether a point is set."""
        return bool(self._points)

    def press(self, pointer: Pointer) -> None:
        """Set a point."""
        self._points.append(self.desk.snapped(pointer))
        self._show(pointer)

    def drag(self, pointer: Pointer) -> None:
        """Show the line up to here."""
        self._show(pointer)

    def hover(self, pointer: Pointer) -> None:
        """Show the line up to here."""
        self._show(pointer)

    def release(self, pointer: Pointer) -> None:
        """End a line that was dragged; one of clicks goes on."""
        if self._points and pointer.distance(self._points[-1]) >= MOVED:
            self._points.append(self.desk.snapped(pointer))
            if len(self._points) == ENDS:
                self._finish()

    def double_click(self, pointer: Pointer) -> None:  # noqa: ARG002 -- its first click set the last point
        """End the line."""
        self._finish()

    def enter(self) -> None:
        """End the line."""
        self._finish()

    def back(self) -> bool:
        """Take the last point back."""
        if not self._points:
            return False
        self._points.pop()
        self._show(self._last)
        return True

    def cancel(self) -> bool:
        """Drop the line."""
        had = bool(self._points)
        self._points = []
        super().cancel()
        return had

    def make(self, line: Any) -> None:
        """Make of a line what the tool makes."""
        name = size_text(line, self.desk.known_pixel) if self.kind == "measurement" else ""
        put_new(self.desk, line, true_kind(self.kind, line), self.undo_title, name)

    def lines(self, points: list[XY], step: float) -> tuple[np.ndarray, ...]:  # noqa: ARG002 -- arrows have heads
        """Lines that show it."""
        return (path_of(points),)

    def _show(self, pointer: Pointer | None) -> None:
        self._last = pointer
        if not self._points or pointer is None:
            self.sketch = Sketch()
            return
        points = [*self._points, self.desk.snapped(pointer)]
        text = size_text(LineString(points), self.desk.known_pixel)
        self.sketch = Sketch(self.lines(points, pointer.step), tuple(self._points), text)

    def _finish(self) -> None:
        points = list(dict.fromkeys(self._points))
        self.cancel()
        if len(points) >= ENDS:
            self.make(LineString(points))


class ArrowTool(LineTool):
    """An arrow by one drag, its head where the drag ends."""

    name, title, key = "arrow", "Arrow", "A"
    help = "Drag from the tail to the point that the arrow shows"
    kind = "arrow"
    undo_title = "draw arrow"

    def lines(self, points: list[XY], step: float) -> tuple[np.ndarray, ...]:
        """Shaft and head."""
        return (path_of(points), arrow_head(path_of(points), HEAD * step))


class MeasureTool(LineTool):
    """A ruler that stays: a line whose length is its name."""

    name, title, key = "measure", "Measure", "M"
    help = "Drag, or click corner after corner: the length is shown, and kept as the name of the line"
    kind = "measurement"
    undo_title = "measure"


class SplitTool(LineTool):
    """Cuts the selected areas, or all that the line crosses if none is selected."""

    name, title, key = "split", "Split", "K"
    help = (
        "Draw a line through an object, from outside to outside: it cuts the selected ones, or all that it "
        "crosses if none is selected"
    )

    def make(self, line: Any) -> None:
        """Cut."""
        chosen = [item for item in self.desk.items if item.annotation.is_area]
        touched = [item for item in chosen or self.desk.touching(line) if item.annotation.is_area]
        free = [item for item in touched if not self.desk.is_locked(item)]
        if not free:
            self.desk.tell("the line crosses no area that may be edited")
            return
        try:
            step = split_by_line(free, line)
        except NicError as error:
            self.desk.tell_error(error)
            return
        if self.desk.carry_out(step):
            self.desk.select([item.id for item in step.put])


class PointsTool(Tool):
    """A point by each click."""

    name, title, key = "points", "Points", "T"
    help = "Each click sets a point, such as a mitosis or a cell; their number stands in the list of classes"

    def press(self, pointer: Pointer) -> None:
        """Set a point."""
        put_new(self.desk, Point(pointer.xy), "point", "set point")


def arrow_head(line: np.ndarray, length: float) -> np.ndarray:
    """Points (3, 2) of the head of an arrow at the end of a line (n, 2)."""
    tip, direction = line[-1], line[-1] - line[-ENDS]
    angle = np.arctan2(direction[1], direction[0]) + np.pi
    sides = [
        tip + length * np.array([np.cos(angle + turn), np.sin(angle + turn)])
        for turn in (-HEAD_ANGLE, HEAD_ANGLE)
    ]
    return np.array([sides[0], tip, sides[1]])
