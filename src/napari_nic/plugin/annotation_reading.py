"""Shapes and points of napari -> AnnotationSet, in level-0 pixels of the slide they lie on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import LineString, Point, Polygon

from napari_nic.annotations import AREA_KINDS, RGB, UNCLASSIFIED, Annotation, AnnotationSet, Kind
from napari_nic.plugin.annotation_layers import (
    COLUMNS,
    ROW,
    AnnotationTag,
    annotation_tag,
    is_point,
)
from napari_nic.plugin.outlines import from_loop
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.wording import counted, was_were

if TYPE_CHECKING:
    from napari.layers import Layer

SAME_PX = 1e-3
"""Vertices that moved by less were not moved: napari keeps some of them in single precision."""

ELLIPSE_CORNERS = 128


def annotations_of(
    layers: Iterable[Layer], frame: SlideFrame | None = None, colors: Mapping[str, RGB] | None = None
) -> AnnotationSet:
    """Read back shapes and points layers as they are on the screen; what has no class is unclassified.

    Parameters
    ----------
    layers : iterable of napari layers
        Shapes, points, and the pictures that stand for very many shapes.
    frame : SlideFrame, optional
        Of the slide they belong to; by default the slide of each layer's tag, where it was put.
    colors : mapping, optional
        Of the classes; by default those of the files.

    Raises
    ------
    AnnotationError
        If a layer cannot be placed on the slide.
    """
    found: list[Annotation] = []
    known: dict[str, RGB] = {}
    source, n_flat = "", 0
    for layer in layers:
        tag = annotation_tag(layer)
        source = source or layer.name
        if tag is not None:
            known |= tag.annotations.colors
        read = _Reader(layer, tag, frame or SlideFrame(None if tag is None else tag.slide))
        found += read.annotations()
        n_flat += read.n_flat
    notes = (f"{counted(n_flat, 'shape')} without extent {was_were(n_flat)} left out",) if n_flat else ()
    return AnnotationSet(tuple(found), known if colors is None else colors, source, notes)


@dataclass
class _Reader:
    """Reads one layer."""

    layer: Any
    tag: AnnotationTag | None
    frame: SlideFrame
    n_flat: int = 0

    def annotations(self) -> list[Annotation]:
        if hasattr(self.layer, "shape_type"):
            return self._hidden() + self._shapes()
        if hasattr(self.layer, "symbol"):
            return self._points()
        return self._pictured()

    def _hidden(self) -> list[Annotation]:
        """What the file has and napari cannot draw: nobody can have touched it."""
        if self.tag is None:
            return []
        return [self.tag.annotations.annotations[number] for number in self.tag.hidden]

    def _pictured(self) -> list[Annotation]:
        """Shapes that are shown as a picture, which the user may have moved as a whole."""
        if self.tag is None:
            return []
        shapes = [a for a in self.tag.annotations.annotations if not is_point(a)]
        matrix = self.frame.to_px_matrix(self.layer)
        matrix[:2, 2] -= matrix[:2, :2] @ (0.5, 0.5)  # a picture counts from the centre of its first pixel
        if np.allclose(matrix, np.eye(3), rtol=0, atol=1e-6):
            return shapes
        import shapely

        def move(xy: np.ndarray) -> np.ndarray:
            return np.asarray((xy[:, ::-1] @ matrix[:2, :2].T + matrix[:2, 2])[:, ::-1])

        moved = shapely.transform(np.array([a.geometry for a in shapes], object), move)
        return [replace(a, geometry=geometry) for a, geometry in zip(shapes, moved, strict=True)]

    def _shapes(self) -> list[Annotation]:
        rows = self.layer.features.reset_index(drop=True)
        places = self._places(self.layer.data)
        whole, pieces = self._untouched(rows, places)
        found: list[Annotation] = []
        seen: set[int | None] = set(whole.values())
        for index, (place, drawn_as) in enumerate(zip(places, self.layer.shape_type, strict=True)):
            if index in pieces:
                continue
            if index in whole:
                found.append(replace(self._original(whole[index]), **_texts(rows, index)))
                continue
            shape = _read_shape(place, drawn_as)
            if shape.geometry.is_empty:
                self.n_flat += 1
                continue
            number = _number(rows, index)
            found.append(self._edited(shape, rows, index, None if number in seen else number))
            seen.add(number)
        return found

    def _edited(self, shape: Annotation, rows: Any, index: int, number: int | None) -> Annotation:
        """Give a shape what its row says; one that was drawn or copied has no id of its own yet."""
        texts = _texts(rows, index)
        kind = texts.pop("kind", "")
        if kind and (kind in AREA_KINDS) == shape.is_area and (kind != "rectangle" or _is_upright(shape)):
            texts["kind"] = kind
        if number is None or self.tag is None or number >= len(self.tag.annotations):
            texts.pop("id", None)
            return replace(shape, **texts)
        return replace(shape, **texts, extra=_still_true(self._original(number).extra))

    def _points(self) -> list[Annotation]:
        rows = self.layer.features.reset_index(drop=True)
        places = self.frame.to_px(np.asarray(self.layer.data), self.layer)
        matches = defaultdict(list)
        for index in range(len(places)):
            matches[_number(rows, index)].append(index)
        found: list[Annotation] = []
        done: set[int | None] = set()
        for index, (y, x) in enumerate(places):
            number = _number(rows, index)
            texts = _texts(rows, index)
            texts.pop("kind", None)
            if number is not None and self._are_shown(number, [places[i] for i in matches[number]]):
                if number not in done:
                    found.append(replace(self._original(number), **texts))
                    done.add(number)
                continue
            if number is None or number in done:
                texts.pop("id", None)
            done.add(number)
            found.append(replace(Annotation(UNCLASSIFIED, "point", Point(x, y)), **texts))
        return found

    def _original(self, number: int) -> Annotation:
        assert self.tag is not None  # noqa: S101 -- for the type checker: only numbers of a tag come here
        return self.tag.annotations.annotations[number]

    def _places(self, data: Any) -> list[np.ndarray]:
        """Vertices of each shape in level-0 pixels, (n, 2) as (y, x)."""
        arrays = [np.atleast_2d(np.asarray(vertices, np.float64)) for vertices in data]
        if not arrays:
            return []
        placed = self.frame.to_px(np.concatenate(arrays), self.layer)
        return np.split(placed, np.cumsum([len(vertices) for vertices in arrays])[:-1])

    def _untouched(self, rows: Any, places: list[np.ndarray]) -> tuple[dict[int, int], set[int]]:
        """Return which shapes stand for a whole annotation that nobody moved, and their further pieces."""
        whole: dict[int, int] = {}
        pieces: set[int] = set()
        by_number = defaultdict(list)
        for index in range(len(places)):
            number = _number(rows, index)
            if number is not None:
                by_number[number].append(index)
        for number, indices in by_number.items():
            count = len(self.tag.shown.get(number, ())) if self.tag is not None else 0
            if count and self._are_shown(number, [places[i] for i in indices[:count]]):
                whole[indices[0]] = number
                pieces.update(indices[1:count])
        return whole, pieces

    def _are_shown(self, number: int, places: list[np.ndarray]) -> bool:
        """Whether vertices are those that an annotation was shown with."""
        shown = self.tag.shown.get(number, ()) if self.tag is not None else ()
        return len(shown) == len(places) > 0 and all(
            ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=0, atol=SAME_PX)
            for ours, theirs in zip(shown, places, strict=True)
        )


def _number(rows: Any, index: int) -> int | None:
    """Return the number of the annotation of the file that a shape shows; None for one that was drawn."""
    value = rows[ROW].iloc[index] if ROW in rows else ""
    return int(value) if str(value).isdigit() else None


def _texts(rows: Any, index: int) -> dict[str, Any]:
    """What a row says of a shape; nothing for a shape that the user has just drawn."""
    values = {key: rows[key].iloc[index] for key in COLUMNS if key in rows}
    texts = {key: value for key, value in values.items() if isinstance(value, str) and value}
    if "label" in rows:
        texts.setdefault("label", UNCLASSIFIED)
    return texts


def _still_true(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a file said of a shape and stays true when it is drawn anew: no measurements, no nucleus."""
    kept = {key: value for key, value in extra.items() if key != "nucleusGeometry"}
    if "properties" in kept:
        kept["properties"] = {key: v for key, v in kept["properties"].items() if key != "measurements"}
    return kept


def _read_shape(place: np.ndarray, drawn_as: str) -> Annotation:
    if drawn_as in ("line", "path"):
        line = LineString(place[:, ::-1]) if (place != place[0]).any() else LineString()
        return Annotation(UNCLASSIFIED, "line", line)
    if drawn_as == "ellipse":
        return Annotation(UNCLASSIFIED, "polygon", _ellipse(place))
    shape = Annotation(UNCLASSIFIED, "polygon", from_loop(place))
    kind: Kind = "rectangle" if drawn_as == "rectangle" and _is_upright(shape) else "polygon"
    return replace(shape, kind=kind)


def _is_upright(shape: Annotation) -> bool:
    """Whether an area fills its box: a rectangle that was turned or edited is a polygon."""
    left, top, right, bottom = shape.geometry.bounds
    full = (right - left) * (bottom - top)
    return bool(shape.geometry.area >= full * (1 - 1e-9))


def _ellipse(corners: np.ndarray) -> Polygon:
    """Follow an ellipse that napari holds as the corners (4, 2) of its box; also one that was sheared."""
    centre = corners.mean(axis=0)
    half_a, half_b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
    outline = centre + np.cos(angle) * half_a + np.sin(angle) * half_b
    area = Polygon(outline[:, ::-1])
    return area if area.area > 0 else Polygon()
