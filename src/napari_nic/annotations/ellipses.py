"""Ellipses as outlines with many corners, and the way back from such an outline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

ELLIPSE_CORNERS = 128
"""Corners of an outline that stands for an ellipse: within 0.05 % of its area."""

LEAST_CORNERS = 16
"""An outline of fewer corners is a polygon, whatever curve these lie on."""

ROUNDING = 1e-6
"""By so much of the larger radius corners may lie beside the curve."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in the plane.

    Attributes
    ----------
    centre, radii : (float, float)
        (x, y); of one that is turned, along its own axes.
    angle : float
        Radians by which the x axis is turned towards the y axis, at most a quarter of pi either way.
    """

    centre: Point
    radii: Point
    angle: float = 0.0

    @property
    def is_circle(self) -> bool:
        """Whether both radii are the same."""
        return abs(self.radii[0] - self.radii[1]) <= ROUNDING * max(self.radii)

    @property
    def box(self) -> tuple[Point, Point]:
        """Two opposite corners of the box around one that is not turned."""
        (x, y), (across, down) = self.centre, self.radii
        return (x - across, y - down), (x + across, y + down)

    @property
    def is_turned(self) -> bool:
        """Whether its axes are not those of the picture."""
        return self.angle != 0 and not self.is_circle


@lru_cache(maxsize=8)
def _circle(corners: int) -> np.ndarray:
    """Corners of a circle of radius 1, (2, n) as x and y."""
    turns = np.arange(corners) * (2 * math.pi / corners)
    return np.stack([np.cos(turns), np.sin(turns)])


def ellipse(centre: Point, radii: Point, angle: float = 0.0) -> list[Point]:
    """Draw an ellipse.

    Parameters
    ----------
    centre, radii : (float, float)
        (x, y).
    angle : float
        Radians by which the x axis is turned towards the y axis.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = _circle(ELLIPSE_CORNERS) * np.array(radii)[:, None]
    xs, ys = centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def ellipse_outline(centre: Point, radii: Point, angle: float = 0.0) -> shapely.Polygon:
    """Return the polygon that stands for an ellipse; see :func:`ellipse`."""
    return shapely.Polygon(ellipse(centre, radii, angle))


def ellipse_in_box(low: Point, high: Point) -> list[Point]:
    """Draw the ellipse that fills an upright box, given by two opposite corners (x, y)."""
    centre = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
    return ellipse(centre, (abs(high[0] - low[0]) / 2, abs(high[1] - low[1]) / 2))


def ellipse_of(geometry: shapely.Geometry) -> Ellipse | None:
    """Return the ellipse that an outline of :func:`ellipse` stands for; None if it is none, or was edited.

    It is had back from the corners alone, also of an outline that was moved, turned or stretched, and
    whatever corner it begins with.
    """
    if geometry.geom_type != "Polygon" or geometry.interiors:
        return None
    ring = shapely.get_coordinates(geometry)[:-1]
    if len(ring) < LEAST_CORNERS:
        return None
    waves = _circle(len(ring))
    centre = ring.mean(axis=0)
    # Two radii that belong to each other, not yet along the axes: each row a point from the centre.
    radii = waves @ (ring - centre) * (2 / len(ring))
    largest = float(np.abs(radii).max())
    if not np.abs(ring - centre - waves.T @ radii).max() <= ROUNDING * largest:
        return None
    return _along_axes((float(centre[0]), float(centre[1])), radii)


def _along_axes(centre: Point, radii: np.ndarray) -> Ellipse | None:
    spread = radii.T @ radii
    if not np.linalg.det(spread) > 0:
        return None
    if abs(spread[0, 1]) <= ROUNDING * spread.max():
        return Ellipse(centre, (math.sqrt(spread[0, 0]), math.sqrt(spread[1, 1])))
    squares, axes = np.linalg.eigh(spread)
    # The axis that lies nearer to x is the first one.
    first = int(abs(axes[0, 1]) >= abs(axes[0, 0]))
    x, y = axes[:, first] * math.copysign(1.0, axes[0, first])
    lengths = np.sqrt(squares)
    return Ellipse(centre, (float(lengths[first]), float(lengths[1 - first])), math.atan2(y, x))


def rectangle(centre: Point, size: Point, angle: float = 0.0) -> list[Point]:
    """Draw the four corners of a rectangle of a width and a height."""
    half_x, half_y = size[0] / 2, size[1] / 2
    corners = [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    return turned(centre, corners, angle)


def turned(centre: Point, points: list[Point], angle: float) -> list[Point]:
    """Turn points, given from a centre, about it."""
    cos, sin = math.cos(angle), math.sin(angle)
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in points]
