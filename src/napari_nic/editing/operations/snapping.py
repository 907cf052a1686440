"""Points and lines that snap to an outline, that of the tissue for instance."""

from __future__ import annotations

from math import inf
from typing import Any

import shapely
from shapely.geometry import LineString, Point
from shapely.ops import substring

from napari_nic.geometry import PixelSize

XY = tuple[float, float]

ON_OUTLINE_UM = 1e-4
"""A point so near to an outline was drawn onto it: more than rounding, less than any hand."""


class Snapper:
    """Draws points onto the nearest outline within reach.

    Parameters
    ----------
    area : geometry
        Whose outlines, outer ones and holes, points snap to; level-0 pixels.
    pixel : PixelSize
    """

    def __init__(self, area: Any, pixel: PixelSize) -> None:
        rings = shapely.get_parts(shapely.boundary(area))
        # Distances are those on the glass: outlines are kept in micrometres.
        self._scale = pixel.x, pixel.y
        self._rings = [LineString(shapely.get_coordinates(ring) * self._scale) for ring in rings]
        self._tree = shapely.STRtree(self._rings)

    def point(self, xy: XY, reach_um: float) -> XY:
        """Return the nearest point of an outline, or the point itself if none is within reach."""
        found = self._found(xy, reach_um)
        if found is None:
            return xy
        ring, at = found
        return self._to_px(self._rings[ring].interpolate(at))

    def way(self, first: XY, last: XY, reach_um: float) -> list[XY]:
        """Return the points from one to another: along an outline, the shorter way, if both snap to the same.

        Otherwise the two points alone, each snapped.
        """
        begin, end = self._found(first, reach_um), self._found(last, reach_um)
        if begin is None or end is None or begin[0] != end[0]:
            return [self.point(first, reach_um), self.point(last, reach_um)]
        line = self._along(self._rings[begin[0]], begin[1], end[1])
        return [self._to_px(Point(point)) for point in line.coords]

    def onward(self, first: XY, last: XY, reach_um: float, *, longest: float = inf) -> list[XY]:
        """Return how a line goes on from where it has come to.

        Parameters
        ----------
        first : (x, y)
            Where the line ends so far: on an outline if it was drawn onto it, not if it only came near.
        last : (x, y)
            Where it is to go.
        reach_um : float
            Within which `last` is drawn onto an outline.
        longest : float
            The outline is followed no farther than so many times the straight distance, and `reach_um`.

        Returns
        -------
        list of (x, y)
            The points after `first`: the shorter way along the outline if both lie on the same one, else the
            place of `last` alone, drawn onto an outline if one is within reach.
        """
        begin, end = self._found(first, ON_OUTLINE_UM), self._found(last, reach_um)
        if end is None:
            return [last]
        target = self._rings[end[0]].interpolate(end[1])
        if begin is None or begin[0] != end[0] or begin[1] == end[1]:
            return [self._to_px(target)]
        line = self._along(self._rings[end[0]], begin[1], end[1])
        straight = target.distance(Point(line.coords[0]))
        if line.length > longest * straight + reach_um:
            return [self._to_px(target)]
        return [self._to_px(Point(point)) for point in line.coords[1:]]

    @staticmethod
    def _along(ring: LineString, begin: float, end: float) -> LineString:
        direct = substring(ring, begin, end)
        if direct.length <= ring.length / 2:
            return LineString(direct.coords) if direct.length else LineString([*direct.coords] * 2)
        if begin < end:
            pieces = substring(ring, begin, 0), substring(ring, ring.length, end)
        else:
            pieces = substring(ring, begin, ring.length), substring(ring, 0, end)
        return LineString([*pieces[0].coords, *list(pieces[1].coords)[1:]])

    def _found(self, xy: XY, reach_um: float) -> tuple[int, float] | None:
        point = Point(xy[0] * self._scale[0], xy[1] * self._scale[1])
        if not self._rings:
            return None
        near = self._tree.query_nearest(point, max_distance=reach_um)
        if len(near) == 0:
            return None
        ring = int(near[0])
        return ring, float(self._rings[ring].project(point))

    def _to_px(self, point: Point) -> XY:
        return float(point.x / self._scale[0]), float(point.y / self._scale[1])
