"""Outlines of selected objects as lines to show: kept while the pointer moves, and only what is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from napari_nic.editing import AnnotationObject
from napari_nic.plugin.tools.pointer import outlines_of

LONG = 3000
"""With more corners than these in all, lines are cut to the surroundings of the view and thinned."""

AROUND = 1.0
"""Share of the view's size that is kept on each side of it."""

THINNED = 0.4
"""Pixels of the screen by which thinning may move a line."""

Box = tuple[float, float, float, float]


class SelectedOutlines:
    """Lines of the objects that are selected."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._shapes: list[object] = []
        self._kept: Box | None = None
        self._lines: list[np.ndarray] = []

    def lines(self, items: Sequence[AnnotationObject], step: float, view: Box) -> list[np.ndarray]:
        """Return lines (n, 2) as (x, y), level-0 pixels; the same list as long as nothing else is to be seen.

        Parameters
        ----------
        items : sequence of AnnotationObject
        step : float
            Level-0 pixels of a pixel on the screen.
        view : (left, top, right, bottom)
            What the screen shows, level-0 pixels.
        """
        shapes = [item.annotation.geometry for item in items]
        key = (step, *map(id, shapes))
        if key != self._key or self.is_left(view):
            self._key, self._shapes = key, list(shapes)  # which keeps the ids taken
            is_long = sum(shapely.get_num_coordinates(shapes)) > LONG if shapes else False
            self._kept = _widened(view) if is_long else None
            self._lines = [line for shape in shapes for line in outlines_of(shape)]
            if self._kept is not None:
                self._lines = _seen(self._lines, self._kept, THINNED * step)
        return self._lines

    def is_left(self, view: Box) -> bool:
        """Whether a view shows more than the lines were cut to."""
        kept = self._kept
        return kept is not None and not (
            kept[0] <= view[0] and kept[1] <= view[1] and kept[2] >= view[2] and kept[3] >= view[3]
        )


def _widened(view: Box) -> Box:
    left, top, right, bottom = view
    x, y = AROUND * (right - left), AROUND * (bottom - top)
    return left - x, top - y, right + x, bottom + y


def _seen(lines: Sequence[np.ndarray], box: Box, tolerance: float) -> list[np.ndarray]:
    cut = [shapely.clip_by_rect(shapely.linestrings(line), *box) for line in lines]
    parts = shapely.simplify(shapely.get_parts(cut), tolerance)
    return [shapely.get_coordinates(part) for part in parts if not part.is_empty]
