"""Brush and eraser that keep polygons: the area a brush sweeps, added to an area or taken out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPoint, Point, Polygon, box

from napari_nic.editing.operations.areas import Area, area_of, united, without
from napari_nic.editing.operations.lengths import in_px, in_um
from napari_nic.editing.operations.simplifying import simplified_near
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize

BrushShape = Literal["disc", "square"]

QUADRANT = 12
"""Segments of a quarter of a disc: its polygon lies within 0.3 % of the radius of the circle."""


@dataclass(frozen=True)
class Brush:
    """What is swept along a path.

    Attributes
    ----------
    size_um : float
        Diameter of the disc or side of the square.
    shape : {"disc", "square"}
    """

    size_um: float = 50.0
    shape: BrushShape = "disc"

    def __post_init__(self) -> None:
        if not 0 < self.size_um < float("inf"):
            raise InvalidParameterError(
                "a brush has a size", expected="more than 0 um", found=f"{self.size_um}"
            )


def swept(path: Sequence[tuple[float, float]], brush: Brush, pixel: PixelSize) -> Area:
    """Return the area that a brush covers on its way, in level-0 pixels.

    Parameters
    ----------
    path : sequence of (x, y)
        Level-0 pixels; one point makes a dab.
    brush : Brush
    pixel : PixelSize
        A disc is round on the glass, whatever the shape of the pixels.
    """
    line = in_um(Point(path[0]) if len(set(path)) == 1 else LineString(path), pixel)
    if brush.shape == "disc":
        # Step by step: GEOS leaves parts out around a path that goes back over itself.
        points = list(line.coords)
        steps = [Point(points[0])] if len(points) == 1 else [LineString(pair) for pair in pairwise(points)]
        discs = shapely.buffer(np.array(steps, object), brush.size_um / 2, quad_segs=QUADRANT)
        return area_of(in_px(shapely.union_all(discs), pixel))
    return area_of(in_px(_swept_square(np.asarray(line.coords), brush.size_um / 2), pixel))


def _swept_square(points: np.ndarray, half: float) -> Any:
    """Union of the hulls of a square at both ends of each segment: the sum of square and path (Minkowski)."""
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    if len(points) == 1:
        return box(*(points[0] - half), *(points[0] + half))
    return shapely.union_all(
        [
            MultiPoint(np.concatenate([corners + first, corners + last])).convex_hull
            for first, last in pairwise(points)
        ]
    )


def painted(area: Any, stroke: Any, tolerance_px: float = 0.0) -> Area:
    """Add a stroke to an area; corners are thinned where the stroke passed, the rest stays as it is."""
    return simplified_near(united([area, stroke]), stroke, tolerance_px)


def erased(area: Any, stroke: Any, tolerance_px: float = 0.0) -> Area:
    """Take a stroke out of an area, see :func:`painted`; empty if nothing is left."""
    return simplified_near(without(area, [stroke]), stroke, tolerance_px)


class Sweep:
    """A stroke while it is drawn: the area so far grows by each step, at a cost that does not.

    Parameters
    ----------
    brush : Brush
    pixel : PixelSize
    tolerance_px : float
        Its outline is thinned to this, in level-0 pixels, so that a long stroke does not grow slow.
    """

    def __init__(self, brush: Brush, pixel: PixelSize, tolerance_px: float = 0.0) -> None:
        self._brush, self._pixel, self._tolerance = brush, pixel, tolerance_px
        self._last: tuple[float, float] | None = None
        self.area: Area = Polygon()

    def to(self, point: tuple[float, float]) -> Area:
        """Move to a point (x, y) and return the area covered so far."""
        path = [point] if self._last is None else [self._last, point]
        self._last = point
        step = swept(path, self._brush, self._pixel)
        self.area = painted(self.area, step, self._tolerance)
        return self.area
