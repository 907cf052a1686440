"""Geometries of other libraries as shapes of a file."""

from __future__ import annotations

import numpy as np
import shapely

from napari_nic.annotations.building import BadShapeError, Drawn
from napari_nic.annotations.model import Kind

_KINDS: dict[str, Kind] = {
    "Polygon": "polygon",
    "MultiPolygon": "polygon",
    "LineString": "line",
    "LinearRing": "line",
    "MultiLineString": "line",
    "Point": "point",
    "MultiPoint": "points",
}


def geometry_of_text(text: str) -> shapely.Geometry:
    """Read well-known text.

    Raises
    ------
    BadShapeError
        If it is none.
    """
    try:
        with np.errstate(invalid="ignore"):  # numbers that are none are told of the shape, later
            return shapely.from_wkt(text)
    except (shapely.GEOSException, TypeError) as error:
        raise BadShapeError(f"a place that is no well-known text: {str(error)[:80]}") from error


def drawn_of(geometry: shapely.Geometry | None, where: str, radius: float = 0.0) -> Drawn:
    """Make a shape of a geometry, to be checked and repaired like those of any file.

    Parameters
    ----------
    geometry : shapely geometry or None
    where : str
        The object, for messages.
    radius : float
        Of a point that stands for a disc.

    Raises
    ------
    BadShapeError
        If it is of a kind that no annotation has.
    """
    if geometry is not None and radius > 0 and geometry.geom_type == "Point":
        geometry = geometry.buffer(radius, quad_segs=32)
    if geometry is None or geometry.geom_type not in _KINDS:
        kind = "nothing" if geometry is None else geometry.geom_type
        raise BadShapeError(f"a geometry that is {kind}")
    kind = _KINDS[geometry.geom_type]
    parts = shapely.get_parts(geometry)
    if kind == "polygon":
        rings = [[np.asarray(ring.coords) for ring in (part.exterior, *part.interiors)] for part in parts]
        return Drawn(where, "", kind, rings)
    if kind == "line":
        return Drawn(where, "", kind, [np.asarray(part.coords) for part in parts])
    return Drawn(where, "", kind, [tuple(point) for point in shapely.get_coordinates(geometry)])
