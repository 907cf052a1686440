"""Geometries taken apart for formats that know no holes, or no shapes of several parts."""

from __future__ import annotations

import shapely

Points = list[tuple[float, float]]


def parts_of(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    """Return the single geometries that one is made of."""
    return list(shapely.get_parts(geometry))


def corners(geometry: shapely.Geometry) -> Points:
    """Points of a line or point, or of a ring without its repeated end."""
    points = [(float(point[0]), float(point[1])) for point in geometry.coords]
    return points[:-1] if geometry.geom_type == "LinearRing" else points


def points_in(geometry: shapely.Geometry) -> Points:
    """Points of a Point or MultiPoint."""
    return [(float(x), float(y)) for x, y in shapely.get_coordinates(geometry)]


def without_holes(polygon: shapely.Geometry) -> list[shapely.Geometry]:
    """Cut a polygon into pieces without holes that cover the same area.

    It is cut upright through the middle of its first hole, and the pieces again, until none has a hole.
    """
    if not polygon.interiors:
        return [polygon]
    left, bottom, right, top = polygon.bounds
    hole_left, _, hole_right, _ = polygon.interiors[0].bounds
    middle = (hole_left + hole_right) / 2
    halves = shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)
    pieces: list[shapely.Geometry] = []
    for half in halves:
        for part in parts_of(polygon.intersection(half)):
            if part.geom_type == "Polygon" and not part.is_empty:
                pieces.extend(without_holes(part))
    return pieces


def simple_areas(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    """Return polygons without holes that cover the same area as an area of any form."""
    return [piece for part in parts_of(geometry) for piece in without_holes(part)]
