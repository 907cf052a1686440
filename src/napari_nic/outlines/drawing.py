"""Outlines drawn as numbers of their classes, see :mod:`~napari_nic.outlines.values`.

OpenCV draws with positions to a sixteenth of a pixel, counted from the centre of the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from napari_nic.jobs import CancellationToken, checked
from napari_nic.outlines.index import Found, OutlineIndex
from napari_nic.outlines.values import NOTHING, PARTS, Part, crowd_parts, value_of

SMALLEST_PX = 6.0
"""An outline that is smaller in a picture is drawn as part of a crowd.

napari shows a level of a pyramid at half to all of its size: 3 to 6 px on the screen.
"""

SMALLEST_AREA_PX = 12.0
"""One that is smaller is not tinted inside."""

THICKNESS = 2
"""A thinner line would vanish in parts where napari shows a level at less than its size."""

MANY_CORNERS = 2_000
"""Of a shape with more only what lies in the picture is drawn."""

_FRACTION_BITS = 4
_FARTHEST = 2**24
_AROUND = 4
"""Pixels beside a picture, from which lines and crowds reach into it."""


@dataclass(frozen=True)
class Window:
    """A part of a picture that is smaller than level 0 by a factor.

    Attributes
    ----------
    top, left, height, width : int
        In pixels of the picture.
    factor : int
        Level-0 pixels a pixel of the picture.
    """

    top: int
    left: int
    height: int
    width: int
    factor: int

    def box(self, around: int = _AROUND) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in level-0 pixels, with a rim of so many pixels of the picture."""
        edges = (
            self.left - around,
            self.top - around,
            self.left + self.width + around,
            self.top + self.height + around,
        )
        left, top, right, bottom = (float(edge * self.factor) for edge in edges)
        return left, top, right, bottom


def draw(
    index: OutlineIndex, window: Window, dtype: np.dtype, token: CancellationToken | None = None
) -> np.ndarray:
    """Draw what lies in a window.

    Outlines of :data:`SMALLEST_PX` and more are lines, over the tint of their areas, small areas on large
    ones. Smaller ones are a crowd: the share of a pixel that they cover is one of three shades of the class
    that covers most of it.

    Parameters
    ----------
    index : OutlineIndex
    window : Window
    dtype : numpy dtype
        Of the picture, see :func:`~napari_nic.outlines.values.dtype_for`.
    token : CancellationToken, optional
        Asked at each class of what is small, and at each area.

    Returns
    -------
    ndarray, (height, width)
    """
    found = index.found(*window.box())
    picture = np.zeros((window.height, window.width), dtype)
    sizes = np.max(found.boxes[:, 2:] - found.boxes[:, :2], axis=1, initial=0) / window.factor
    small = (sizes < SMALLEST_PX) if window.factor > 1 else np.zeros(len(found), bool)
    if small.any():
        _draw_crowd(picture, found.where(small), window, token)
    large = found.where(~small)
    if len(large):
        pieces = _clipped(large, window)
        _draw_areas(picture, pieces, sizes[~small], window, token)
        _draw_lines(picture, pieces, window)
    return picture


def _clipped(found: Found, window: Window) -> Found:
    """Cut away what lies beside the picture, of shapes with very many corners."""
    many = np.flatnonzero(shapely.get_num_coordinates(found.geometries) > MANY_CORNERS)
    if not len(many):
        return found
    geometries = found.geometries.copy()
    geometries[many] = shapely.clip_by_rect(geometries[many], *window.box())
    return Found(geometries, found.classes, found.boxes)


def _draw_areas(
    picture: np.ndarray, found: Found, sizes: np.ndarray, window: Window, token: CancellationToken | None
) -> None:
    """Tint areas, the large ones first."""
    areas = shapely.area(found.geometries)
    chosen = np.flatnonzero((areas > 0) & (sizes >= SMALLEST_AREA_PX))
    for row in checked(chosen[np.argsort(-areas[chosen], kind="stable")], token):
        value = value_of(int(found.classes[row]), Part.AREA)
        rings = _rings(found.geometries[row : row + 1])
        # Rings of one shape in one call: a hole in it is not filled.
        cv2.fillPoly(picture, _placed(rings, window), value, cv2.LINE_8, _FRACTION_BITS)


def _draw_lines(picture: np.ndarray, found: Found, window: Window) -> None:
    for number in np.unique(found.classes):
        rings = _rings(found.geometries[found.classes == number])
        value = value_of(int(number), Part.LINE)
        lines = _placed(rings, window)
        cv2.polylines(picture, lines, False, value, THICKNESS, cv2.LINE_8, _FRACTION_BITS)


def _rings(geometries: np.ndarray) -> np.ndarray:
    """Rings of areas, and lines and points as they are."""
    parts = shapely.get_parts(geometries)
    while (nested := shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT).any():
        parts = np.concatenate([parts[~nested], shapely.get_parts(parts[nested])])
    areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    return np.concatenate([shapely.get_rings(parts[areas]), parts[~areas]])


def _placed(rings: np.ndarray, window: Window) -> list[np.ndarray]:
    """Vertices of each ring in fixed-point pixels of the picture."""
    points, owners = shapely.get_coordinates(rings, return_index=True)
    if not len(points):
        return []
    corner = np.array([window.left, window.top]) + 0.5
    placed = np.rint((points / window.factor - corner) * 2**_FRACTION_BITS)
    fixed = np.clip(placed, -_FARTHEST, _FARTHEST).astype(np.int32)
    return np.split(fixed, np.flatnonzero(np.diff(owners)) + 1)


def _draw_crowd(picture: np.ndarray, found: Found, window: Window, token: CancellationToken | None) -> None:
    """Shade pixels by the share that small outlines cover; each covers what lies around its middle."""
    height, width = picture.shape
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / (2 * window.factor)
    cols, rows = np.floor(middles).astype(np.int64).T - np.array([[window.left], [window.top]]) + _AROUND
    wide, high = width + 2 * _AROUND, height + 2 * _AROUND
    within = (rows >= 0) & (rows < high) & (cols >= 0) & (cols < wide)
    places = (rows * wide + cols)[within]
    # Boxes are a third larger than round outlines in them; exact areas would cost as much as all the rest.
    covered = (np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1) / window.factor**2)[within]
    classes = found.classes[within]
    total = np.zeros((high, wide), np.float32)
    most, winner = np.zeros_like(total), np.zeros(total.shape, np.int64)
    for number in checked(np.unique(classes), token):
        mine = classes == number
        sums = np.bincount(places[mine], covered[mine], high * wide).reshape(high, wide).astype(np.float32)
        share = np.asarray(cv2.blur(sums, (3, 3), borderType=cv2.BORDER_CONSTANT))
        total += share
        larger = share > most
        most[larger], winner[larger] = share[larger], number
    inner = slice(_AROUND, _AROUND + height), slice(_AROUND, _AROUND + width)
    parts = crowd_parts(total[inner])
    picture[...] = np.where(parts >= 0, 1 + PARTS * winner[inner] + parts, NOTHING)
