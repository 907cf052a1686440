"""V7's Darwin JSON, versions 1 and 2, both ways.

An area is a list of paths of which those inside others are holes; the name of an annotation is its class.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations.building import BadShapeError, Drawn, build_set, points_of
from napari_nic.annotations.carrying import COLOURS, WITHOUT
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.ellipses import Ellipse, ellipse, ellipse_of
from napari_nic.annotations.json_files import (
    first_keys,
    list_of,
    load_json,
    number_of,
    plain_text,
    shapes_of,
    xy_of,
)
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.pieces import corners, parts_of
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted, was_were

SCHEMA = "https://darwin-public.s3.eu-west-1.amazonaws.com/darwin_json/2.0/schema.json"

MIN_RING = 3


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is Darwin's."""
    keys, _ = first_keys(head)
    return ("annotations" in keys and bool(keys & {"item", "schema_ref", "dataset"})) or (
        "schema_ref" in keys and "item" in keys
    )


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`.

    Raises
    ------
    AnnotationError
        If it has no list of annotations; names the annotation that is damaged if there is no other.
    """
    document = load_json(path, "Darwin")
    items = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise AnnotationError("Darwin JSON without a list of annotations", path=path)
    reader = _Reader()
    drawn = shapes_of(items, "annotation", reader.shape, token)
    return build_set(drawn, path, colors={}, notes=reader.notes(), token=token)


class _Reader:
    """Makes shapes of annotations, and counts those that have no place."""

    def __init__(self) -> None:
        self._placeless = 0

    def notes(self) -> list[str]:
        """What is to be told beside the shapes."""
        number = self._placeless
        if not number:
            return []
        what = counted(number, "annotation")
        return [f"{what} without a shape (tags, frames of films) {was_were(number)} left out"]

    def shape(self, item: Mapping[str, Any], where: str) -> Iterable[Drawn]:
        """Make the shape of one annotation."""
        kind = next((kind for kind in _SHAPES if item.get(kind) is not None), None)
        if kind is None:
            if not set(item) & {"tag", "frames", "string", "simple_table", "skeleton", "graph", "mask"}:
                raise BadShapeError("an annotation of no kind that has a place")
            self._placeless += 1
            return
        value = item[kind]
        if not isinstance(value, Mapping):
            raise BadShapeError(f"a {kind} that is no object")
        drawn = _SHAPES[kind](value, where)
        drawn.label = plain_text(item.get("name")) or UNCLASSIFIED
        drawn.id = plain_text(item.get("id"))
        yield drawn


def _polygon(value: Mapping[str, Any], where: str) -> Drawn:
    """Version 2 has `paths`; version 1 has `path`, and `additional_paths` where there are several."""
    if "paths" in value:
        paths = list_of(value["paths"], "paths")
    else:
        further = list_of(value.get("additional_paths") or [], "additional paths")
        paths = [list_of(value.get("path"), "a path"), *further]
    rings = [[xy_of(point) for point in list_of(path, "a path")] for path in paths]
    return Drawn(where, "", "polygon", _nested(rings))


def _nested(rings: list[list[tuple[float, float]]]) -> list[Any]:
    """Put rings that lie in others into them, by turns: outline, hole, outline in the hole..."""
    if len(rings) == 1:
        return [rings]
    usable = [ring for ring in rings if len(points_of(ring)) >= MIN_RING]
    areas = [shapely.Polygon(ring) for ring in usable]
    inner = [shapely.Point(area.exterior.coords[0]) for area in areas]
    around = [
        [n for n, area in enumerate(areas) if n != own and _holds(area, areas[own], inner[own])]
        for own in range(len(areas))
    ]
    polygons: dict[int, list[Any]] = {n: [usable[n]] for n, outer in enumerate(around) if len(outer) % 2 == 0}
    for n, outer in enumerate(around):
        if len(outer) % 2:
            nearest = max(outer, key=lambda m: len(around[m]))
            polygons[nearest].append(usable[n])
    return list(polygons.values())


def _holds(outer: shapely.Geometry, area: shapely.Geometry, point: shapely.Geometry) -> bool:
    """Whether one outline lies in another; told of outlines that cross by their first point."""
    if outer.is_valid and area.is_valid:
        return bool(outer.area > area.area and outer.covers(area))
    return bool(shapely.make_valid(outer).covers(point))


def _line(value: Mapping[str, Any], where: str) -> Drawn:
    return Drawn(where, "", "line", [[xy_of(point) for point in list_of(value.get("path"), "a path")]])


def _keypoint(value: Mapping[str, Any], where: str) -> Drawn:
    return Drawn(where, "", "point", [xy_of(value)])


def _box(value: Mapping[str, Any], where: str) -> Drawn:
    left, top = xy_of(value, "a box")
    right, bottom = left + number_of(value.get("w"), "a width"), top + number_of(value.get("h"), "a height")
    return Drawn(where, "", "rectangle", [[[(left, top), (right, top), (right, bottom), (left, bottom)]]])


def _ellipse(value: Mapping[str, Any], where: str) -> Drawn:
    angle = number_of(value.get("angle") or 0.0, "an angle")
    ring = ellipse(xy_of(value.get("center"), "a centre"), xy_of(value.get("radius"), "a radius"), angle)
    return Drawn(where, "", "ellipse", [[ring]])


_SHAPES: dict[str, Callable[[Mapping[str, Any], str], Drawn]] = {
    # A polygon has its box beside it.
    "polygon": _polygon,
    "complex_polygon": _polygon,
    "ellipse": _ellipse,
    "line": _line,
    "keypoint": _keypoint,
    "bounding_box": _box,
}


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write a file of version 2.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.
    """
    item = {"name": Path(annotations.source).name or "slide", "path": "/", "slots": []}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        head = {"version": "2.0", "schema_ref": SCHEMA, "item": item}
        file.write(f'{json.dumps(head)[:-1]}, "annotations": [')
        separator = "\n"
        for number, annotation in enumerate(checked(annotations.annotations, token)):
            for part, shape in enumerate(_written(annotation)):
                # Darwin wants a UUID; one from the content makes the same file of the same set.
                made = uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {part} {annotation.geometry.wkt}")
                identity = annotation.id if annotation.id and part == 0 else str(made)
                name = {} if annotation.label == UNCLASSIFIED else {"name": annotation.label}
                file.write(separator + json.dumps({"id": identity, **name, "slot_names": ["0"], **shape}))
                separator = ",\n"
        file.write("\n]}\n")
    return ()


def _written(annotation: Annotation) -> Iterable[dict[str, Any]]:
    geometry = annotation.geometry
    if annotation.is_area:
        left, top, right, bottom = geometry.bounds
        box = {"x": left, "y": top, "w": right - left, "h": bottom - top}
        if annotation.kind == "rectangle" and geometry.equals(shapely.box(*geometry.bounds)):
            yield {"bounding_box": box}
            return
        round_one = ellipse_of(geometry) if annotation.kind == "ellipse" else None
        if round_one is not None:
            yield {"ellipse": _round(round_one), "bounding_box": box}
            return
        rings = [ring for part in parts_of(geometry) for ring in (part.exterior, *part.interiors)]
        yield {"polygon": {"paths": [_path(ring) for ring in rings]}, "bounding_box": box}
        return
    for part in parts_of(geometry):
        if annotation.kind in ("point", "points"):
            yield {"keypoint": _path(part)[0]}
        else:
            yield {"line": {"path": _path(part)}}


def _round(one: Ellipse) -> dict[str, Any]:
    (x, y), (across, down) = one.centre, one.radii
    return {"center": {"x": x, "y": y}, "radius": {"x": across, "y": down}, "angle": one.angle}


def _path(geometry: shapely.Geometry) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in corners(geometry)]


FORMAT = AnnotationFormat(
    "Darwin (V7) JSON",
    ANNOTATION_SUFFIXES["darwin"],
    recognises,
    read,
    write,
    instead={
        "splines": "written as polygons",
        "lines of several parts": "written as separate ones",
        "arrows": "written as lines",
        "measured lines": "written as lines",
        "point sets": "written as single points",
        "names": WITHOUT,
        "measurements": WITHOUT,
        "further details": WITHOUT,
        COLOURS: WITHOUT,
    },
)
