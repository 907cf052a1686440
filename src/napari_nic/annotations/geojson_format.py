"""QuPath's GeoJSON, read; see :mod:`~napari_nic.annotations.geojson_writing` for the other way.

Read: a FeatureCollection, a bare list of Features (older QuPath), one Feature or geometry; `objectType` and
the older `object_type`; classes as {name, color}, {names}, the older {colorRGB}, or a bare string; where
there is no `classification`, other programs' words for it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.annotations import geojson_writing
from napari_nic.annotations.building import BadShapeError, Drawn, iter_build_set, malformed, points_of
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import measurements_of
from napari_nic.annotations.ellipses import ellipse, ellipse_in_box
from napari_nic.annotations.foreign import CONVERT, name_of_json
from napari_nic.annotations.geojson_classes import OBJECT_TYPES, FeatureFile, note_class
from napari_nic.annotations.geojson_plain import make_areas
from napari_nic.annotations.geojson_writing import AT_END, AT_START, HEAD, IS_ELLIPSE, METADATA
from napari_nic.annotations.json_files import is_json, parse_json, read_json
from napari_nic.annotations.json_parsing import NotInPiecesError, features_of
from napari_nic.annotations.kinds import ARROW_ENDS
from napari_nic.annotations.model import AnnotationSet, Kind
from napari_nic.annotations.partial import PartRead
from napari_nic.annotations.registry import FORMATS, AnnotationFormat
from napari_nic.annotations.scaling import pair
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, Progress, checked, result_of
from napari_nic.names import ANNOTATION_SUFFIXES

RECTANGLE_POINTS = 5
"""Points of a closed ring with four corners."""

MAX_NESTED = 8
"""Collections within collections."""

READING = "Reading outlines"

CHILDREN = ("childObjects", "children")
"""Where QuPath nests objects in a feature."""

OTHER_JSON = ("dsa", "darwin", "sectra", "cytomine")


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON, and of no other kind that is read."""
    return is_json(head) and not any(FORMATS.get(name).recognises(head) for name in OTHER_JSON)


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Do what :func:`iter_read` does, in one go."""
    return result_of(iter_read(path, token))


def iter_read(path: Path, token: CancellationToken | None = None) -> Generator[Progress, None, AnnotationSet]:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it is no GeoJSON; names the feature.
    """
    text = read_json(path)
    file, notes = FeatureFile(path), []
    try:
        for features, read_bytes in features_of(text):
            before = len(file.drawn)
            _add_features(features, file, token)
            yield _part_read(file, before, read_bytes, len(text))
    except NotInPiecesError:
        yield PartRead(0, len(text), READING, "bytes", is_afresh=True)
        document = parse_json(text, path, "GeoJSON")
        file = FeatureFile(path)
        _add_features(_features(document, path), file, token)
        if isinstance(document, dict) and document.get("crs") is not None:
            notes = ["the file names a coordinate system of maps: its numbers are taken for pixels"]
    notes += file.notes()
    return (yield from iter_build_set(file.drawn, path, colors=file.colors, notes=notes, token=token))


def _part_read(file: FeatureFile, start: int, read_bytes: int, total: int) -> PartRead:
    """Tell of the areas among the shapes from number `start` on."""
    made = [shape for shape in file.drawn[start:] if shape.area is not None]
    areas, labels = [shape.area for shape in made], [shape.label for shape in made]
    return PartRead(read_bytes, total, READING, "bytes", areas=areas, labels=labels, colors=file.colors)


def _add_features(features: Sequence[Any], file: FeatureFile, token: CancellationToken | None) -> None:
    """Add the shapes of features, of those that are plain all at once."""
    plain: list[Drawn] = []
    for feature in checked(features, token):
        where = f"feature {file.n_features}"
        file.n_features += 1
        shape = file.plain.drawn(feature, where)
        if shape is not None:
            plain.append(shape)
            file.drawn.append(shape)
            continue
        _try_feature(feature, where, file)
        while file.nested:
            where, parent, child = file.nested.pop(0)
            _try_feature(child, where, file, parent)
    make_areas(plain)


def _features(document: Any, path: Path) -> list[Any]:
    if isinstance(document, list):
        if document and isinstance(document[0], dict) and not _is_feature(document[0]):
            raise _no_geojson(document, path)
        return document
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection" or (
        kind is None and isinstance(document, dict) and "features" in document
    ):
        features = document.get("features")
        if not isinstance(features, list):
            raise malformed(path, "features", f"a {type(features).__name__} instead of a list")
        return features
    if kind == "Feature":
        return [document]
    if isinstance(kind, str) and (kind in _READERS or kind == "GeometryCollection"):
        return [{"type": "Feature", "geometry": document}]
    raise _no_geojson(document, path)


def _is_feature(value: Mapping[str, Any]) -> bool:
    return value.get("type") == "Feature" or "geometry" in value


def _no_geojson(document: Any, path: Path) -> AnnotationError:
    name = name_of_json(document)
    one = document[0] if isinstance(document, list) else document
    kind = one.get("type") if isinstance(one, dict) else None
    return AnnotationError(
        "this JSON file holds no GeoJSON",
        path=path,
        expected="a FeatureCollection, a Feature or a list of Features",
        found=name
        or (f"type {kind[:40]!r}" if isinstance(kind, str) else f"a {type(one).__name__} without a type"),
        hint=CONVERT if name else None,
    )


def _try_feature(feature: Any, where: str, file: FeatureFile, parent: str = "") -> None:
    """Add the shapes of one feature; if it cannot be understood, that costs no other."""
    before = len(file.drawn)
    try:
        _add_feature(feature, where, file, parent)
    except BadShapeError as error:
        del file.drawn[before:]
        file.drawn.append(Drawn(where, UNCLASSIFIED, "polygon", [], damage=str(error)))


def _add_feature(feature: Any, where: str, file: FeatureFile, parent: str) -> None:
    """Add the shapes of one feature; also note the colour of its class, and its children."""
    if not isinstance(feature, dict):
        raise BadShapeError(f"a {type(feature).__name__} instead of an object")
    if not _is_feature(feature):
        raise BadShapeError("an object that is no Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise BadShapeError("properties that are no object")
    identity = file.text(feature.get("id", properties.get("id")))
    object_type = OBJECT_TYPES.get(identity)
    if object_type is not None:
        properties, identity = {"objectType": object_type, **properties}, ""
    _note_children(feature, where, identity, file)
    label, name = note_class(properties, file)
    geometry = feature.get("geometry")
    if geometry is None:  # allowed by RFC 7946: a feature without a place
        file.n_without_place += 1
        return
    extra = _extra(feature, properties)
    if parent:
        extra["parent"] = parent
    shapes = _geometry_parts(geometry, where)
    if len(shapes) == 1:
        extra = _pointed(shapes[0], extra)
    for shape in shapes:
        shape.label, shape.name, shape.id, shape.extra = label, name, identity, extra
        if properties.get("type") in ("circle", "ellipse"):
            _round(shape)
        file.drawn.append(shape)


def _note_children(feature: Mapping[str, Any], where: str, identity: str, file: FeatureFile) -> None:
    """Objects within objects become shapes of their own, which name their parent."""
    for key in CHILDREN:
        children = feature.get(key)
        if isinstance(children, list):
            file.nested.extend(
                (f"{where}, child {number}", identity, child) for number, child in enumerate(children)
            )


def _round(shape: Drawn) -> None:
    """Digital Slide Archive writes circles and ellipses as the rectangles around them."""
    if shape.kind not in ("polygon", "rectangle") or len(shape.parts) != 1 or len(shape.parts[0]) != 1:
        return
    ring = points_of(shape.parts[0][0])
    if len(ring) != RECTANGLE_POINTS:
        return
    centre, along, across = ring[:4].mean(axis=0), (ring[1] - ring[0]) / 2, (ring[2] - ring[1]) / 2
    radii = math.hypot(*along), math.hypot(*across)
    angle = math.atan2(along[1], along[0])
    shape.kind, shape.parts = "ellipse", [[ellipse(pair(centre), radii, angle)]]


def _pointed(shape: Drawn, extra: dict[str, Any]) -> dict[str, Any]:
    """Make an arrow of a line of two points that has one head; return what is left to be told of it."""
    properties = extra.get("properties", {})
    metadata = properties.get(METADATA)
    head = metadata.get(HEAD) if isinstance(metadata, dict) else None
    if head not in (AT_START, AT_END) or shape.kind != "line" or len(shape.parts[0]) != ARROW_ENDS:
        return extra
    shape.kind = "arrow"
    shape.parts = shape.parts if head == AT_END else [shape.parts[0][::-1]]
    rest = {key: value for key, value in metadata.items() if key != HEAD}
    left = {key: value for key, value in properties.items() if key != METADATA}
    left |= {METADATA: rest} if rest else {}
    return {**extra, "properties": left}


def _extra(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the feature says beside what :class:`~napari_nic.annotations.Annotation` has."""
    extra = {
        key: value
        for key, value in feature.items()
        if key not in ("type", "id", "geometry", "properties", *CHILDREN)
    }
    rest = {key: value for key, value in properties.items() if key not in ("name", "classification")}
    if isinstance(rest.get("measurements"), list):  # before QuPath 0.4
        rest["measurements"] = measurements_of(rest["measurements"])
    if rest:
        extra["properties"] = rest
    geometry = feature.get("geometry")
    if isinstance(geometry, dict) and isinstance(geometry.get("plane"), dict):
        extra["plane"] = geometry["plane"]
    return extra


def _geometry_parts(geometry: Any, where: str, depth: int = 0) -> list[Drawn]:
    if not isinstance(geometry, dict):
        raise BadShapeError("a geometry that is no object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list):
            raise BadShapeError("a collection without geometries")
        if depth == MAX_NESTED:
            raise BadShapeError("collections nested too deep")
        return [shape for member in members for shape in _geometry_parts(member, where, depth + 1)]
    if not isinstance(kind, str) or kind not in _READERS:
        shown = repr(kind[:40]) if isinstance(kind, str) else f"({type(kind).__name__})"
        raise BadShapeError(f"geometry of unknown type {shown}")
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        raise BadShapeError(f"{kind} without coordinates")
    our_kind, is_one = _READERS[kind]
    parts = [coordinates] if is_one else coordinates
    if our_kind == "polygon":
        if not all(isinstance(part, list) for part in parts):
            raise BadShapeError(f"{kind} whose coordinates are no lists of rings")
        if geometry.get(IS_ELLIPSE) is True:
            our_kind, parts = "ellipse", [[_in_box(parts)]]
        elif _is_rectangle(parts):
            our_kind = "rectangle"
    return [Drawn(where, UNCLASSIFIED, our_kind, parts)]


def _in_box(polygons: list[Any]) -> list[tuple[float, float]]:
    """Draw the ellipse in the box of an outline, as QuPath does, whose corners are rounded."""
    points = points_of(polygons[0][0]) if len(polygons) == 1 and polygons[0] else np.empty((0, 2))
    if len(points) == 0:
        raise BadShapeError("an ellipse without an outline")
    return ellipse_in_box(pair(points.min(axis=0)), pair(points.max(axis=0)))


_READERS: dict[str, tuple[Kind, bool]] = {
    # type -> (our kind, whether its coordinates are one part rather than a list of parts)
    "Polygon": ("polygon", True),
    "MultiPolygon": ("polygon", False),
    "LineString": ("line", True),
    "MultiLineString": ("line", False),
    "Point": ("point", True),
    "MultiPoint": ("points", False),
}


def _is_rectangle(polygons: list[Any]) -> bool:
    """Whether the area is one upright rectangle: four corners, each side along an axis."""
    if len(polygons) != 1 or len(polygons[0]) != 1:
        return False
    ring = polygons[0][0]
    if not isinstance(ring, list) or len(ring) != RECTANGLE_POINTS or not all(map(_is_point, ring)):
        return False
    if ring[0] != ring[-1]:
        return False
    sides = [(a[0] == b[0], a[1] == b[1]) for a, b in pairwise(ring)]
    return sides in ([(True, False), (False, True)] * 2, [(False, True), (True, False)] * 2)


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(part, int | float) for part in value)


FORMAT = AnnotationFormat(
    "QuPath GeoJSON",
    ANNOTATION_SUFFIXES["geojson"],
    recognises,
    read,
    geojson_writing.write,
    instead=geojson_writing.INSTEAD,
    iter_read=iter_read,
)
