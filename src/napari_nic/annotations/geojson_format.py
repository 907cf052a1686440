"""QuPath's GeoJSON, read; see :mod:`~napari_nic.annotations.geojson_writing` for the other way.

Read: a FeatureCollection, a bare list of Features (older QuPath), one Feature or geometry; `objectType` and
the older `object_type`; classes as {name, color}, {names}, the older {colorRGB}, or a bare string; where
there is no `classification`, other programs' words for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_nic.annotations import geojson_writing
from napari_nic.annotations.building import BadShapeError, Drawn, build_set, malformed, points_of
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import measurements_of
from napari_nic.annotations.ellipses import ellipse
from napari_nic.annotations.foreign import CONVERT, name_of_json
from napari_nic.annotations.json_files import color_of_text, is_json, load_json, plain_text
from napari_nic.annotations.model import AnnotationSet, Kind
from napari_nic.annotations.registry import FORMATS, AnnotationFormat
from napari_nic.colors import RGB, from_packed
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted, was_were

NAMES_SEPARATOR = ": "
"""How QuPath writes a class with sub-classes."""

OTHER_CLASS_KEYS = ("class", "group", "label", "category", "class_name", "name")
"""Where other programs (Digital Slide Archive, dlup) put the class, by rank."""

OBJECT_TYPES = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "PathRootObject": "root",
    "TMACoreObject": "tma_core",
}
"""What QuPath 0.2 wrote as the id of every object: its type, and no id."""

QUPATH_KEYS = ("objectType", "object_type", "classification", "isLocked", "measurements", "colorRGB")
"""A feature that has one of them is QuPath's, and has its class there or none."""

RECTANGLE_POINTS = 5
"""Points of a closed ring with four corners."""

MAX_NESTED = 8
"""Collections within collections."""

CHILDREN = ("childObjects", "children")
"""Where QuPath nests objects in a feature."""

OTHER_JSON = ("dsa", "darwin", "sectra", "cytomine")


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON, and of no other kind that is read."""
    return is_json(head) and not any(FORMATS.get(name).recognises(head) for name in OTHER_JSON)


@dataclass
class _File:
    """What is collected of one file."""

    path: Path
    drawn: list[Drawn] = field(default_factory=list)
    class_colors: dict[str, RGB] = field(default_factory=dict)
    shape_colors: dict[str, RGB] = field(default_factory=dict)
    other_keys: Counter[str] = field(default_factory=Counter)
    nested: list[tuple[str, str, Any]] = field(default_factory=list)
    n_without_place: int = 0
    n_replaced: int = 0

    def text(self, value: Any) -> str:
        """Text of a name or id; halves of characters (lone surrogates) are replaced."""
        text = plain_text(value)
        self.n_replaced += isinstance(value, str) and text != value
        return text

    def notes(self) -> list[str]:
        """What is to be told of the file beside its shapes."""
        notes = []
        if self.n_without_place:
            number = self.n_without_place
            notes.append(f"{counted(number, 'feature')} without a geometry {was_were(number)} left out")
        if self.n_replaced:
            notes.append(f"halves of characters were replaced in {counted(self.n_replaced, 'name')}")
        for key, number in self.other_keys.items():
            notes.append(f"the class of {counted(number, 'shape')} was taken from {key!r}")
        return notes


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it is no GeoJSON; names the feature.
    """
    document = load_json(path, "GeoJSON")
    file = _File(path)
    for number, feature in enumerate(checked(_features(document, path), token)):
        _try_feature(feature, f"feature {number}", file)
        while file.nested:
            where, parent, child = file.nested.pop(0)
            _try_feature(child, where, file, parent)
    notes = file.notes()
    if isinstance(document, dict) and document.get("crs") is not None:
        notes.insert(0, "the file names a coordinate system of maps: its numbers are taken for pixels")
    colors = file.shape_colors | file.class_colors
    return build_set(file.drawn, path, colors=colors, notes=notes, token=token)


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


def _try_feature(feature: Any, where: str, file: _File, parent: str = "") -> None:
    """Add the shapes of one feature; if it cannot be understood, that costs no other."""
    before = len(file.drawn)
    try:
        _add_feature(feature, where, file, parent)
    except BadShapeError as error:
        del file.drawn[before:]
        file.drawn.append(Drawn(where, UNCLASSIFIED, "polygon", [], damage=str(error)))


def _add_feature(feature: Any, where: str, file: _File, parent: str) -> None:
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
    label, name = _note_class(properties, file)
    geometry = feature.get("geometry")
    if geometry is None:  # allowed by RFC 7946: a feature without a place
        file.n_without_place += 1
        return
    extra = _extra(feature, properties)
    if parent:
        extra["parent"] = parent
    for shape in _geometry_parts(geometry, where):
        shape.label, shape.name, shape.id, shape.extra = label, name, identity, extra
        if properties.get("type") in ("circle", "ellipse"):
            _round(shape)
        file.drawn.append(shape)


def _note_children(feature: Mapping[str, Any], where: str, identity: str, file: _File) -> None:
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
    shape.kind, shape.parts = "polygon", [[ellipse((float(centre[0]), float(centre[1])), radii, angle)]]


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


def _note_class(properties: Mapping[str, Any], file: _File) -> tuple[str, str]:
    """Return the label and the name of a feature, and note its colour."""
    label, color = _class_of(properties, file)
    name = file.text(properties.get("name"))
    if label is None:
        label, name = _other_class_of(properties, name, file)
    if color is not None:
        file.class_colors.setdefault(label, color)
    own = _color_of(properties)
    if own is not None and label != UNCLASSIFIED:
        file.shape_colors.setdefault(label, own)
    return label, name


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
        if _is_rectangle(parts):
            our_kind = "rectangle"
    return [Drawn(where, UNCLASSIFIED, our_kind, parts)]


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


def _class_of(properties: Mapping[str, Any], file: _File) -> tuple[str | None, RGB | None]:
    """Return QuPath's class and its colour; None where another program may have put the class elsewhere."""
    value = properties.get("classification")
    if value is None or value == "":
        is_qupath = any(key in properties for key in QUPATH_KEYS)
        return UNCLASSIFIED if is_qupath else None, None
    if isinstance(value, str):
        return file.text(value), None
    if not isinstance(value, dict):
        raise BadShapeError(f"a classification that is a {type(value).__name__}")
    names, name = value.get("names"), value.get("name")
    if isinstance(names, list) and names:
        parts = [file.text(part) for part in names]
    else:
        parts = [] if name is None or name == "" else [file.text(name)]
    if not all(parts):
        raise BadShapeError("a classification whose name is no text")
    return NAMES_SEPARATOR.join(parts) or UNCLASSIFIED, _color_of(value)


def _other_class_of(properties: Mapping[str, Any], name: str, file: _File) -> tuple[str, str]:
    """Look for the class where other programs put it; return it and what is left as the name.

    Digital Slide Archive groups shapes by class, and labels single ones.
    """
    found = {key: text for key in OTHER_CLASS_KEYS if (text := _word(properties.get(key), file))}
    if not found:
        return UNCLASSIFIED, name
    key = next(iter(found))
    file.other_keys[key] += 1
    if key == "name":
        return found[key], ""
    return found[key], name or (found.get("label", "") if key == "group" else "")


def _word(value: Any, file: _File) -> str:
    if isinstance(value, dict):
        value = value.get("value", value.get("name"))
    return file.text(value) if isinstance(value, str) else ""


def _color_of(properties: Mapping[str, Any]) -> RGB | None:
    """Colour as [r, g, b], as "#rrggbb", or as the packed integer of older versions."""
    color = properties.get("color")
    if color is None:  # Digital Slide Archive's word
        color = properties.get("lineColor")
    if isinstance(color, list) and len(color) >= 3 and all(_is_byte(value) for value in color[:3]):
        return int(color[0]), int(color[1]), int(color[2])
    if isinstance(color, str):
        return color_of_text(color)
    packed = properties.get("colorRGB", color)
    return from_packed(packed) if isinstance(packed, int) and not isinstance(packed, bool) else None


def _is_byte(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 255


FORMAT = AnnotationFormat(
    "QuPath GeoJSON",
    ANNOTATION_SUFFIXES["geojson"],
    recognises,
    read,
    geojson_writing.write,
    instead=geojson_writing.INSTEAD,
)
