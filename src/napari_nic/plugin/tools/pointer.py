"""Where the pointer is, and what is shown while it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

XY = tuple[float, float]


@dataclass(frozen=True)
class Pointer:
    """One event of the mouse.

    Attributes
    ----------
    xy : (x, y)
        Level-0 pixels of the slide, corner-based.
    step : float
        Level-0 pixels of a pixel on the screen.
    add : bool
        Whether Shift is held: what is drawn is added to the selected object.
    subtract : bool
        Whether Alt is held: it is taken out of it.
    free : bool
        Whether Control is held: nothing snaps.
    """

    xy: XY
    step: float = 1.0
    add: bool = False
    subtract: bool = False
    free: bool = False

    def distance(self, xy: XY) -> float:
        """Distance to a point in pixels of the screen."""
        return float(np.hypot(self.xy[0] - xy[0], self.xy[1] - xy[1])) / self.step


@dataclass(frozen=True)
class Sketch:
    """What is drawn but not yet an object.

    Attributes
    ----------
    lines : tuple of ndarray, (n, 2)
        (x, y), level-0 pixels.
    marks : tuple of (x, y)
        Corners that are shown as small crosses.
    text : str
        How large it is.
    erases : bool
        Whether it will be taken away.
    """

    lines: tuple[np.ndarray, ...] = ()
    marks: tuple[XY, ...] = ()
    text: str = ""
    erases: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown."""
        return not self.lines and not self.marks


NOTHING = Sketch()


def outlines_of(geometry: Any) -> tuple[np.ndarray, ...]:
    """Lines that show a geometry: rings of areas, lines themselves; points are none."""
    parts = shapely.get_parts(geometry)
    lines: list[Any] = []
    for part in parts:
        if part.geom_type == "Polygon":
            lines += [part.exterior, *part.interiors]
        elif part.geom_type in ("LineString", "LinearRing"):
            lines.append(part)
    return tuple(shapely.get_coordinates(line) for line in lines if not line.is_empty)


def path_of(points: Sequence[XY], *, closed: bool = False) -> np.ndarray:
    """Points as a line (n, 2)."""
    return np.array([*points, points[0]] if closed else points, float)
