"""Aperio ImageScope's XML and HALO's, which is like it, read; see ``imagescope_writing`` for the other way.

A layer (`Annotation`) is a class; its regions are outlines. A region marked `NegativeROA` is cut out of the
layer's areas that it overlaps. HALO calls a corner `V` and types by words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from napari_nic.annotations import imagescope_writing
from napari_nic.annotations.building import Drawn, build
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.ellipses import ellipse_in_box
from napari_nic.annotations.merging import merged
from napari_nic.annotations.model import AREA_KINDS, Annotation, AnnotationSet, Kind
from napari_nic.annotations.pieces import Points
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.scaling import pair
from napari_nic.annotations.xml_stream import Numbers, parse, root_tag
from napari_nic.colors import RGB
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES
from napari_nic.wording import counted, was_were

_KIND_OF_TYPE: dict[str, Kind] = {
    "0": "polygon",
    "1": "rectangle",
    "2": "ellipse",
    "3": "arrow",
    "4": "measurement",
    "5": "points",
    "polygon": "polygon",
    "rectangle": "rectangle",
    "ellipse": "ellipse",
    "pen": "polygon",
    "freehand": "polygon",
    "arrow": "arrow",
    "line": "line",
    "ruler": "measurement",
    "pin": "points",
    "point": "points",
}
_CORNERS = ("Vertex", "V")
_YES = ("1", "true")
_HALO = re.compile(rb"<V\s|HasEndcaps")


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is ImageScope's."""
    return root_tag(head) == "Annotations" and not recognises_halo(head)


def recognises_halo(head: bytes) -> bool:
    """Whether a file that begins with `head` is HALO's: its corners are `V`, its regions have end caps."""
    return root_tag(head) == "Annotations" and _HALO.search(head) is not None and b"<Vertex" not in head


class _Handler:
    """Collects layers and regions while the file is read."""

    def __init__(self) -> None:
        self.drawn: list[Drawn] = []
        self.layer_of: list[int] = []
        self.negative: list[bool] = []
        self.layers: list[str] = []
        self.colors: list[RGB | None] = []
        self.numbers = Numbers()
        self.unknown_types: set[str] = set()
        self._points: list[tuple[float, float]] = []
        self._damage = ""
        self._type = "0"
        self._in_region = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _CORNERS:
            point, damage = self.numbers.point(attributes, tag)
            self._damage = self._damage or damage
            self._points.append(point or (0.0, 0.0))
        elif tag == "Attribute":
            self._describe(attributes)
        elif tag == "Annotation":
            self.layers.append(attributes.get("Name", "").strip())
            self.colors.append(_color(attributes))
        elif tag == "Region":
            if not self.layers:
                raise ValueError("<Region> outside of <Annotation>")
            if self._in_region:
                raise ValueError("<Region> inside of <Region>")
            self._points, self._damage, self._in_region = [], "", True
            self._type = attributes.get("Type", "0").strip().lower()
            identity, text = attributes.get("Id", ""), attributes.get("Text", "")
            where = f"layer {len(self.layers)}, region {identity or len(self.drawn)}"
            self.drawn.append(Drawn(where, "", "polygon", [], text, identity))
            self.layer_of.append(len(self.layers) - 1)
            self.negative.append(attributes.get("NegativeROA", "").strip().lower() in _YES)

    def _describe(self, attributes: Mapping[str, str]) -> None:
        """Name a nameless layer by its description, where ImageScope's users write the class."""
        if self.layers and not self.layers[-1] and attributes.get("Name") == "Description":
            self.layers[-1] = attributes.get("Value", "").strip()

    def end(self, tag: str) -> None:
        if tag == "Region":
            self._in_region = False
            shape = self.drawn[-1]
            shape.damage = self._damage
            if self._type not in _KIND_OF_TYPE:
                self.unknown_types.add(self._type)
            shape.kind = _KIND_OF_TYPE.get(self._type, "polygon")
            points = self._points
            if shape.kind == "rectangle":
                points = _box(points)
            if shape.kind == "ellipse" and points:
                points = ellipse_in_box(*_ends(points))
            if shape.kind == "points":
                shape.kind = "point" if len(points) == 1 else "points"
                shape.parts = list(points)
            else:
                shape.parts = [[points]] if shape.kind in AREA_KINDS else [points]

    def labels(self) -> list[str]:
        """Label of each layer: its name; where there are several nameless ones, its number."""
        several = len(self.layers) > 1
        return [
            name or (f"Layer {index + 1}" if several else UNCLASSIFIED)
            for index, name in enumerate(self.layers)
        ]


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it is damaged; names the line or the region.
    """
    handler = _Handler()
    parse(path, handler, token)
    labels = handler.labels()
    for shape, layer in zip(handler.drawn, handler.layer_of, strict=True):
        # Which layer it is of goes along until the negative regions are cut out, each of its own layer.
        shape.label, shape.extra = labels[layer], {"layer": layer}
    colors = {label: color for label, color in zip(labels, handler.colors, strict=True) if color is not None}
    holes = [shape for shape, negative in zip(handler.drawn, handler.negative, strict=True) if negative]
    areas = [shape for shape, negative in zip(handler.drawn, handler.negative, strict=True) if not negative]
    positives, negatives = build(areas, path, token), build(holes, path, token)
    notes = positives.notes + negatives.notes + handler.numbers.notes(path)
    if handler.unknown_types:
        notes.append(
            f"regions of unknown types were taken for outlines: {', '.join(sorted(handler.unknown_types))}"
        )
    annotations = _cut(positives.annotations, negatives.annotations, notes, token)
    faults = (*positives.faults, *negatives.faults)
    return AnnotationSet(annotations, colors, path.name, tuple(notes), faults)


def _cut(
    annotations: tuple[Annotation, ...],
    negatives: tuple[Annotation, ...],
    notes: list[str],
    token: CancellationToken | None,
) -> tuple[Annotation, ...]:
    """Subtract negative regions from the areas of their layer; note what they remove whole or miss."""
    result, removed, idle = list(annotations), 0, 0
    areas_of, holes_of = _by_layer(annotations), _by_layer(negatives)
    for layer, hole_numbers in holes_of.items():
        holes = np.array([negatives[n].geometry for n in hole_numbers], object)
        numbers = areas_of.get(layer, [])
        areas = np.array([annotations[n].geometry for n in numbers], object)
        hole, area = shapely.STRtree(areas).query(holes, predicate="intersects")
        idle += len(holes) - len(np.unique(hole))
        order = np.argsort(area, kind="stable")
        touched, starts = np.unique(area[order], return_index=True)
        groups = np.split(holes[hole[order]], starts[1:])  # one, empty, where nothing is touched
        for index, group in checked(zip(touched.tolist(), groups, strict=False), token):
            geometry = shapely.difference(areas[index], merged(group, token=token))
            number = numbers[index]
            result[number] = replace(annotations[number], kind="polygon", geometry=_areas_of(geometry))
            removed += bool(result[number].geometry.is_empty)
    if removed:
        notes.append(
            f"{counted(removed, 'area')} {was_were(removed)} left out: negative regions cover all of it"
        )
    if idle:
        notes.append(f"{counted(idle, 'negative region')} outside of all areas of the layer cut out nothing")
    return tuple(replace(annotation, extra={}) for annotation in result if not annotation.geometry.is_empty)


def _by_layer(annotations: tuple[Annotation, ...]) -> dict[int, list[int]]:
    """Numbers of the areas of each layer."""
    layers: dict[int, list[int]] = {}
    for number, annotation in enumerate(annotations):
        if annotation.is_area:
            layers.setdefault(annotation.extra["layer"], []).append(number)
    return layers


def _areas_of(geometry: shapely.Geometry) -> shapely.Geometry:
    """Leave out the lines and points at which areas only touched."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    return shapely.union_all([part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"])


def _color(attributes: Mapping[str, str]) -> RGB | None:
    """`LineColor` is a packed integer with blue in its high byte."""
    try:
        value = int(attributes.get("LineColor", ""))
    except ValueError:
        return None
    return value & 0xFF, (value >> 8) & 0xFF, (value >> 16) & 0xFF


def _box(points: Points) -> Points:
    if not points:
        return points
    (left, top), (right, bottom) = _ends(points)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _ends(points: Points) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two opposite corners of the box around points."""
    return pair(np.min(points, axis=0)), pair(np.max(points, axis=0))


FORMAT = AnnotationFormat(
    "Aperio ImageScope XML",
    ANNOTATION_SUFFIXES["imagescope"],
    recognises,
    read,
    imagescope_writing.write_imagescope,
    instead=imagescope_writing.IMAGESCOPE_INSTEAD,
)

HALO = AnnotationFormat(
    "HALO XML",
    ANNOTATION_SUFFIXES["halo"],
    recognises_halo,
    read,
    imagescope_writing.write_halo,
    instead=imagescope_writing.HALO_INSTEAD,
    step=1.0,
)
