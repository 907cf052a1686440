"""Areas cut, grown, turned inside out, moved to another place or another slide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely

from napari_nic.editing.operations.areas import Area, area_of, common, require_area, united, without
from napari_nic.editing.operations.lengths import in_px, in_um
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize

QUADRANT = 12
SAME = 1e-9
"""Pieces smaller than this share of what is cut are rounding."""

SLIVER_PX2, SLIVER_PX, SLIVER_SHARE = 8.0, 1.0, 0.01
"""Of at most this share of what is cut, pieces that are smaller, or thinner, than this come of a line that
runs along the edge: nobody can see them. (At 0.25 um/px they are 0 um2.)"""


def split(area: Any, line: Any) -> list[Area]:
    """Cut an area along a line; slivers stay with the piece that they share most of their edge with.

    Parameters
    ----------
    area : geometry
        May have holes and several parts.
    line : LineString
        May cross it more than once, and itself.

    Returns
    -------
    list of Polygon
        Connected pieces, the largest first; together they are the area.

    Raises
    ------
    AnnotationError
        If the line does not cut through.
    """
    whole = area_of(area)
    noded = shapely.union_all([whole.boundary, line])
    pieces = [
        piece
        for piece in shapely.get_parts(shapely.polygonize(list(shapely.get_parts(noded))))
        if piece.area > SAME * whole.area and whole.contains(piece.representative_point())
    ]
    pieces = _without_slivers(pieces)
    if len(pieces) <= shapely.get_num_geometries(whole):
        raise AnnotationError(
            "the line does not cut through the object",
            hint="begin and end it outside of the object, or in one of its holes",
        )
    return sorted(pieces, key=lambda piece: -piece.area)


def _without_slivers(pieces: list[Area]) -> list[Area]:
    """Join pieces that nobody can see to a neighbour; one without a neighbour is a part of its own."""
    kept = sorted(pieces, key=lambda piece: -piece.area)
    most_px2 = SLIVER_SHARE * sum(piece.area for piece in kept)
    for sliver in [piece for piece in reversed(kept) if piece.area < most_px2 and _is_thin(piece)]:
        kept = [piece for piece in kept if piece is not sliver]
        shared = [shapely.length(shapely.intersection(piece.boundary, sliver.boundary)) for piece in kept]
        most = int(np.argmax(shared)) if shared else -1
        joined = area_of(shapely.union(kept[most], sliver)) if shared and shared[most] > 0 else None
        if isinstance(joined, shapely.Polygon):
            kept[most] = joined
        else:
            kept.append(sliver)
    return kept


def _is_thin(piece: Area) -> bool:
    return bool(piece.area < SLIVER_PX2 or 2 * piece.area < SLIVER_PX * piece.length)


def expanded(area: Any, distance_um: float, pixel: PixelSize, within: Any = None) -> Area:
    """Grow an area by a distance on the glass, or shrink it by a negative one.

    Parameters
    ----------
    area : geometry
        Area, line or point.
    distance_um : float
    pixel : PixelSize
    within : geometry, optional
        Grow no further than this, the tissue for instance.

    Raises
    ------
    AnnotationError
        If nothing is left of it.
    """
    grown = area_of(in_px(in_um(area, pixel).buffer(distance_um, quad_segs=QUADRANT), pixel))
    if within is not None:
        grown = common([grown, within])
    return require_area(
        grown,
        f"nothing is left of the object after a change by {distance_um:g} um",
        "take a smaller distance",
    )


def inverted(areas: Iterable[Any], within: Any) -> Area:
    """Return what of `within`, the tissue or the slide, no area covers.

    Raises
    ------
    AnnotationError
        If they cover all of it.
    """
    return require_area(
        without(within, areas), "the objects cover all of it: the inverse is empty", "select fewer objects"
    )


def merged(areas: Iterable[Any]) -> Area:
    """Merge areas into one.

    Raises
    ------
    AnnotationError
        If they cover no ground.
    """
    return require_area(united(areas), "only areas can be merged", "select two areas or more")


def subtracted(area: Any, others: Iterable[Any]) -> Area:
    """Take other areas out of one.

    Raises
    ------
    AnnotationError
        If nothing is left.
    """
    return require_area(
        without(area, others), "the other objects cover all of it: nothing would be left", "select others"
    )


def carried(geometry: Any, from_pixel: PixelSize, to_pixel: PixelSize) -> Any:
    """Map a geometry to the same place, in micrometres from the corner, of a slide with other pixels."""
    return in_px(in_um(geometry, from_pixel), to_pixel)


def transferred(
    geometry: Any, center: tuple[float, float], from_pixel: PixelSize, to_pixel: PixelSize
) -> Any:
    """Put a copy of the same size in micrometres around another point.

    Parameters
    ----------
    geometry : geometry
        Level-0 pixels of a slide of `from_pixel`.
    center : (x, y)
        Where the middle of its bounding box comes to lie, level-0 pixels of a slide of `to_pixel`.
    """
    copy = carried(geometry, from_pixel, to_pixel)
    left, top, right, bottom = copy.bounds
    shift = np.array(center) - ((left + right) / 2, (top + bottom) / 2)
    return shapely.transform(copy, lambda points: points + shift)
