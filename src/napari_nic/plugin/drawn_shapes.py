"""As what napari draws an annotation: its own rectangles, ellipses, polygons and paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from shapely.geometry import LineString, MultiPolygon, Polygon, box

from napari_nic.annotations import Annotation, Ellipse, ellipse_of, true_kind
from napari_nic.plugin.outlines import drawable

if TYPE_CHECKING:
    from shapely import Geometry

    from napari_nic.slides import Slide

HEAD_OF_ARROW, HEAD_WIDTH = 0.2, 0.5
"""Length of an arrow's head as a share of the arrow, and half its width as a share of that."""

TOLERANCE_PX = 0.5
"""Corners that lie so near to where they would be drawn are there: napari keeps some in single precision."""


def drawn_as(annotation: Annotation, slide: Slide | None) -> list[tuple[np.ndarray, str]]:
    """Return what napari draws for an annotation: vertices (n, 2) as (y, x), and the type of each shape.

    A rectangle and an ellipse are those of napari, so that they can be edited as such. Of what
    lies beyond the slide only the part on it is drawn, all of it if nothing does; nothing if napari cannot.
    """
    geometry, is_cut = _on_slide(annotation.geometry, slide)
    kind = annotation.kind if not is_cut and true_kind(annotation.kind, geometry) == annotation.kind else ""
    if kind == "rectangle":
        return [(_corners_of_box(geometry), "rectangle")]
    if kind == "ellipse" and (ellipse := ellipse_of(geometry)) is not None:
        return [(_corners_of_ellipse(ellipse), "ellipse")]
    parts = list(getattr(geometry, "geoms", (geometry,)))
    areas = [part for part in parts if isinstance(part, Polygon) and not part.is_empty]
    lines = [part for part in parts if isinstance(part, LineString) and not part.is_empty]
    loop = drawable(areas[0] if len(areas) == 1 else MultiPolygon(areas)) if areas else None
    loops = [] if loop is None else [(loop, "polygon")]
    paths = [np.asarray(part.coords)[:, 1::-1] for part in lines if not areas]
    return loops + [(arrow_path(path) if kind == "arrow" else path, "path") for path in paths]


def _on_slide(geometry: Geometry, slide: Slide | None) -> tuple[Geometry, bool]:
    """Return the part of a geometry that lies on the slide, and whether that is not all of it."""
    if slide is None or geometry.is_empty:
        return geometry, False
    height, width = slide.levels[0].shape
    left, top, right, bottom = geometry.bounds
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return geometry, False
    on_slide = geometry.intersection(box(0, 0, width, height))
    return (geometry, False) if on_slide.is_empty else (on_slide, True)


def arrow_path(ends: np.ndarray) -> np.ndarray:
    """Return an arrow (2, 2), from tail to tip, as one path (5, 2) with a head."""
    tail, tip = ends
    back = (tail - tip) * HEAD_OF_ARROW
    side = back[::-1] * (HEAD_WIDTH, -HEAD_WIDTH)
    return np.array([tail, tip, tip + back + side, tip, tip + back - side])


def arrow_ends(path: np.ndarray) -> np.ndarray | None:
    """Return tail and tip (2, 2) of an arrow that is drawn as a path, also after it was moved; else None."""
    is_arrow = path.shape == (5, 2) and np.allclose(path, arrow_path(path[:2]), rtol=0, atol=TOLERANCE_PX)
    return path[:2] if is_arrow else None


def _corners_of_box(geometry: Geometry) -> np.ndarray:
    left, top, right, bottom = geometry.bounds
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])


def _corners_of_ellipse(ellipse: Ellipse) -> np.ndarray:
    """Return the corners of the box around an ellipse, along its axes: what napari keeps of one."""
    (x, y), (a, b) = ellipse.centre, ellipse.radii
    cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
    one, other = np.array([a * sin, a * cos]), np.array([b * cos, -b * sin])
    corners = [-one - other, one - other, one + other, -one + other]
    return np.array([y, x]) + np.array(corners)
