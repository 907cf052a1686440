"""From coordinates that a file lists to valid geometries, all shapes of a file at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations.kinds import true_kind
from napari_nic.annotations.model import AREA_KINDS, Annotation, AnnotationSet, Fault, Kind
from napari_nic.colors import RGB
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, Progress, checked, result_of
from napari_nic.wording import counted, was_were

FEW_CORNERS = 200
"""Outlines of no more corners are repaired at once, whatever they look like."""

MAX_CROSSINGS = 20_000
"""Repairing takes a second for four times as many, and minutes and gigabytes for fifty times."""

SAMPLED = 64
"""Sides whose crossings are counted."""

Ring = Sequence[Sequence[float]]

MIN_RING = 3
"""Corners that an outline needs to have an area."""

MAX_COORDINATE = 2.0**31
"""No slide has so many pixels; arithmetic on larger numbers loses fractions and overflows in the end."""

CHECKED_AT_ONCE = 4096
"""So many shapes are checked in one call, which nobody can interrupt."""

NAMED = 5
"""So many of the shapes that were left out are named, the others counted."""


@dataclass(slots=True)
class Drawn:
    """One shape as a file tells it.

    Attributes
    ----------
    where : str
        The element of the file, for messages ("feature 7").
    label, kind, name, id, extra
        As in :class:`~napari_nic.annotations.Annotation`.
    parts : list
        Of an area: polygons, each a list of rings of (x, y), the first the outer one. Of a line: lines of
        (x, y). Of points: one list of (x, y).
    damage : str
        Why it cannot be a shape; it is left out and named.
    area : shapely geometry, optional
        The polygon of `parts`, where the reader made it of many at once; not yet checked.
    """

    where: str
    label: str
    kind: Kind
    parts: list[Any]
    name: str = ""
    id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""
    area: shapely.Geometry | None = None


@dataclass(frozen=True)
class Built:
    """What came of the shapes of a file.

    Attributes
    ----------
    annotations : tuple of Annotation
        In the order of the file.
    notes : list of str
        What was repaired, and what was left out and why.
    faults : tuple of Fault
        The same object by object.
    """

    annotations: tuple[Annotation, ...]
    notes: list[str]
    faults: tuple[Fault, ...]


class BadShapeError(ValueError):
    """Coordinates that are no place; the shape is left out and named."""


def build(drawn: Sequence[Drawn], path: Path, token: CancellationToken | None = None) -> Built:
    """Do what :func:`iter_build` does, in one go."""
    return result_of(iter_build(drawn, path, token))


def iter_build(
    drawn: Sequence[Drawn], path: Path, token: CancellationToken | None = None
) -> Generator[Progress, None, Built]:
    """Make annotations; crossing outlines are repaired, those without an area or a place left out.

    Parameters
    ----------
    drawn : sequence of Drawn
    path : Path
        For messages.
    token : CancellationToken, optional
        Asked at each shape.

    Raises
    ------
    AnnotationError
        If no shape is left because of bad coordinates; names the file and the first element.
    """
    bad: dict[int, str] = {index: shape.damage for index, shape in enumerate(drawn) if shape.damage}
    geometries = np.empty(len(drawn), object)
    areas = [index for index, shape in enumerate(drawn) if shape.kind in AREA_KINDS and index not in bad]
    geometries[areas] = [drawn[index].area for index in areas]
    unmade = [index for index in areas if drawn[index].area is None]
    geometries[unmade] = _areas([drawn[index] for index in unmade], unmade, bad, token)
    for index, shape in enumerate(checked(drawn, token)):
        if shape.kind not in AREA_KINDS and index not in bad:
            try:
                geometries[index] = _line_or_points(shape)
            except BadShapeError as error:
                bad[index] = str(error)
    repaired = yield from _repair(geometries, areas, bad, token)
    empty = [i for i, geometry in enumerate(geometries) if geometry is None and i not in bad]
    if bad and len(bad) + len(empty) == len(drawn):
        first = min(bad)
        raise malformed(path, drawn[first].where, bad[first])
    annotations = tuple(
        Annotation(shape.label, _kind(shape.kind, geometry), geometry, shape.name, shape.id, shape.extra)
        for shape, geometry in zip(checked(drawn, token), geometries, strict=True)
        if geometry is not None
    )
    return Built(annotations, _notes(drawn, len(repaired), empty, bad), _faults(drawn, repaired, empty, bad))


def build_set(
    drawn: Sequence[Drawn],
    path: Path,
    *,
    colors: Mapping[str, RGB],
    notes: Iterable[str] = (),
    token: CancellationToken | None = None,
) -> AnnotationSet:
    """Make the set of a file of shapes that need nothing else; see :func:`build`."""
    return result_of(iter_build_set(drawn, path, colors=colors, notes=notes, token=token))


def iter_build_set(
    drawn: Sequence[Drawn],
    path: Path,
    *,
    colors: Mapping[str, RGB],
    notes: Iterable[str] = (),
    token: CancellationToken | None = None,
) -> Generator[Progress, None, AnnotationSet]:
    """Do the same with progress."""
    built = yield from iter_build(drawn, path, token)
    return AnnotationSet(built.annotations, colors, path.name, (*built.notes, *notes), built.faults)


def _kind(kind: Kind, geometry: shapely.Geometry) -> Kind:
    """Kind of a shape; what a file only calls an ellipse or an arrow is none."""
    return true_kind(kind, geometry) if kind in ("ellipse", "arrow") else kind


def points_of(ring: Any) -> np.ndarray:
    """Coordinates of a ring or line as float64 (N, 2); a third and fourth coordinate are dropped.

    Raises
    ------
    BadShapeError
        If they are no list of finite pairs.
    """
    try:
        points = np.asarray(ring, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadShapeError(f"coordinates that are no numbers: {str(error)[:80]}") from error
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] not in (2, 3, 4):
        raise BadShapeError(f"coordinates of shape {points.shape[:4]}, not (n, 2)")
    points = points[:, :2]
    if not np.isfinite(points).all():
        raise BadShapeError("coordinates that are not finite")
    largest = float(np.abs(points).max())
    if largest > MAX_COORDINATE:
        raise BadShapeError(f"coordinates beyond any slide, {largest:.3g} px")
    return points


def malformed(path: Path, where: str, found: str) -> AnnotationError:
    """Build the error for an element that cannot be understood."""
    return AnnotationError("the annotation file is damaged", path=path, found=f"{where}: {found}")


def _notes(
    drawn: Sequence[Drawn], n_repaired: int, empty: Sequence[int], bad: Mapping[int, str]
) -> list[str]:
    notes = []
    if n_repaired:
        themselves = "itself" if n_repaired == 1 else "themselves"
        notes.append(
            f"{counted(n_repaired, 'outline')} crossed {themselves} and {was_were(n_repaired)} repaired"
        )
    if empty:
        names = _listed([drawn[index].where for index in empty])
        notes.append(
            f"{counted(len(empty), 'shape')} without extent {was_were(len(empty))} left out: {names}"
        )
    if bad:
        names = _listed([f"{drawn[index].where} ({bad[index]})" for index in sorted(bad)])
        notes.append(f"{counted(len(bad), 'damaged shape')} {was_were(len(bad))} left out: {names}")
    return notes


def _faults(
    drawn: Sequence[Drawn], repaired: Sequence[int], empty: Sequence[int], bad: Mapping[int, str]
) -> tuple[Fault, ...]:
    told = {index: Fault(drawn[index].where, "an outline that crosses itself", True) for index in repaired}
    told |= {index: Fault(drawn[index].where, "no extent") for index in empty}
    told |= {index: Fault(drawn[index].where, text) for index, text in bad.items()}
    return tuple(told[index] for index in sorted(told))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _areas(
    shapes: Sequence[Drawn], numbers: Sequence[int], bad: dict[int, str], token: CancellationToken | None
) -> np.ndarray:
    """Polygons or multipolygons, not yet checked; None where no outline has three corners."""
    rings: list[np.ndarray] = []
    polygon_of_ring: list[int] = []
    shape_of_polygon: list[int] = []
    for position, (shape, number) in enumerate(zip(checked(shapes, token), numbers, strict=True)):
        try:
            polygons = [_rings(polygon) for polygon in shape.parts]
        except BadShapeError as error:
            bad[number] = str(error)
            continue
        for kept in polygons:
            if kept:
                rings.extend(kept)
                polygon_of_ring.extend([len(shape_of_polygon)] * len(kept))
                shape_of_polygon.append(position)
    geometries = np.empty(len(shapes), object)
    if rings:
        sizes = [len(ring) for ring in rings]
        linear = shapely.linearrings(np.concatenate(rings), indices=np.repeat(np.arange(len(rings)), sizes))
        polygons = shapely.polygons(linear, indices=np.array(polygon_of_ring))
        _group(geometries, polygons, np.array(shape_of_polygon))
    return geometries


def _rings(polygon: Any) -> list[np.ndarray]:
    """Rings of a polygon that have three corners; none if the outer one has not."""
    if not isinstance(polygon, list):
        raise BadShapeError(f"coordinates that are a {type(polygon).__name__}, not a list of rings")
    outlines = [points_of(ring) for ring in polygon]
    if not outlines or _corners(outlines[0]) < MIN_RING:
        return []
    return [outlines[0], *(hole for hole in outlines[1:] if _corners(hole) >= MIN_RING)]


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


def _line_or_points(shape: Drawn) -> shapely.Geometry | None:
    if shape.kind in ("point", "points"):
        points = points_of(shape.parts)
        if len(points) == 0:
            return None
        return shapely.Point(points[0]) if len(points) == 1 else shapely.MultiPoint(points)
    lines = [points_of(line) for line in shape.parts]
    lines = [line for line in lines if len(line) > 1 and (line != line[0]).any()]
    if not lines:
        return None
    return shapely.LineString(lines[0]) if len(lines) == 1 else shapely.MultiLineString(lines)


def _repair(
    geometries: np.ndarray, areas: Sequence[int], bad: dict[int, str], token: CancellationToken | None
) -> Generator[Progress, None, list[int]]:
    """Make areas valid in place; what has no area becomes None. Return which were repaired."""
    indices = np.array(areas, int)
    invalid = np.zeros(len(indices), bool)
    for start in checked(range(0, len(indices), CHECKED_AT_ONCE), token):
        yield Progress(start, len(indices), "Checking outlines", "outlines")
        part = slice(start, start + CHECKED_AT_ONCE)
        invalid[part] = ~shapely.is_valid(geometries[indices[part]])
    crossing = [index for index in indices[invalid] if geometries[index]]
    repaired = []
    for index in checked(crossing, token):
        geometries[index] = repair_area(geometries[index], int(index), bad)
        if geometries[index] is not None:
            repaired.append(int(index))
    geometries[shapely.is_empty(geometries)] = None  # what is None already is not empty
    return repaired


def repair_area(geometry: shapely.Geometry, index: int, bad: dict[int, str]) -> shapely.Geometry | None:
    """Repair one outline that crosses itself; None if nothing of it encloses an area.

    One that crosses itself so often that repairing it would take minutes goes into `bad` instead.
    """
    if _is_tangled(geometry):
        bad[index] = "an outline that crosses itself many thousand times"
        return None
    # "structure" keeps what a stroke that crosses itself encloses, where the other method cuts a hole.
    try:
        return _only_areas(shapely.make_valid(geometry, method="structure", keep_collapsed=False))
    except shapely.GEOSException as error:
        bad[index] = f"an outline that cannot be repaired: {error}"
        return None


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


def _is_tangled(area: shapely.Geometry) -> bool:
    """Whether an outline crosses itself so often that it cannot be repaired in a second.

    Told from some of its sides, the same ones every time: counting all crossings would take as long as
    the repair.
    """
    if shapely.get_num_coordinates(area) <= FEW_CORNERS:
        return False
    sides = _sides(area)
    step = max(1, len(sides) // SAMPLED)
    chosen = sides[::step]
    _, crossed = shapely.STRtree(sides).query(chosen, predicate="crosses")
    return len(crossed) / len(chosen) * len(sides) / 2 > MAX_CROSSINGS


def _sides(area: shapely.Geometry) -> np.ndarray:
    points, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(area)), return_index=True)
    pairs = np.stack([points[:-1], points[1:]], axis=1)[ring[:-1] == ring[1:]]
    return np.asarray(shapely.linestrings(pairs))
