"""QuPath's GeoJSON, both ways.

Read: a FeatureCollection, a bare list of Features (older QuPath), one Feature or geometry; `objectType` and
the older `object_type`; classes as {name, color}, {names}, the older {colorRGB}, or a bare string.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations.building import Drawn, build, malformed
from napari_nic.annotations.colors import RGB, UNCLASSIFIED, from_hex, from_packed
from napari_nic.annotations.model import Annotation, AnnotationSet, Kind
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.errors import AnnotationError

NAMES_SEPARATOR = ": "
"""How QuPath writes a class with sub-classes."""

RECTANGLE_POINTS = 5
"""Points of a closed ring with four corners."""


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def read(path: Path) -> AnnotationSet:
    """Read a file; see the module's text.

    Raises
    ------
    AnnotationError
        If it is no GeoJSON; names the feature.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError("not a readable GeoJSON file", path=path, found=f"{error}") from error
    drawn: list[Drawn] = []
    colors: dict[str, RGB] = {}
    for number, feature in enumerate(_features(document, path)):
        where = f"feature {number}"
        if not isinstance(feature, dict):
            raise malformed(path, where, f"a {type(feature).__name__} instead of an object")
        drawn.extend(_drawn_of(feature, where, colors, path))
    annotations, notes = build(drawn, path)
    return AnnotationSet(annotations, colors, path.name, tuple(notes))


def _features(document: Any, path: Path) -> list[Any]:
    if isinstance(document, list):
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
    if kind in _READERS or kind == "GeometryCollection":
        return [{"type": "Feature", "geometry": document}]
    raise AnnotationError(
        "this JSON file holds no GeoJSON",
        path=path,
        expected="a FeatureCollection, a Feature or a list of Features",
        found=f"type {kind!r}",
    )


def _drawn_of(feature: Mapping[str, Any], where: str, colors: dict[str, RGB], path: Path) -> list[Drawn]:
    """Shapes of one feature; also notes the colour of its class."""
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise malformed(path, where, "properties that are no object")
    label, color = _class_of(properties, where, path)
    color = color or _color_of(properties)
    if color is not None:
        colors.setdefault(label, color)
    geometry = feature.get("geometry")
    if geometry is None:  # allowed by RFC 7946: a feature without a place
        return []
    name = str(properties.get("name") or "")
    identity = feature.get("id", properties.get("id"))
    drawn = _geometry_parts(geometry, where, path)
    for shape in drawn:
        shape.label, shape.name, shape.id = label, name, "" if identity is None else str(identity)
    return drawn


def _geometry_parts(geometry: Any, where: str, path: Path) -> list[Drawn]:
    if not isinstance(geometry, dict):
        raise malformed(path, where, "a geometry that is no object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list):
            raise malformed(path, where, "a collection without geometries")
        return [shape for member in members for shape in _geometry_parts(member, where, path)]
    if kind not in _READERS:
        raise malformed(path, where, f"geometry of unknown type {kind!r}")
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        raise malformed(path, where, f"{kind} without coordinates")
    our_kind, depth = _READERS[kind]
    parts = [coordinates] if depth else coordinates
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
    if len(polygons) != 1 or len(polygons[0]) != 1 or len(polygons[0][0]) != RECTANGLE_POINTS:
        return False
    ring = polygons[0][0]
    if not all(isinstance(point, list) and len(point) > 1 for point in ring) or ring[0] != ring[-1]:
        return False
    sides = [(a[0] == b[0], a[1] == b[1]) for a, b in pairwise(ring)]
    return sides in ([(True, False), (False, True)] * 2, [(False, True), (True, False)] * 2)


def _class_of(properties: Mapping[str, Any], where: str, path: Path) -> tuple[str, RGB | None]:
    value = properties.get("classification")
    if value is None or value == "":
        return UNCLASSIFIED, None
    if isinstance(value, str):
        return value, None
    if not isinstance(value, dict):
        raise malformed(path, where, f"a classification that is a {type(value).__name__}")
    names = value.get("names")
    if isinstance(names, list) and names:
        label = NAMES_SEPARATOR.join(str(name) for name in names)
    else:
        label = str(value.get("name") or UNCLASSIFIED)
    return label, _color_of(value)


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


def write(annotations: AnnotationSet, path: Path) -> tuple[str, ...]:
    """Write a FeatureCollection; nothing is lost but the kinds that GeoJSON does not know (spline)."""
    shapes = annotations.annotations
    geometries = shapely.to_geojson([annotation.geometry for annotation in shapes])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for index, (annotation, geometry) in enumerate(zip(shapes, geometries, strict=True)):
            file.write("\n" if index == 0 else ",\n")
            file.write(_feature_text(annotation, geometry, annotations.colors))
        file.write("\n]}\n")
    return ()


def _feature_text(annotation: Annotation, geometry: str, colors: Mapping[str, RGB]) -> str:
    properties: dict[str, Any] = {"objectType": "annotation", "isLocked": False}
    if annotation.name:
        properties["name"] = annotation.name
    if annotation.label != UNCLASSIFIED:
        properties["classification"] = {"name": annotation.label, "color": list(colors[annotation.label])}
    # QuPath wants a UUID; one from the content makes the same file of the same set.
    identity = annotation.id or str(uuid.uuid5(uuid.NAMESPACE_OID, geometry))
    return (
        f'{{"type": "Feature", "id": {json.dumps(identity)}, "geometry": {geometry},'
        f' "properties": {json.dumps(properties)}}}'
    )


FORMAT = AnnotationFormat("QuPath GeoJSON", (".geojson", ".json"), recognises, read, write)
