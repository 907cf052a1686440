"""Hamamatsu's NDPA, both ways: nanometres from the middle of the glass, one view state a shape.

The title of a view state is the class, its details are the name. NDPA has no holes and no shapes of several
parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import shapely

from napari_nic.annotations.building import Drawn, build_set
from napari_nic.annotations.carrying import WITHOUT
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.ellipses import ellipse, ellipse_of
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.pieces import Points, corners, parts_of, points_in, simple_areas
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.xml_stream import Numbers, clean_text, parse, root_tag
from napari_nic.colors import RGB, from_hex, to_hex
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES

NANOMETRES = "nanometers"

_LINE_POINTS = 2
_TYPE_OF_LINE = {
    "measurement": 'type="linearmeasure" displayname="AnnotateRuler"',
    "arrow": 'type="pointer" displayname="AnnotatePointer"',
}


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is Hamamatsu's."""
    return root_tag(head) == "annotations" and b"ndpviewstate" in head


class _Handler:
    """Collects view states while the file is read."""

    def __init__(self) -> None:
        self.drawn: list[Drawn] = []
        self.colors: dict[str, RGB] = {}
        self.numbers = Numbers()
        self.empty = 0
        self._text = ""
        self._state: dict[str, str] = {}
        self._annotation: dict[str, str] | None = None
        self._point: dict[str, str] | None = None
        self._points: list[dict[str, str]] = []
        self._inside = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._text = ""
        if tag == "ndpviewstate":
            self._state, self._annotation, self._points = {"id": attributes.get("id", "")}, None, []
        elif tag == "annotation":
            self._annotation, self._inside = dict(attributes), True
        elif tag == "point":
            self._point = {}

    def text(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        text, self._text = self._text.strip(), ""
        if tag == "point":
            self._points.append(self._point or {})
            self._point = None
        elif self._point is not None:
            self._point[tag] = text
        elif tag == "annotation":
            self._inside = False
        elif tag == "ndpviewstate":
            self._finish()
        elif self._inside and self._annotation is not None:
            self._annotation[tag] = text
        else:
            self._state[tag] = text

    def _finish(self) -> None:
        """Make a shape of the view state that ends; one without a shape is a saved view and no more."""
        if self._annotation is None:
            self.empty += 1
            return
        title = self._state.get("title", "")
        where = f"view state {self._state.get('id') or len(self.drawn)} ({title!r})"
        shape = Drawn(where, title or UNCLASSIFIED, "polygon", [], self._state.get("details", ""))
        try:
            self._place(shape, self._annotation)
        except ValueError as error:
            shape.damage = str(error)
        self.drawn.append(shape)
        color = from_hex(self._annotation.get("color"))
        if color is not None:
            self.colors.setdefault(shape.label, color)

    def _place(self, shape: Drawn, given: Mapping[str, str]) -> None:
        unit = self._state.get("coordformat", NANOMETRES)
        if unit != NANOMETRES:
            raise ValueError(f"coordinates in {unit[:40]!r} instead of {NANOMETRES}")
        kind = given.get("type", "")
        if kind == "freehand":
            self._freehand(shape, given)
        elif kind == "circle":
            radius = self._number(given, "radius")
            shape.kind, shape.parts = "ellipse", [[ellipse(self._xy(given), (radius, radius))]]
        elif kind == "pin":
            shape.kind, shape.parts = "point", [self._xy(given)]
        elif kind in ("pointer", "linearmeasure"):
            shape.kind = "arrow" if kind == "pointer" else "measurement"
            shape.parts = [[self._xy(given, "1"), self._xy(given, "2")]]
        else:
            raise ValueError(f"a shape of unknown type {kind[:40]!r}")

    def _freehand(self, shape: Drawn, given: Mapping[str, str]) -> None:
        points = [self._xy(point) for point in self._points]
        if given.get("closed", "1") == "0":
            shape.kind, shape.parts = "line", [points]
            return
        if given.get("specialtype") == "rectangle":
            shape.kind = "rectangle"
        shape.parts = [[points]]

    def _xy(self, given: Mapping[str, str], which: str = "") -> tuple[float, float]:
        return self._number(given, f"x{which}"), self._number(given, f"y{which}")

    def _number(self, given: Mapping[str, str], name: str) -> float:
        return self.numbers.number(given.get(name, ""), f"<{name}>")


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; coordinates are those of the file, in nanometres.

    Raises
    ------
    AnnotationError
        If it is damaged; names the line or the view state.
    """
    handler = _Handler()
    parse(path, handler, token)
    notes = handler.numbers.notes(path)
    if handler.empty:
        notes.append(f"saved views without a shape were left out: {handler.empty:,}")
    return build_set(handler.drawn, path, colors=handler.colors, notes=notes, token=token)


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write a file that NDP.view opens beside its slide.

    Parameters
    ----------
    annotations : AnnotationSet
        In nanometres.
    path : Path
    token : CancellationToken, optional
        Asked at each shape.
    """
    number = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<annotations>\n')
        for annotation in checked(annotations.annotations, token):
            color = to_hex(annotations.colors[annotation.label]).lower()
            for attributes, body in _shapes(annotation):
                number += 1
                file.write(_state_text(number, annotation))
                file.write(f"<annotation {attributes} color={quoteattr(color)}>{body}</annotation>\n")
                file.write("</ndpviewstate>\n")
        file.write("</annotations>\n" if number else "<!-- no ndpviewstate -->\n</annotations>\n")
    changed = [label for label in annotations.labels() if clean_text(label).strip() != label]
    return tuple(f"the class {label!r} was written as {clean_text(label).strip()!r}" for label in changed)


def _state_text(number: int, annotation: Annotation) -> str:
    title = "" if annotation.label == UNCLASSIFIED else clean_text(annotation.label).strip()
    centre = annotation.geometry.centroid
    return (
        f'<ndpviewstate id="{number}"><title>{escape(title)}</title>'
        f"<details>{escape(clean_text(annotation.name))}</details>"
        f"<coordformat>{NANOMETRES}</coordformat><lens>10</lens>"
        f"<x>{round(centre.x)}</x><y>{round(centre.y)}</y><z>0</z><showtitle>0</showtitle>"
        "<showhistogram>0</showhistogram><showlineprofile>0</showlineprofile>\n"
    )


def _shapes(annotation: Annotation) -> Iterator[tuple[str, str]]:
    """Attributes and content of the elements that stand for one annotation."""
    geometry = annotation.geometry
    circle = ellipse_of(geometry) if annotation.kind == "ellipse" else None
    if circle is not None:
        (x, y), radius = circle.centre, circle.radii[0]
        body = f"<x>{round(x)}</x><y>{round(y)}</y><radius>{round(radius)}</radius>"
        yield 'type="circle" displayname="AnnotateCircle"', f"{body}<measuretype>0</measuretype>"
    elif annotation.is_area:
        box = annotation.kind == "rectangle" and geometry.equals(shapely.box(*geometry.bounds))
        for piece in simple_areas(geometry):
            yield _freehand(corners(piece.exterior), closed=True, rectangle=box)
    elif annotation.kind in ("point", "points"):
        for x, y in points_in(geometry):
            yield 'type="pin" displayname="AnnotatePin"', f"<x>{round(x)}</x><y>{round(y)}</y>"
    else:
        for part in parts_of(geometry):
            yield _line(corners(part), annotation.kind)


def _line(points: Points, kind: str) -> tuple[str, str]:
    if kind not in _TYPE_OF_LINE or len(points) != _LINE_POINTS:
        return _freehand(points, closed=False)
    ends = "".join(
        f"<{axis}{end}>{round(value)}</{axis}{end}>"
        for end, point in enumerate(points, 1)
        for axis, value in zip("xy", point, strict=True)
    )
    return _TYPE_OF_LINE[kind], ends


def _freehand(points: Points, *, closed: bool, rectangle: bool = False) -> tuple[str, str]:
    name = "AnnotateRectangle" if rectangle else "AnnotateFreehand" if closed else "AnnotateFreehandLine"
    listed = "".join(f"<point><x>{round(x)}</x><y>{round(y)}</y></point>" for x, y in points)
    special = "<specialtype>rectangle</specialtype>" if rectangle else ""
    body = f"<measuretype>0</measuretype><closed>{int(closed)}</closed><pointlist>{listed}</pointlist>"
    return f'type="freehand" displayname="{name}"', body + special


FORMAT = AnnotationFormat(
    "Hamamatsu NDPA",
    ANNOTATION_SUFFIXES["ndpa"],
    recognises,
    read,
    write,
    instead={
        "holes": "cut into pieces that have none",
        "areas of several parts": "written as separate ones",
        "ellipses": "written as outlines",
        "turned ellipses": "written as outlines",
        "splines": "written as polygons",
        "lines of several parts": "written as separate ones",
        "point sets": "written as single pins",
        "ids": WITHOUT,
        "measurements": WITHOUT,
        "further details": WITHOUT,
    },
    unit="nm from the middle of the glass",
    step=1.0,
)
