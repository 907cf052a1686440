"""ASAP's XML, both ways.

A group is a class; "None" stands for no group. ASAP has no holes and no outlines of several parts: an area
with holes is cut into pieces without any, which cover exactly the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, count
from operator import itemgetter
from pathlib import Path
from xml.sax.saxutils import quoteattr

from napari_nic.annotations.building import Drawn, build
from napari_nic.annotations.carrying import WITHOUT
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.model import Annotation, AnnotationSet, Kind
from napari_nic.annotations.pieces import Points, corners, parts_of, points_in, simple_areas
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.xml_stream import Numbers, clean_text, need, parse, root_tag
from napari_nic.colors import RGB, from_hex, to_hex
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted

NO_GROUP = "None"

_KIND_OF_TYPE: dict[str, Kind] = {
    "Polygon": "polygon",
    "Spline": "spline",
    "Rectangle": "rectangle",
    "Dot": "points",
    "PointSet": "points",
    "Measurement": "measurement",
}
_TYPE_OF_AREA = {"polygon": "Polygon", "spline": "Spline", "rectangle": "Rectangle"}
_AREA_CORNERS, _LINE_POINTS = 3, 2


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is ASAP's."""
    return root_tag(head) == "ASAP_Annotations"


class _Handler:
    """Collects annotations and groups while the file is read."""

    def __init__(self) -> None:
        self.drawn: list[Drawn] = []
        self.group_colors: dict[str, RGB] = {}
        self.groups: set[str] = set()
        self.odd_types: set[str] = set()
        self.numbers = Numbers()
        self._open: Drawn | None = None
        self._type = ""
        self._points: list[tuple[float, float]] = []
        self._orders: list[str | None] = []
        self._damage = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Coordinate":
            point, damage = self.numbers.point(attributes, tag)
            self._damage = self._damage or damage
            self._points.append(point or (0.0, 0.0))
            self._orders.append(attributes.get("Order"))
        elif tag == "Annotation":
            if self._open is not None:
                raise ValueError("<Annotation> inside of <Annotation>")
            group = attributes.get("PartOfGroup", NO_GROUP)
            name = attributes.get("Name", "")
            self._type = attributes.get("Type", NO_GROUP)
            label = UNCLASSIFIED if group == NO_GROUP else group
            where = f"annotation {len(self.drawn)} ({name!r})"
            self._open = Drawn(where, label, "polygon", [], name)
            self._points, self._orders, self._damage = [], [], ""
        elif tag == "Group":
            group = need(attributes, "Name", tag)
            self.groups.add(group)
            color = from_hex(attributes.get("Color"))
            if color is not None:
                self.group_colors[group] = color

    def end(self, tag: str) -> None:
        if tag == "Annotation" and self._open is not None:
            points = self._ordered_points()
            self._open.damage = self._damage
            self._open.kind = _kind(self._type, len(points))
            if self._type not in _KIND_OF_TYPE and self._type != NO_GROUP:
                self.odd_types.add(self._type)
            self._open.parts = _parts(self._open.kind, points)
            self.drawn.append(self._open)
            self._open = None

    def _ordered_points(self) -> list[tuple[float, float]]:
        """Points by their order; as they are where one has none."""
        if self._orders == _counted(len(self._orders)) or None in self._orders:
            return self._points
        try:
            ranks = [float(order) for order in self._orders if order is not None]
        except ValueError as error:
            self._damage = self._damage or f"<Coordinate> whose Order is no number: {error}"
            return self._points
        return [point for _, point in sorted(zip(ranks, self._points, strict=True), key=itemgetter(0))]


@lru_cache(maxsize=256)
def _counted(n: int) -> list[str]:
    """The orders that nearly all shapes have: "0", "1", ..."""
    return [str(order) for order in range(n)]


def _kind(type_name: str, n_points: int) -> Kind:
    """Our kind of ASAP's type; a type that is "None" or unknown is told by the number of points."""
    kind = _KIND_OF_TYPE.get(type_name)
    if kind is None:
        kind = "polygon" if n_points >= _AREA_CORNERS else "line" if n_points == _LINE_POINTS else "points"
    return "point" if kind == "points" and n_points == 1 else kind


def _parts(kind: Kind, points: list[tuple[float, float]]) -> list[object]:
    if kind in ("point", "points"):
        return list(points)
    return [points] if kind in ("line", "measurement") else [[points]]


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it is damaged; names the line or the annotation.
    """
    handler = _Handler()
    parse(path, handler, token)
    built = build(handler.drawn, path, token)
    annotations, notes = built.annotations, built.notes
    notes += handler.numbers.notes(path)
    if handler.odd_types:
        odd = ", ".join(sorted(handler.odd_types))
        notes.append(f"shapes of unknown types were taken for what their number of points allows: {odd}")
    labels = {annotation.label for annotation in annotations} - {UNCLASSIFIED}
    unknown = sorted(labels - handler.groups)
    if unknown:
        notes.append(f"groups that the file does not declare: {', '.join(unknown)}")
    return AnnotationSet(annotations, handler.group_colors, path.name, tuple(notes), built.faults)


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write a file that ASAP opens.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.

    Returns
    -------
    tuple of str
        What had to be written differently, because XML or ASAP does not know it.
    """
    written = 0
    groups = _group_names(annotations)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations>\n')
        for annotation in checked(annotations.annotations, token):
            name = clean_text(annotation.name)
            color = annotations.colors[annotation.label]
            for kind, points in _pieces(annotation):
                head = (name or f"Annotation {written}", kind, groups[annotation.label], color)
                file.write(_shape_text(head, points))
                written += 1
        file.write("\t</Annotations>\n\t<AnnotationGroups>\n")
        file.writelines(_group_texts(annotations, groups))
        file.write("\t</AnnotationGroups>\n</ASAP_Annotations>\n")
    return tuple(_text_notes(annotations, groups))


def _group_names(annotations: AnnotationSet) -> dict[str, str]:
    """Return the group of each label: its own name as far as XML and ASAP allow, and no two the same."""
    groups, taken = {UNCLASSIFIED: NO_GROUP}, {NO_GROUP}
    # Names that need no change keep it, whatever comes before them.
    for label in sorted(annotations.labels(), key=lambda label: clean_text(label) != label):
        if label == UNCLASSIFIED:
            continue
        plain = clean_text(label)
        candidates = chain([plain], (f"{plain} ({number})" for number in count(2)))
        groups[label] = next(name for name in candidates if name not in taken)
        taken.add(groups[label])
    return groups


def _text_notes(annotations: AnnotationSet, groups: Mapping[str, str]) -> list[str]:
    notes = [
        f"the class {label!r} was written as {group!r}"
        for label, group in groups.items()
        if label not in (group, UNCLASSIFIED)
    ]
    n_names = sum(clean_text(a.name) != a.name for a in annotations.annotations)
    if n_names:
        notes.append(
            f"characters that XML cannot hold were replaced in the names of {counted(n_names, 'shape')}"
        )
    return notes


def _shape_text(head: tuple[str, str, str, RGB], points: list[tuple[float, float]]) -> str:
    """Write one shape; `head` is its name, ASAP's type, the group and the colour."""
    name, kind, group, color = head
    opening = (
        f"\t\t<Annotation Name={quoteattr(name)} Type={quoteattr(kind)} PartOfGroup={quoteattr(group)}"
        f" Color={quoteattr(to_hex(color))}>\n\t\t\t<Coordinates>\n"
    )
    body = [
        f'\t\t\t\t<Coordinate Order="{order}" X="{x!r}" Y="{y!r}" />\n' for order, (x, y) in enumerate(points)
    ]
    return "".join([opening, *body, "\t\t\t</Coordinates>\n\t\t</Annotation>\n"])


def _group_texts(annotations: AnnotationSet, groups: Mapping[str, str]) -> Iterator[str]:
    # Every group must be declared: at an unknown one ASAP drops the whole file.
    for label in annotations.labels():
        if label != UNCLASSIFIED:
            color = quoteattr(to_hex(annotations.colors[label]))
            name = quoteattr(groups[label])
            yield f'\t\t<Group Name={name} PartOfGroup="{NO_GROUP}" Color={color}>\n'
            yield "\t\t\t<Attributes />\n\t\t</Group>\n"


def _pieces(annotation: Annotation) -> list[tuple[str, Points]]:
    """(ASAP type, points) of the shapes that stand for one annotation."""
    geometry = annotation.geometry
    if annotation.is_area:
        simple = simple_areas(geometry)
        type_name = _TYPE_OF_AREA[annotation.kind] if len(simple) == 1 else "Polygon"
        return [(type_name, corners(piece.exterior)) for piece in simple]
    if annotation.kind in ("point", "points"):
        points = points_in(geometry)
        return [("Dot" if len(points) == 1 else "PointSet", points)]
    lines = [corners(part) for part in parts_of(geometry)]
    return [("Measurement" if len(line) == _LINE_POINTS else "PointSet", line) for line in lines]


INSTEAD = {
    "holes": "cut into pieces that have none",
    "areas of several parts": "written as separate ones",
    "circles": "written as polygons",
    "ellipses": "written as polygons",
    "turned ellipses": "written as polygons",
    "lines": "written as measurements, those of more than two points as point sets",
    "lines of several parts": "written as separate ones",
    "arrows": "written as measurements",
    "ids": WITHOUT,
    "measurements": WITHOUT,
    "further details": WITHOUT,
}

FORMAT = AnnotationFormat("ASAP XML", ANNOTATION_SUFFIXES["asap"], recognises, read, write, instead=INSTEAD)
