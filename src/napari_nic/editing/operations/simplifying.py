"""Fewer corners: of a whole outline, or only where it was just drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from napari_nic.editing.operations.areas import Area, area_of, parts_of, united

LEAST_RING = 4
"""Points of a triangle, its first one repeated."""


def simplified(geometry: Any, tolerance_px: float) -> Any:
    """Leave corners out, so that no outline moves by more than a distance (Douglas and Peucker, 1973).

    Parameters
    ----------
    geometry : geometry
        Area or line in level-0 pixels.
    tolerance_px : float

    Returns
    -------
    geometry
        Valid, with the same parts and holes where these are larger than the distance.
    """
    thinner = shapely.simplify(geometry, tolerance_px, preserve_topology=True)
    return area_of(thinner) if geometry.area > 0 else thinner


def simplified_near(area: Any, region: Any, tolerance_px: float) -> Area:
    """Leave out corners of an area that lie in a region, or within the distance of it; the rest stays exact.

    An outline that was drawn finely, close up, stays fine where a later stroke at low zoom does not touch it.
    """
    area = area_of(area)
    if tolerance_px <= 0 or area.is_empty:
        return area
    near = shapely.buffer(region, tolerance_px)
    shapely.prepare(near)
    parts = []
    for part in parts_of(area):
        rings = [_thinned(ring, near, tolerance_px) for ring in (part.exterior, *part.interiors)]
        if len(rings[0]) >= LEAST_RING:
            parts.append(Polygon(rings[0], [ring for ring in rings[1:] if len(ring) >= LEAST_RING]))
    if all(map(shapely.is_valid, parts)) and parts:
        return united(parts)
    return area  # thinning made outlines cross: the exact one is right


def _thinned(ring: Any, near: Any, tolerance: float) -> np.ndarray:
    points = np.asarray(ring.coords)[:, :2]
    is_near = shapely.contains_xy(near, points[:, 0], points[:, 1])
    if is_near.all():
        thinner = shapely.simplify(Polygon(points), tolerance, preserve_topology=True)
        return np.asarray(thinner.exterior.coords)
    start = int(np.argmin(is_near))  # begin at a corner that stays
    points = np.concatenate([points[start:-1], points[: start + 1]])
    is_near = np.concatenate([is_near[start:-1], is_near[: start + 1]])
    fixed = np.flatnonzero(~is_near)
    pieces, done = [], 0
    for gap in np.flatnonzero(np.diff(fixed) > 1):
        first, last = fixed[gap], fixed[gap + 1]
        thinner = LineString(points[first : last + 1]).simplify(tolerance).coords
        pieces += [points[done:first], np.asarray(thinner)[:-1]]
        done = last
    return np.concatenate([*pieces, points[done:]])
