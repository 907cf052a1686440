"""Set algebra of areas: union, difference, holes; every result is valid, and none is quietly empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import shapely
from shapely.geometry import MultiPolygon, Polygon

from napari_nic.errors import AnnotationError

Area: TypeAlias = "Polygon | MultiPolygon"
"""What covers ground: in level-0 pixels, (x, y), corner-based; valid."""

GRID_PX = 2.0**-26
"""Corners of what areas share, and of what is left of them, lie on multiples of it.

Of areas whose sides nearly lie on each other GEOS (3.14) may else give as shared what they do not share at
all; on a grid nothing nearly does. It takes three times as long: 15 ms for an outline of 10,000 corners.
"""


def area_of(geometry: Any) -> Area:
    """Return what of a geometry covers ground, valid; an empty polygon if nothing does.

    A loop that crosses itself is taken by the even-odd rule, as it looks on the screen.
    """
    parts = [part for part in _flat(_valid(geometry)) if isinstance(part, Polygon) and part.area > 0]
    if len(parts) == 1:
        return parts[0]
    united = shapely.union_all(parts)
    return united if isinstance(united, (Polygon, MultiPolygon)) else Polygon()


def require_area(geometry: Any, problem: str, hint: str) -> Area:
    """Return the area of a geometry, or say why there is none.

    Raises
    ------
    AnnotationError
        If it covers no ground; its sentence is `problem`, and `hint` says what to do.
    """
    area = area_of(geometry)
    if area.is_empty:
        raise AnnotationError(problem, hint=hint)
    return area


def united(areas: Iterable[Any]) -> Area:
    """Merge areas into one, which may have several parts."""
    return area_of(shapely.union_all([area_of(area) for area in areas]))


def without(area: Any, others: Iterable[Any]) -> Area:
    """Take other areas out of an area; empty if nothing is left."""
    return area_of(shapely.difference(area_of(area), united(others), grid_size=GRID_PX))


def common(areas: Iterable[Any]) -> Area:
    """Return what areas have in common; empty if nothing."""
    first, *rest = (area_of(area) for area in areas)
    for other in rest:
        first = area_of(shapely.intersection(first, other, grid_size=GRID_PX))
    return first


def filled(area: Any, largest_px2: float = float("inf")) -> Area:
    """Fill the holes of an area.

    Parameters
    ----------
    area : geometry
    largest_px2 : float
        Larger holes, in square level-0 pixels, stay.
    """
    parts = []
    for part in _flat(area_of(area)):
        kept = [ring for ring in part.interiors if Polygon(ring).area > largest_px2]
        parts.append(Polygon(part.exterior, kept))
    return united(parts)


def without_specks(area: Any, largest_px2: float) -> Area:
    """Leave out small parts of an area; the largest one stays whatever its size is.

    Parameters
    ----------
    area : geometry
    largest_px2 : float
        Larger parts, in square level-0 pixels, stay.
    """
    parts = parts_of(area)
    return united([*parts[:1], *(part for part in parts[1:] if part.area > largest_px2)])


def n_holes(area: Any) -> int:
    """Count the holes of an area."""
    return sum(len(part.interiors) for part in _flat(area_of(area)))


def parts_of(area: Any) -> list[Polygon]:
    """Return the connected parts of an area, the largest first."""
    return sorted(_flat(area_of(area)), key=lambda part: -part.area)


def _valid(geometry: Any) -> Any:
    return geometry if shapely.is_valid(geometry) else shapely.make_valid(geometry)


def _flat(geometry: Any) -> list[Any]:
    """Single geometries of one, of collections within collections too."""
    parts = list(shapely.get_parts(geometry))
    while any(shapely.get_num_geometries(part) > 1 or "Collection" in part.geom_type for part in parts):
        parts = list(shapely.get_parts(parts))
    return [part for part in parts if not part.is_empty]
