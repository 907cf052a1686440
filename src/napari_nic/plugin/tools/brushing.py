"""Tools that paint: brush, eraser, wands."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from napari_nic.editing import AnnotationObject
from napari_nic.editing.operations import (
    Sweep,
    area_of,
    area_of_mask,
    filled,
    painted,
    rough_outlines,
    size_text,
    united,
    without_specks,
)
from napari_nic.editing.operations.objects import Step, reshaped
from napari_nic.errors import NicError
from napari_nic.plugin.tools.base import Tool, View
from napari_nic.plugin.tools.committing import HALF_SCREEN_PIXEL, Drawn, erase, put_new, target_of
from napari_nic.plugin.tools.pointer import NOTHING, Pointer, Sketch, outlines_of

SPECK = 64.0
"""Holes of at most so many pixels of the shown level are filled, and parts are left out."""

SMOOTH = 1.2
"""Standard deviation, in pixels of the screen, that rounds off the steps of a wand's outline."""


MOST_MERGED = 1_000
"""Corners of the object that a stroke goes to; with more the stroke alone is shown until it is done."""


class _PaintTool(Tool):
    """Collects an area while the button is held; one gesture is one step.

    It goes to the object that the gesture began on, of those of the current class, or to the selected one
    with Shift; else it becomes an object. With Alt it is taken away.
    """

    always_erases = False

    def __init__(self, desk: Any) -> None:
        super().__init__(desk)
        self._area: Any = Polygon()
        self._target: AnnotationObject | None = None
        self._is_held = False

    @property
    def is_drawing(self) -> bool:
        """Whether the button is held."""
        return self._is_held

    def begin(self, pointer: Pointer) -> None:
        """Make ready for a gesture."""

    def covered(self, pointer: Pointer) -> Any:
        """Area that is added to the gesture here."""
        raise NotImplementedError

    def press(self, pointer: Pointer) -> None:
        """Begin."""
        self._is_held, self._area = True, Polygon()
        try:
            self.begin(pointer)
            self._area = self.covered(pointer)
        except NicError as error:
            self.cancel()
            self.desk.tell_error(error)
            return
        self._target = None if self._erases(pointer) else self._find_target(pointer)
        self._show(pointer)

    def drag(self, pointer: Pointer) -> None:
        """Go on."""
        if not self._is_held:
            return
        try:
            self._area = self.covered(pointer)
        except NicError as error:
            self.desk.tell_error(error)
        self._show(pointer)

    def release(self, pointer: Pointer) -> None:
        """Make it one step."""
        if not self._is_held:
            return
        area, target = self._area, self._target
        self.cancel()
        tolerance = HALF_SCREEN_PIXEL * pointer.step
        if area.is_empty:
            return
        if self._erases(pointer):
            erase(self.desk, Drawn(area, "erase", tolerance=tolerance))
        elif target is None:
            put_new(self.desk, area_of(area), "polygon", f"draw with {self.title.lower()}")
        else:
            grown = painted(target.annotation.geometry, area, tolerance)
            if self.desk.carry_out(Step(f"add with {self.title.lower()}", (reshaped(target, grown),))):
                self.desk.select([target.id])

    def cancel(self) -> bool:
        """Drop the gesture."""
        held, self._is_held = self._is_held, False
        self._area, self._target, self.sketch = Polygon(), None, NOTHING
        return held

    def _erases(self, pointer: Pointer) -> bool:
        return self.always_erases or pointer.subtract

    def _find_target(self, pointer: Pointer) -> AnnotationObject | None:
        chosen = target_of(self.desk)
        if chosen is not None and (pointer.add or chosen.annotation.geometry.intersects(self._area)):
            return chosen
        for item in self.desk.at(pointer.xy, 0.0):
            if item.annotation.is_area and item.label == self.desk.label and not self.desk.is_locked(item):
                return item
        return None

    def _show(self, pointer: Pointer) -> None:
        erases = self._erases(pointer)
        whole = self._area
        if self._target is not None and not erases:
            before = self._target.annotation.geometry
            if shapely.get_num_coordinates(before) <= MOST_MERGED:
                whole = united([before, whole])
        text = "" if erases else size_text(whole, self.desk.known_pixel)
        self.sketch = Sketch(outlines_of(whole), text=text, erases=erases)


class BrushTool(_PaintTool):
    """Paints with a disc or square of a size in micrometres."""

    name, title, key, cursor = "brush", "Brush", "B", "circle"
    help = (
        "Paint: begun on an object of the class it goes on with it, elsewhere it makes a new one. Shift adds "
        "to the selected object, Alt erases; [ and ], or Ctrl and the wheel, change the size"
    )

    def begin(self, pointer: Pointer) -> None:
        """Take the brush."""
        self._sweep = Sweep(self.desk.brush, self.desk.pixel, HALF_SCREEN_PIXEL * pointer.step)

    def covered(self, pointer: Pointer) -> Any:
        """Sweep to here."""
        return self._sweep.to(pointer.xy)


class EraserTool(BrushTool):
    """Takes away what the brush passes: of the selected objects, or of all."""

    name, title, key = "eraser", "Eraser", "X"
    help = "Erase from the selected objects, or from all if none is selected; [ and ] change the size"
    always_erases = True


class ColorWandTool(_PaintTool):
    """Takes what is connected with the pointer and of its colour, within what the screen shows around it."""

    name, title, key = "wand", "Wand (colour)", "W"
    help = (
        "Click on a region of one colour, drag to take more. Tolerance by [ and ], or Ctrl and the wheel. "
        "Shift adds to the selected object, Alt takes away"
    )

    def begin(self, pointer: Pointer) -> None:
        """Look at the slide here."""
        self._seen: list[tuple[View, np.ndarray]] = []
        self._look(pointer)

    def covered(self, pointer: Pointer) -> Any:
        """Flood from here."""
        self._take(pointer)
        return self._traced()

    def drag(self, pointer: Pointer) -> None:
        """Flood from here too, unless it is taken already; it is traced exactly when the button goes up."""
        if not self._is_held:
            return
        if self._take(pointer):
            self._show(pointer)
        if self._seen:
            self.desk.look_ahead(pointer, self._seen[-1][0])

    def release(self, pointer: Pointer) -> None:
        """Make it one step."""
        if self._is_held:
            self._area = self._traced()
        super().release(pointer)

    def _look(self, pointer: Pointer) -> None:
        view = self.desk.view_around(pointer)
        if view is not None:
            self._seen.append((view, np.zeros(view.picture.shape[:2], bool)))

    def _take(self, pointer: Pointer) -> bool:
        """Add what is found here; False if nothing is new."""
        if not self._seen or self._seen[-1][0].pixel_at(pointer.xy) is None:
            self._look(pointer)  # it is beside the picture that was looked at last
        seed = self._seen[-1][0].pixel_at(pointer.xy) if self._seen else None
        if seed is None:
            return False
        mask = self._seen[-1][1]
        if mask[seed]:
            return False
        mask |= self._seen[-1][0].wand.take(seed, self.desk.tolerance)
        return True

    def _traced(self) -> Any:
        areas = []
        for view, mask in self._seen:
            found = area_of_mask(mask, view.origin, view.scale, smooth=SMOOTH)
            # Holes and parts of a few pixels are nuclei and noise, not another tissue.
            speck = SPECK * view.scale[0] * view.scale[1]
            areas.append(filled(without_specks(found, speck), speck))
        return united(areas)

    def _show(self, pointer: Pointer) -> None:
        lines = [
            rough_outlines(mask, view.origin, view.scale, smooth=SMOOTH, speck=SPECK)
            for view, mask in self._seen
        ]
        self.sketch = Sketch(tuple(line for some in lines for line in some), erases=self._erases(pointer))


class EmbeddingWandTool(_PaintTool):
    """Takes the connected cells whose codes are like that of the cell below the pointer."""

    name, title, key = "similar", "Wand (embedding)", "Shift-W"
    help = (
        "Click on tissue of a compressed slide: takes the connected cells with a similar code. Threshold by "
        "[ and ], or Ctrl and the wheel. Shift adds to the selected object, Alt takes away"
    )

    def covered(self, pointer: Pointer) -> Any:
        """Take the cells that are like the one here."""
        found = self.desk.similar_cells(pointer.xy)
        return self._area if found is None else united([self._area, found])
