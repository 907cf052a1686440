"""QuPath's GeoJSON, read; see :mod:`~napari_nic.annotations.geojson_writing` for the other way.

Read: a FeatureCollection, a bare list of Features (older QuPath), one Feature or geometry; `objectType` and
the older `object_type`; classes as {name, color}, {names}, the older {colorRGB}, or a bare string; where
there is no `classification`, other programs' words for it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_nic.annotations.building import Drawn, build, malformed
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.foreign import CONVERT, name_of_json
from napari_nic.annotations.geojson_writing import write
from napari_nic.annotations.model import AnnotationSet, Kind
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.colors import RGB, from_hex, from_packed
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted, was_were

MAX_BYTES = 2**30
"""A file is held in memory whole, ten times its size: three million nuclei."""

NAMES_SEPARATOR = ": "
"""How QuPath writes a class with sub-classes."""

OTHER_CLASS_KEYS = ("class", "label", "group", "category", "class_name", "name")
"""Where other programs (Digital Slide Archive, dlup) put the class, by rank."""

RECTANGLE_POINTS = 5
"""Points of a closed ring with four corners."""

MAX_NESTED = 8
"""Collections within collections."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON."""
    text = head.decode(json.detect_encoding(head), errors="ignore")
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


@dataclass
class _File:
    """What is collected of one file."""

    path: Path
    drawn: list[Drawn] = field(default_factory=list)
    class_colors: dict[str, RGB] = field(default_factory=dict)
    shape_colors: dict[str, RGB] = field(default_factory=dict)
    other_keys: Counter[str] = field(default_factory=Counter)
    n_without_place: int = 0
    n_replaced: int = 0

    def text(self, value: Any) -> str:
        """Text of a name or id; halves of characters (lone surrogates) are replaced."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value}"
        if not isinstance(value, str):
            return ""
        text = _SURROGATES.sub("\ufffd", value)
        self.n_replaced += text != value
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
    document = _document(path)
    file = _File(path)
    for number, feature in enumerate(checked(_features(document, path), token)):
        _add_feature(feature, f"feature {number}", file)
    annotations, notes = build(file.drawn, path, token)
    if isinstance(document, dict) and document.get("crs") is not None:
        notes.append("the file names a coordinate system of maps: its numbers are taken for pixels")
    colors = file.shape_colors | file.class_colors
    return AnnotationSet(annotations, colors, path.name, tuple(notes + file.notes()))


def _document(path: Path) -> Any:
    if path.stat().st_size > MAX_BYTES:
        raise AnnotationError(
            "the file is too large for annotations", path=path, expected=f"at most {MAX_BYTES:,} bytes"
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError("not a readable GeoJSON file", path=path, found=f"{error}") from error


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


def _add_feature(feature: Any, where: str, file: _File) -> None:
    """Add the shapes of one feature; also note the colour of its class."""
    if not isinstance(feature, dict):
        raise malformed(file.path, where, f"a {type(feature).__name__} instead of an object")
    if not _is_feature(feature):
        raise malformed(file.path, where, "an object that is no Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise malformed(file.path, where, "properties that are no object")
    label = _note_class(properties, where, file)
    geometry = feature.get("geometry")
    if geometry is None:  # allowed by RFC 7946: a feature without a place
        file.n_without_place += 1
        return
    name = file.text(properties.get("name"))
    identity = file.text(feature.get("id", properties.get("id")))
    extra = _extra(feature, properties)
    for shape in geometry_parts(geometry, where, file.path):
        shape.label, shape.name, shape.id, shape.extra = label, name, identity, extra
        file.drawn.append(shape)


def _extra(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the feature says beside what :class:`~napari_nic.annotations.Annotation` has."""
    extra = {
        key: value for key, value in feature.items() if key not in ("type", "id", "geometry", "properties")
    }
    rest = {key: value for key, value in properties.items() if key not in ("name", "classification")}
    if rest:
        extra["properties"] = rest
    geometry = feature.get("geometry")
    if isinstance(geometry, dict) and isinstance(geometry.get("plane"), dict):
        extra["plane"] = geometry["plane"]
    return extra


def _note_class(properties: Mapping[str, Any], where: str, file: _File) -> str:
    """Return the label of a feature, and note its colour."""
    label, color = _class_of(properties, where, file)
    if color is not None:
        file.class_colors.setdefault(label, color)
    own = _color_of(properties)
    if own is not None and label != UNCLASSIFIED:
        file.shape_colors.setdefault(label, own)
    return label


def geometry_parts(geometry: Any, where: str, path: Path, depth: int = 0) -> list[Drawn]:
    """Take a geometry apart into shapes, none of which has a class yet.

    Raises
    ------
    AnnotationError
        If it is no geometry of GeoJSON; names the element `where`.
    """
    if not isinstance(geometry, dict):
        raise malformed(path, where, "a geometry that is no object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list):
            raise malformed(path, where, "a collection without geometries")
        if depth == MAX_NESTED:
            raise malformed(path, where, "collections nested too deep")
        return [shape for member in members for shape in geometry_parts(member, where, path, depth + 1)]
    if not isinstance(kind, str) or kind not in _READERS:
        shown = repr(kind[:40]) if isinstance(kind, str) else f"({type(kind).__name__})"
        raise malformed(path, where, f"geometry of unknown type {shown}")
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        raise malformed(path, where, f"{kind} without coordinates")
    our_kind, is_one = _READERS[kind]
    parts = [coordinates] if is_one else coordinates
    if our_kind == "polygon":
        if not all(isinstance(part, list) for part in parts):
            raise malformed(path, where, f"{kind} whose coordinates are no lists of rings")
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


def _class_of(properties: Mapping[str, Any], where: str, file: _File) -> tuple[str, RGB | None]:
    value = properties.get("classification")
    if value is None or value == "":
        return _other_class_of(properties, file), None
    if isinstance(value, str):
        return file.text(value), None
    if not isinstance(value, dict):
        raise malformed(file.path, where, f"a classification that is a {type(value).__name__}")
    names, name = value.get("names"), value.get("name")
    if isinstance(names, list) and names:
        parts = [file.text(part) for part in names]
    else:
        parts = [] if name is None or name == "" else [file.text(name)]
    if not all(parts):
        raise malformed(file.path, where, "a classification whose name is no text")
    return NAMES_SEPARATOR.join(parts) or UNCLASSIFIED, _color_of(value)


def _other_class_of(properties: Mapping[str, Any], file: _File) -> str:
    """Look for the class where other programs put it; what QuPath wrote has none."""
    if "objectType" in properties or "object_type" in properties or "classification" in properties:
        return UNCLASSIFIED
    for key in OTHER_CLASS_KEYS[:-1]:
        value = properties.get(key)
        if isinstance(value, dict):
            value = value.get("value", value.get("name"))
        if isinstance(value, str) and value:
            file.other_keys[key] += 1
            return file.text(value)
    return UNCLASSIFIED


def _color_of(properties: Mapping[str, Any]) -> RGB | None:
    """Colour as [r, g, b], as "#rrggbb", or as the packed integer of older versions."""
    color = properties.get("color")
    if isinstance(color, list) and len(color) >= 3 and all(_is_byte(value) for value in color[:3]):
        return int(color[0]), int(color[1]), int(color[2])
    if isinstance(color, str):
        return from_hex(color)
    packed = properties.get("colorRGB", color)
    return from_packed(packed) if isinstance(packed, int) and not isinstance(packed, bool) else None


def _is_byte(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 255


FORMAT = AnnotationFormat("QuPath GeoJSON", ANNOTATION_SUFFIXES["geojson"], recognises, read, write)
