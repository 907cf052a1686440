"""Digital Slide Archive and HistomicsUI: annotation documents with elements, both ways.

Read: a document, a list of them, or what the server's interface gives, the document below `annotation`. The
class is the element's group, its label, or the name of its document.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations.building import BadShapeError, Drawn, build_set
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import details, extra_of, measurements, measurements_of, written_number
from napari_nic.annotations.ellipses import Ellipse, ellipse, ellipse_of, rectangle
from napari_nic.annotations.json_files import (
    color_of_text,
    first_keys,
    list_of,
    load_json,
    number_of,
    plain_text,
    shapes_of,
)
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.pieces import corners, parts_of, points_in
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.colors import RGB
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted, was_were

_PICTURES = ("image", "pixelmap", "heatmap", "griddata", "rectanglegrid")
"""Elements that are pictures or grids of numbers, not shapes."""


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is an annotation document, or several."""
    keys, inner = first_keys(head)
    return "elements" in keys or ("annotation" in keys and "elements" in inner)


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it holds no annotation document; names the element that is damaged if there is no other.
    """
    loaded = load_json(path, "Digital Slide Archive")
    documents = loaded if isinstance(loaded, list) else [loaded]
    reader = _Reader()
    drawn: list[Drawn] = []
    for number, document in enumerate(documents):
        elements = reader.open(document)
        if elements is None:
            raise AnnotationError(
                "an annotation document without a list of elements", path=path, found=f"document {number}"
            )
        word = "element" if len(documents) == 1 else f"document {number}, element"
        drawn += shapes_of(elements, word, reader.shape, token)
    return build_set(drawn, path, colors=reader.colors, notes=reader.notes(), token=token)


class _Reader:
    """Makes shapes of elements, and notes colours and what are no shapes."""

    def __init__(self) -> None:
        self.colors: dict[str, RGB] = {}
        self._name = ""
        self._pictures = 0

    def open(self, document: Any) -> list[Any] | None:
        """Return the elements of a document; None if it is none."""
        inner = document.get("annotation", document) if isinstance(document, dict) else None
        elements = inner.get("elements") if isinstance(inner, dict) else None
        self._name = plain_text(inner.get("name")) if isinstance(inner, dict) else ""
        return elements if isinstance(elements, list) else None

    def notes(self) -> list[str]:
        """What is to be told beside the shapes."""
        if not self._pictures:
            return []
        number = self._pictures
        return [f"{counted(number, 'element')} that {was_were(number)} pictures or grids left out"]

    def shape(self, element: Mapping[str, Any], where: str) -> Iterable[Drawn]:
        """Make the shape of one element."""
        kind = element.get("type")
        if kind in _PICTURES:
            self._pictures += 1
            return
        if kind not in _SHAPES:
            raise BadShapeError(f"an element of unknown type {str(kind)[:40]!r}")
        label = element.get("label")
        text = plain_text(label.get("value") if isinstance(label, Mapping) else label)
        group = plain_text(element.get("group"))
        given = element.get("user")
        user: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        own = user.get("napari_nic")
        own = own if isinstance(own, Mapping) else None
        drawn = _SHAPES[kind](element, where)
        drawn.label = group or (text or self._name if own is None else "") or UNCLASSIFIED
        drawn.name = text if own is not None or (group and text != group) else ""
        drawn.id = plain_text(element.get("id"))
        drawn.extra = {"user": dict(user)} if user else {}
        if own is not None:
            rest = {key: value for key, value in user.items() if key != "napari_nic"}
            _restore(drawn, own, {"user": rest} if rest else {})
        color = color_of_text(element.get("lineColor"))
        if color is not None:
            self.colors.setdefault(drawn.label, color)
        yield drawn


def _restore(drawn: Drawn, own: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Take what this program wrote beside the element's own members."""
    rest = own.get("details")
    rest = rest if isinstance(rest, Mapping) else {}
    drawn.id = plain_text(own.get("id"))
    drawn.extra = extra_of(measurements_of(own.get("measurements")), {**rest, **user})


def _polyline(element: Mapping[str, Any], where: str) -> Drawn:
    points = list_of(element.get("points"), "points")
    if not element.get("closed"):
        return Drawn(where, "", "line", [points])
    holes = list_of(element.get("holes") or [], "holes")
    return Drawn(where, "", "polygon", [[points, *holes]])


def _point(element: Mapping[str, Any], where: str) -> Drawn:
    return Drawn(where, "", "point", [_centre(element)])


def _arrow(element: Mapping[str, Any], where: str) -> Drawn:
    """Make an arrow; its head comes first."""
    return Drawn(where, "", "arrow", [list_of(element.get("points"), "points")[::-1]])


def _circle(element: Mapping[str, Any], where: str) -> Drawn:
    radius = number_of(element.get("radius"), "a radius")
    return Drawn(where, "", "ellipse", [[ellipse(_centre(element), (radius, radius))]])


def _ellipse(element: Mapping[str, Any], where: str) -> Drawn:
    width, height, turn = _box(element)
    return Drawn(where, "", "ellipse", [[ellipse(_centre(element), (width / 2, height / 2), turn)]])


def _rectangle(element: Mapping[str, Any], where: str) -> Drawn:
    width, height, turn = _box(element)
    upright = math.isclose(math.sin(2 * turn), 0, abs_tol=1e-9)
    return Drawn(
        where,
        "",
        "rectangle" if upright else "polygon",
        [[rectangle(_centre(element), (width, height), turn)]],
    )


_SHAPES = {
    "polyline": _polyline,
    "point": _point,
    "arrow": _arrow,
    "circle": _circle,
    "ellipse": _ellipse,
    "rectangle": _rectangle,
}


def _box(element: Mapping[str, Any]) -> tuple[float, float, float]:
    rotation = element.get("rotation") or 0.0
    return (
        number_of(element.get("width"), "a width"),
        number_of(element.get("height"), "a height"),
        number_of(rotation, "a rotation"),
    )


def _centre(element: Mapping[str, Any]) -> tuple[float, float]:
    centre = list_of(element.get("center"), "a centre")
    if len(centre) < 2:
        raise BadShapeError("a centre that is no point")
    return number_of(centre[0], "an x"), number_of(centre[1], "a y")


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write one document; what the elements have no member for goes into their `user`, which is free.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        name = json.dumps(Path(annotations.source).stem or "annotations")
        file.write(f'{{"name": {name}, "elements": [')
        separator = "\n"
        for number, annotation in enumerate(checked(annotations.annotations, token)):
            common = _common(annotation, annotations.colors[annotation.label])
            for part, shape in enumerate(_written(annotation)):
                identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {part} {annotation.geometry.wkt}").hex
                element = {"id": identity[:24], **shape, **common}
                file.write(separator + json.dumps(element))
                separator = ",\n"
        file.write("\n]}\n")
    return ()


def _common(annotation: Annotation, color: RGB) -> dict[str, Any]:
    members: dict[str, Any] = {"lineColor": "rgb({}, {}, {})".format(*color)}
    if annotation.label != UNCLASSIFIED:
        members["group"] = annotation.label
    if annotation.name:
        members["label"] = {"value": annotation.name}
    values, rest = measurements(annotation), details(annotation)
    user = rest.pop("user", None)
    own: dict[str, Any] = {"id": annotation.id}
    if values:
        own["measurements"] = {key: written_number(value) for key, value in values.items()}
    if rest:
        own["details"] = rest
    members["user"] = {**(user if isinstance(user, Mapping) else {}), "napari_nic": own}
    return members


def _written(annotation: Annotation) -> Iterable[dict[str, Any]]:
    """The elements that stand for one annotation, without what they have in common."""
    if annotation.kind == "rectangle" and _is_upright(annotation.geometry):
        left, top, right, bottom = annotation.geometry.bounds
        centre = [(left + right) / 2, (top + bottom) / 2, 0]
        size = {"width": right - left, "height": bottom - top}
        yield {"type": "rectangle", "center": centre, **size, "rotation": 0}
        return
    round_one = ellipse_of(annotation.geometry) if annotation.kind == "ellipse" else None
    if round_one is not None:
        yield _round(round_one)
        return
    if annotation.kind == "arrow":
        yield {"type": "arrow", "points": _xyz(annotation.geometry)[::-1]}
        return
    for part in parts_of(annotation.geometry):
        if annotation.is_area:
            element = {"type": "polyline", "closed": True, "points": _xyz(part.exterior)}
            yield element | ({"holes": [_xyz(hole) for hole in part.interiors]} if part.interiors else {})
        elif annotation.kind in ("point", "points"):
            yield {"type": "point", "center": [*points_in(part)[0], 0]}
        else:
            yield {"type": "polyline", "closed": False, "points": _xyz(part)}


def _round(one: Ellipse) -> dict[str, Any]:
    """Write a circle or an ellipse."""
    centre = [*one.centre, 0]
    if one.is_circle:
        return {"type": "circle", "center": centre, "radius": one.radii[0]}
    size = {"width": 2 * one.radii[0], "height": 2 * one.radii[1]}
    return {"type": "ellipse", "center": centre, **size, "rotation": one.angle}


def _is_upright(geometry: shapely.Geometry) -> bool:
    return bool(geometry.equals(shapely.box(*geometry.bounds)))


def _xyz(geometry: shapely.Geometry) -> list[list[float]]:
    return [[x, y, 0] for x, y in corners(geometry)]


FORMAT = AnnotationFormat(
    "Digital Slide Archive JSON",
    ANNOTATION_SUFFIXES["dsa"],
    recognises,
    read,
    write,
    instead={
        "areas of several parts": "written as separate ones",
        "splines": "written as polygons",
        "lines of several parts": "written as separate ones",
        "measured lines": "written as lines",
        "point sets": "written as single points",
    },
)
