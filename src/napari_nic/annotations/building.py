"""From coordinates that a file lists to valid geometries, all shapes of a file at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations.model import AREA_KINDS, Annotation, Kind
from napari_nic.errors import AnnotationError
from napari_nic.wording import counted, was_were

Ring = Sequence[Sequence[float]]

MIN_RING = 3
"""Corners that an outline needs to have an area."""


@dataclass
class Drawn:
    """One shape as a file tells it.

    Attributes
    ----------
    where : str
        The element of the file, for messages ("feature 7").
    label, kind, name, id
        As in :class:`~napari_nic.annotations.Annotation`.
    parts : list
        Of an area: polygons, each a list of rings of (x, y), the first the outer one. Of a line: lines of
        (x, y). Of points: one list of (x, y).
    """

    where: str
    label: str
    kind: Kind
    parts: list[Any]
    name: str = ""
    id: str = ""


def build(drawn: Sequence[Drawn], path: Path) -> tuple[tuple[Annotation, ...], list[str]]:
    """Make annotations; crossing outlines are repaired, those without an area left out.

    Returns
    -------
    annotations : tuple of Annotation
        In the order of `drawn`.
    notes : list of str
        What was repaired or left out.

    Raises
    ------
    AnnotationError
        If a shape's coordinates are no finite numbers; names the file and the element.
    """
    geometries = np.empty(len(drawn), object)
    areas = [index for index, shape in enumerate(drawn) if shape.kind in AREA_KINDS]
    geometries[areas] = _areas([drawn[index] for index in areas], path)
    for index, shape in enumerate(drawn):
        if shape.kind not in AREA_KINDS:
            geometries[index] = _line_or_points(shape, path)
    notes = _repair(geometries, areas)
    annotations = tuple(
        Annotation(shape.label, shape.kind, geometry, shape.name, shape.id)
        for shape, geometry in zip(drawn, geometries, strict=True)
        if geometry is not None
    )
    return annotations, notes


def points_of(ring: Any, shape: Drawn, path: Path) -> np.ndarray:
    """Coordinates of a ring or line as float64 (N, 2); a third coordinate is dropped.

    Raises
    ------
    AnnotationError
        If they are no list of finite pairs.
    """
    try:
        points = np.asarray(ring, np.float64)
    except (ValueError, TypeError) as error:
        raise malformed(path, shape.where, f"coordinates that are no numbers: {error}") from error
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise malformed(path, shape.where, f"coordinates of shape {points.shape}, not (n, 2)")
    if not np.isfinite(points).all():
        raise malformed(path, shape.where, "coordinates that are not finite")
    return points[:, :2]


def malformed(path: Path, where: str, found: str) -> AnnotationError:
    """Build the error for an element that cannot be understood."""
    return AnnotationError("the annotation file is damaged", path=path, found=f"{where}: {found}")


def _areas(shapes: Sequence[Drawn], path: Path) -> np.ndarray:
    """Polygons or multipolygons, not yet checked; None where no outline has three corners."""
    rings: list[np.ndarray] = []
    polygon_of_ring: list[int] = []
    shape_of_polygon: list[int] = []
    for number, shape in enumerate(shapes):
        for polygon in shape.parts:
            outlines = [points_of(ring, shape, path) for ring in polygon]
            if not outlines or _corners(outlines[0]) < MIN_RING:
                continue
            kept = [outlines[0], *(hole for hole in outlines[1:] if _corners(hole) >= MIN_RING)]
            rings.extend(kept)
            polygon_of_ring.extend([len(shape_of_polygon)] * len(kept))
            shape_of_polygon.append(number)
    geometries = np.empty(len(shapes), object)
    if rings:
        sizes = [len(ring) for ring in rings]
        linear = shapely.linearrings(np.concatenate(rings), indices=np.repeat(np.arange(len(rings)), sizes))
        polygons = shapely.polygons(linear, indices=np.array(polygon_of_ring))
        _group(geometries, polygons, np.array(shape_of_polygon))
    return geometries


def _corners(ring: np.ndarray) -> int:
    """Corners of a ring, whose end may repeat its start."""
    if len(ring) > 1 and (ring[0] == ring[-1]).all():
        return len(ring) - 1
    return len(ring)


def _group(geometries: np.ndarray, polygons: np.ndarray, owners: np.ndarray) -> None:
    """Put each shape's polygons into its place: one alone, several as a MultiPolygon."""
    shapes, starts, counts = np.unique(owners, return_index=True, return_counts=True)
    geometries[shapes] = polygons[starts]
    for shape, start, count in zip(shapes, starts, counts, strict=True):
        if count > 1:
            geometries[shape] = shapely.multipolygons(polygons[start : start + count])


def _line_or_points(shape: Drawn, path: Path) -> shapely.Geometry | None:
    if shape.kind in ("point", "points"):
        points = points_of(shape.parts, shape, path)
        if len(points) == 0:
            return None
        return shapely.Point(points[0]) if len(points) == 1 else shapely.MultiPoint(points)
    lines = [points_of(line, shape, path) for line in shape.parts]
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        return None
    return shapely.LineString(lines[0]) if len(lines) == 1 else shapely.MultiLineString(lines)


def _repair(geometries: np.ndarray, areas: Sequence[int]) -> list[str]:
    """Make areas valid in place; what has no area becomes None. Return notes on both."""
    indices = np.array(areas, int)
    crossing = [index for index in indices[~shapely.is_valid(geometries[indices])] if geometries[index]]
    for index in crossing:
        # "structure" keeps what a stroke that crosses itself encloses, where the other method cuts a hole.
        repaired = shapely.make_valid(geometries[index], method="structure", keep_collapsed=False)
        geometries[index] = _only_areas(repaired)
    empty = [i for i, geometry in enumerate(geometries) if geometry is None or geometry.is_empty]
    geometries[empty] = None
    notes = []
    repaired_count = len(set(crossing) - set(empty))
    if repaired_count:
        notes.append(f"{repaired_count} outlines crossed themselves and were repaired")
    if empty:
        notes.append(f"{counted(len(empty), 'shape')} without extent {was_were(len(empty))} left out")
    return notes


def _only_areas(geometry: shapely.Geometry) -> shapely.Geometry | None:
    """Keep the polygons of a repaired outline."""
    polygons = [part for part in _flatten([geometry]) if part.geom_type == "Polygon" and not part.is_empty]
    # The parts of a repaired outline may overlap by a sliver (GEOS 3.14), which merging settles.
    return shapely.union_all(polygons) if polygons else None


def _flatten(geometries: Iterable[shapely.Geometry]) -> list[shapely.Geometry]:
    parts = []
    for geometry in geometries:
        parts.extend(_flatten(geometry.geoms) if hasattr(geometry, "geoms") else [geometry])
    return parts
