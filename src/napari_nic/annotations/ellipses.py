"""Ellipses as outlines with many corners."""

from __future__ import annotations

import math

import numpy as np

ELLIPSE_CORNERS = 128
"""Corners of an outline that stands for an ellipse: within 0.05 % of its area."""

Point = tuple[float, float]


def ellipse(centre: Point, radii: Point, angle: float = 0.0) -> list[Point]:
    """Draw an ellipse.

    Parameters
    ----------
    centre, radii : (float, float)
        (x, y).
    angle : float
        Radians by which the x axis is turned towards the y axis.
    """
    turns = np.arange(ELLIPSE_CORNERS) * (2 * math.pi / ELLIPSE_CORNERS)
    ring = np.stack([np.cos(turns), np.sin(turns)], axis=1) * np.array(radii)
    return turned(centre, [(float(x), float(y)) for x, y in ring], angle)


def rectangle(centre: Point, size: Point, angle: float = 0.0) -> list[Point]:
    """Draw the four corners of a rectangle of a width and a height."""
    half_x, half_y = size[0] / 2, size[1] / 2
    corners = [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    return turned(centre, corners, angle)


def turned(centre: Point, points: list[Point], angle: float) -> list[Point]:
    """Turn points, given from a centre, about it."""
    cos, sin = math.cos(angle), math.sin(angle)
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in points]
