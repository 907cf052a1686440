"""Aperio ImageScope's XML, read only.

A layer (`Annotation`) is a class; its regions are outlines. A region marked `NegativeROA` is cut out of the
layer's areas that it overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from napari_nic.annotations.building import Drawn, build
from napari_nic.annotations.colors import RGB, UNCLASSIFIED
from napari_nic.annotations.model import Annotation, AnnotationSet, Kind
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.xml_stream import parse, root_tag, xy

_KIND_OF_TYPE: dict[str, Kind] = {
    "0": "polygon",
    "1": "rectangle",
    "2": "polygon",
    "3": "line",
    "4": "measurement",
    "5": "points",
}
_ELLIPSE = "2"
ELLIPSE_CORNERS = 72
"""An ellipse is given by its box and drawn with so many corners: within 0.1 % of its area."""


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is ImageScope's."""
    return root_tag(head) == "Annotations"


class _Handler:
    """Collects layers and regions while the file is read."""

    def __init__(self) -> None:
        self.drawn: list[Drawn] = []
        self.layer_of: list[int] = []
        self.negative: list[bool] = []
        self.layers: list[str] = []
        self.colors: list[RGB | None] = []
        self._points: list[tuple[float, float]] = []
        self._type = "0"

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Vertex":
            self._points.append(xy(attributes, tag))
        elif tag == "Annotation":
            self.layers.append(attributes.get("Name", "").strip())
            self.colors.append(_color(attributes))
        elif tag == "Region":
            if not self.layers:
                raise ValueError("<Region> outside of <Annotation>")
            self._points, self._type = [], attributes.get("Type", "0")
            identity, text = attributes.get("Id", ""), attributes.get("Text", "")
            where = f"layer {len(self.layers)}, region {identity or len(self.drawn)}"
            self.drawn.append(Drawn(where, "", "polygon", [], text, identity))
            self.layer_of.append(len(self.layers) - 1)
            self.negative.append(attributes.get("NegativeROA") == "1")

    def end(self, tag: str) -> None:
        if tag == "Region":
            shape = self.drawn[-1]
            shape.kind = _KIND_OF_TYPE.get(self._type, "polygon")
            points = _ellipse(self._points) if self._type == _ELLIPSE else self._points
            if shape.kind == "rectangle":
                points = _box(points)
            if shape.kind == "points":
                shape.kind = "point" if len(points) == 1 else "points"
                shape.parts = list(points)
            else:
                shape.parts = [points] if shape.kind in ("line", "measurement") else [[points]]

    def labels(self) -> list[str]:
        """Label of each layer: its name; where there are several nameless ones, its number."""
        several = len(self.layers) > 1
        return [
            name or (f"Layer {index + 1}" if several else UNCLASSIFIED)
            for index, name in enumerate(self.layers)
        ]


def read(path: Path) -> AnnotationSet:
    """Read a file; see the module's text.

    Raises
    ------
    AnnotationError
        If it is damaged; names the line or the region.
    """
    handler = _Handler()
    parse(path, handler)
    labels = handler.labels()
    for shape, layer in zip(handler.drawn, handler.layer_of, strict=True):
        shape.label = labels[layer]
    colors = {label: color for label, color in zip(labels, handler.colors, strict=True) if color is not None}
    holes = [shape for shape, negative in zip(handler.drawn, handler.negative, strict=True) if negative]
    areas = [shape for shape, negative in zip(handler.drawn, handler.negative, strict=True) if not negative]
    annotations, notes = build(areas, path)
    negatives, hole_notes = build(holes, path)
    return AnnotationSet(_cut(annotations, negatives), colors, path.name, tuple(notes + hole_notes))


def _cut(annotations: tuple[Annotation, ...], negatives: tuple[Annotation, ...]) -> tuple[Annotation, ...]:
    """Subtract negative regions from the areas of their layer."""
    if not negatives:
        return annotations
    result = []
    for annotation in annotations:
        holes = [hole.geometry for hole in negatives if hole.label == annotation.label and hole.is_area]
        if annotation.is_area and holes:
            rest = annotation.geometry.difference(shapely.union_all(holes))
            if rest.is_empty:
                continue
            result.append(replace(annotation, kind="polygon", geometry=rest))
        else:
            result.append(annotation)
    return tuple(result)


def _color(attributes: Mapping[str, str]) -> RGB | None:
    """`LineColor` is a packed integer with blue in its high byte."""
    try:
        value = int(attributes.get("LineColor", ""))
    except ValueError:
        return None
    return value & 0xFF, (value >> 8) & 0xFF, (value >> 16) & 0xFF


def _box(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if not points:
        return points
    left, top = np.min(points, axis=0)
    right, bottom = np.max(points, axis=0)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _ellipse(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Draw the ellipse that fills the box of the points."""
    if not points:
        return points
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    angle = np.arange(ELLIPSE_CORNERS) * (2 * np.pi / ELLIPSE_CORNERS)
    ring = (low + high) / 2 + np.stack([np.cos(angle), np.sin(angle)], axis=1) * (high - low) / 2
    return [(float(x), float(y)) for x, y in ring]


FORMAT = AnnotationFormat("Aperio ImageScope XML", (".xml",), recognises, read)
