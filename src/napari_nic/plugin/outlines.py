"""Areas with holes and of several parts <-> the single loop of vertices that a napari polygon is.

napari's shapes have neither holes nor parts, but edges that are walked twice vanish from a polygon. So the
rings are strung together by bridges: out from the first vertex to a ring, around it, and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DRAWN_PX = (1 / 4, 1.0)
"""Outlines are drawn on grids of so many level-0 pixels: the first on which napari can fill them."""


def drawable(area: Polygon | MultiPolygon) -> np.ndarray | None:
    """Return the loop of an area that napari can draw, at most half a pixel off; None if there is none.

    Corners that lie closer together than single precision can tell, which cutting and repairing leave, make
    the triangulation fail, and one such outline would take the whole layer with it.
    """
    for grid in (1 / 64, *DRAWN_PX) if _is_tiny(area) else DRAWN_PX:
        settled = shapely.set_precision(area, grid)
        if settled.is_empty:
            continue
        loop = to_loop(settled)
        if can_be_filled(loop):
            return loop
    return None


def _is_tiny(area: Polygon | MultiPolygon) -> bool:
    left, top, right, bottom = area.bounds
    return bool(min(right - left, bottom - top) < 1)


def can_be_filled(loop: np.ndarray) -> bool:
    """Whether napari can make triangles of a loop of vertices."""
    from napari.layers.shapes._shapes_models import Polygon as Drawn  # there is no public way to ask

    try:
        Drawn(loop)
    except (RuntimeError, ValueError, IndexError, AssertionError):
        return False
    return True


def to_loop(area: Polygon | MultiPolygon) -> np.ndarray:
    """Return the vertices (n, 2) as (y, x) of a loop that encloses the same points by the even-odd rule."""
    rings = [np.asarray(ring.coords)[:, :2][:, ::-1] for ring in _rings(area)]
    anchor = rings[0][0]
    pieces = [rings[0]]
    for ring in rings[1:]:
        pieces += [ring, anchor[None]]
    loop = np.concatenate(pieces)
    return loop[:-1] if len(rings) == 1 else loop


def from_loop(vertices: np.ndarray) -> Polygon | MultiPolygon:
    """Inverse of :func:`to_loop`; also takes any loop that a user drew, self-crossing ones repaired.

    Parameters
    ----------
    vertices : ndarray, (n, 2)
        (y, x).
    """
    area = Polygon()
    for ring in _split(np.asarray(vertices, float)):
        if len(ring) >= 3:
            part = shapely.make_valid(Polygon(ring[:, ::-1]))
            area = part if area.is_empty else area.symmetric_difference(part)
    polygons = [p for p in shapely.get_parts(area) if isinstance(p, Polygon) and not p.is_empty]
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)


def has_many_rings(geometry: BaseGeometry) -> bool:
    """Whether a geometry is an area whose loop has bridges: with holes, or of several parts."""
    is_area = isinstance(geometry, Polygon | MultiPolygon)
    return is_area and sum(1 for _ in _rings(geometry)) > 1


def _rings(area: Polygon | MultiPolygon) -> Iterator[shapely.LinearRing]:
    for part in shapely.get_parts(area):
        yield part.exterior
        yield from part.interiors


def _split(loop: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rings of a loop, without their closing vertex."""
    anchor, start = loop[0], 0
    while start < len(loop):
        again = np.flatnonzero((loop[start + 1 :] == loop[start]).all(axis=1))
        if len(again) == 0:
            rest = loop[start:]
            yield rest if start == 0 else rest[~(rest == anchor).all(axis=1)]
            return
        stop = start + 1 + int(again[0])
        yield loop[start:stop]
        start = stop + 1
        if start < len(loop) and (loop[start] == anchor).all():
            start += 1
