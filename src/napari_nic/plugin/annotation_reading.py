"""Shapes and points of napari -> AnnotationSet, in level-0 pixels of the slide they lie on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import LineString, Point, Polygon

from napari_nic.annotations import (
    AREA_KINDS,
    KINDS,
    RGB,
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    true_kind,
)
from napari_nic.plugin.annotation_layers import (
    COLUMNS,
    ROW,
    AnnotationTag,
    annotation_tag,
    is_point,
)
from napari_nic.plugin.drawn_shapes import arrow_ends
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
        if tag is not None and tag.home is not None:
            continue  # it is read with the picture that its shapes were lifted from
        source = source or layer.name
        if tag is not None:
            known |= tag.annotations.colors
        place = frame or SlideFrame(None if tag is None else tag.slide)
        if tag is not None and _is_as_noted(layer, tag, place):
            found += tag.annotations.annotations
            continue
        read = _Reader(layer, tag, place)
        shapes = read.found()
        n_flat += read.n_flat
        if tag is not None and tag.lifted is not None:
            lifted = _Reader(tag.lifted, annotation_tag(tag.lifted), place)
            shapes = _with_lifted(shapes, lifted)
            n_flat += lifted.n_flat
        found += [shape.annotation for shape in shapes]
    notes = (f"{counted(n_flat, 'shape')} without extent {was_were(n_flat)} left out",) if n_flat else ()
    return AnnotationSet(tuple(found), known if colors is None else colors, source, notes)


def is_in_place(layer: Layer, frame: SlideFrame) -> bool:
    """Whether a picture of shapes lies on its slide as it was put there."""
    return np.allclose(picture_matrix(layer, frame), np.eye(3), rtol=0, atol=1e-6)


def picture_matrix(layer: Layer, frame: SlideFrame) -> np.ndarray:
    """Return (3, 3) that maps vertices (y, x, 1) under a picture to level-0 pixels."""
    matrix = frame.to_px_matrix(layer)
    matrix[:2, 2] -= matrix[:2, :2] @ (0.5, 0.5)  # a picture counts from the centre of its first pixel
    return matrix


def _is_as_noted(layer: Layer, tag: AnnotationTag, frame: SlideFrame) -> bool:
    """Whether a layer is a picture of all annotations of its tag, as they are there."""
    if tag.view is None or tag.gone or tag.lifted is not None:
        return False
    return len(tag.view.index) == len(tag.annotations) and is_in_place(layer, frame)


def _with_lifted(shapes: list[Found], lifted: _Reader) -> list[Found]:
    """Put shapes that were lifted from a picture where they were among the others; new ones come last."""
    home = {} if lifted.tag is None or lifted.tag.home is None else lifted.tag.home
    above = lifted.found()
    back = [(home[shape.number], shape) for shape in above if shape.number in home]
    numbered = [(shape.number or 0, shape) for shape in shapes]
    fresh = [shape for shape in above if shape.number not in home]
    return [shape for _, shape in sorted(numbered + back, key=lambda pair: pair[0])] + fresh


@dataclass(frozen=True, eq=False)
class Found:
    """An annotation that was read from a layer.

    Attributes
    ----------
    number : int, optional
        Its number in the tag; None for one that was drawn or copied.
    annotation : Annotation
    rows : tuple of int
        The shapes, or points, of the layer that stand for it; none where it is not drawn one by one.
    places : list of ndarray, (n, 2)
        Their vertices in level-0 pixels (y, x).
    value : int
        The number that stands for it in a layer of labels.
    """

    number: int | None
    annotation: Annotation
    rows: tuple[int, ...] = ()
    places: list[np.ndarray] = field(default_factory=list)
    value: int = 0


def read_layer(layer: Layer, frame: SlideFrame) -> list[Found]:
    """Read one layer of annotations; see :func:`annotations_of`.

    Raises
    ------
    AnnotationError
        If it cannot be placed on the slide.
    """
    return _Reader(layer, annotation_tag(layer), frame).found()


@dataclass
class _Reader:
    """Reads one layer."""

    layer: Any
    tag: AnnotationTag | None
    frame: SlideFrame
    n_flat: int = 0

    def found(self) -> list[Found]:
        if hasattr(self.layer, "shape_type"):
            return self._hidden() + self._shapes()
        if hasattr(self.layer, "symbol"):
            return self._points()
        return self._pictured() if self.tag is None or self.tag.labels is None else self._labelled()

    def _hidden(self) -> list[Found]:
        """What the file has and napari cannot draw: nobody can have touched it."""
        if self.tag is None:
            return []
        return [Found(number, self.tag.annotations.annotations[number]) for number in self.tag.hidden]

    def _pictured(self) -> list[Found]:
        """Shapes that are shown as a picture, which the user may have moved as a whole."""
        if self.tag is None:
            return []
        numbered = enumerate(self.tag.annotations.annotations)
        elsewhere = self.tag.gone | self._lifted()
        shapes = [(n, a) for n, a in numbered if not is_point(a) and n not in elsewhere]
        matrix = picture_matrix(self.layer, self.frame)
        if np.allclose(matrix, np.eye(3), rtol=0, atol=1e-6):
            return [Found(number, annotation) for number, annotation in shapes]
        import shapely

        def move(xy: np.ndarray) -> np.ndarray:
            return np.asarray((xy[:, ::-1] @ matrix[:2, :2].T + matrix[:2, 2])[:, ::-1])

        moved = shapely.transform(np.array([a.geometry for _, a in shapes], object), move)
        return [
            Found(n, replace(a, geometry=geometry)) for (n, a), geometry in zip(shapes, moved, strict=True)
        ]

    def _labelled(self) -> list[Found]:
        """What is painted in a layer of labels, an annotation for each number."""
        tag = self.tag
        assert tag is not None and tag.labels is not None  # noqa: S101, PT018 -- only such layers come here
        shown = {value: n for value, n in tag.labels.numbers.items() if n not in tag.gone}
        known = {value: self._original(number).geometry for value, number in shown.items()}
        areas = tag.labels.areas(self.layer.data, picture_matrix(self.layer, self.frame), known)
        found: list[Found] = []
        for value, number in shown.items():
            annotation = self._original(number)
            area = areas.pop(value, annotation.geometry)
            if area is not annotation.geometry:
                extra = _still_true(annotation.extra)
                annotation = replace(annotation, geometry=area, kind="polygon", extra=extra)
            if not area.is_empty:
                found.append(Found(number, annotation, value=value))
        label = tag.labels.class_of_new()
        return found + [
            Found(None, Annotation(label, "polygon", area), value=value)
            for value, area in areas.items()
            if not area.is_empty
        ]

    def _lifted(self) -> set[int]:
        """Numbers of the shapes that another layer shows meanwhile."""
        above = None if self.tag is None or self.tag.lifted is None else annotation_tag(self.tag.lifted)
        return set() if above is None or above.home is None else set(above.home.values())

    def _shapes(self) -> list[Found]:
        rows = _Rows(self.layer.features)
        places = self._places(self.layer.data)
        whole, pieces = self._untouched(rows, places)
        found: list[Found] = []
        seen: set[int | None] = {number for number, _, _ in whole.values()}
        for index, (place, drawn_as) in enumerate(zip(places, self.layer.shape_type, strict=True)):
            if index in pieces:
                continue
            if index in whole:
                number, annotation, all_rows = whole[index]
                shape = _with_texts(annotation, rows.texts(index))
                found.append(Found(number, shape, all_rows, [places[row] for row in all_rows]))
                continue
            shape = _read_shape(place, drawn_as)
            if shape.geometry.is_empty:
                self.n_flat += 1
                continue
            number_or_none = rows.number(index)
            known = None if number_or_none in seen or not self._knows(number_or_none) else number_or_none
            found.append(Found(known, self._edited(shape, place, rows, index, known), (index,), [place]))
            seen.add(number_or_none)
        return found

    def _knows(self, number: int | None) -> bool:
        return number is not None and self.tag is not None and number < len(self.tag.annotations)

    def _edited(
        self, shape: Annotation, place: np.ndarray, rows: _Rows, index: int, number: int | None
    ) -> Annotation:
        """Give a shape what its row says; one that was drawn or copied has no id of its own yet."""
        texts = rows.texts(index)
        kind = texts.pop("kind", "")
        named = KINDS.get(kind)
        if named == "arrow" and (ends := arrow_ends(np.asarray(place))) is not None:
            shape = replace(shape, geometry=LineString(ends[:, ::-1]))
        fits = named is not None and (named in AREA_KINDS) == shape.is_area
        if fits and named is not None and true_kind(named, shape.geometry) == named:
            texts["kind"] = named
        if number is None:
            texts.pop("id", None)
            return replace(shape, **texts)
        return replace(shape, **texts, extra=_still_true(self._original(number).extra))

    def _points(self) -> list[Found]:
        rows = _Rows(self.layer.features)
        places = self.frame.to_px(np.asarray(self.layer.data), self.layer)
        matches = defaultdict(list)
        for index in range(len(places)):
            matches[rows.number(index)].append(index)
        found: list[Found] = []
        done: set[int | None] = set()
        for index, (y, x) in enumerate(places):
            number = rows.number(index)
            texts = rows.texts(index)
            texts.pop("kind", None)
            same = None if number is None else self._shown_as(number, [places[i] for i in matches[number]])
            if same is not None:
                if number not in done:
                    kept = tuple(matches[number])
                    found.append(Found(number, _with_texts(same, texts), kept, [places[i] for i in kept]))
                    done.add(number)
                continue
            known = None if number in done or not self._knows(number) else number
            if known is None:
                texts.pop("id", None)
            done.add(number)
            point = replace(Annotation(UNCLASSIFIED, "point", Point(x, y)), **texts)
            found.append(Found(known, point, (index,), [places[index]]))
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

    def _untouched(
        self, rows: _Rows, places: list[np.ndarray]
    ) -> tuple[dict[int, tuple[int, Annotation, tuple[int, ...]]], set[int]]:
        """Return which shapes stand for a whole annotation that nobody moved, and their further pieces."""
        whole: dict[int, tuple[int, Annotation, tuple[int, ...]]] = {}
        pieces: set[int] = set()
        by_number = defaultdict(list)
        for index in range(len(places)):
            number = rows.number(index)
            if number is not None:
                by_number[number].append(index)
        for number, indices in by_number.items():
            count = len(self.tag.shown.get(number, ())) if self.tag is not None else 0
            first = indices[:count]
            same = self._shown_as(number, [places[i] for i in first]) if count else None
            if same is not None:
                whole[first[0]] = number, same, tuple(first)
                pieces.update(first[1:])
        return whole, pieces

    def _shown_as(self, number: int, places: list[np.ndarray]) -> Annotation | None:
        """Return the annotation that is shown with these vertices, as it is now or as it was read."""
        if self.tag is None:
            return None
        if _are_same(self.tag.shown.get(number, ()), places):
            return self._original(number)
        shown, annotation = self.tag.first.get(number, ((), None))
        return annotation if annotation is not None and _are_same(shown, places) else None


def _are_same(shown: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> bool:
    return len(shown) == len(places) > 0 and all(
        ours is theirs or (ours.shape == theirs.shape and bool((np.abs(ours - theirs) <= SAME_PX).all()))
        for ours, theirs in zip(shown, places, strict=True)
    )


class _Rows:
    """The table of features, column by column: pandas takes long to look up single cells."""

    def __init__(self, table: Any) -> None:
        self._columns = {key: list(table[key]) for key in (*COLUMNS, ROW) if key in table}

    def number(self, index: int) -> int | None:
        """Return the number of the annotation of the file that a shape shows; None for one that was drawn."""
        value = str(self._columns[ROW][index]) if ROW in self._columns else ""
        return int(value) if value.isdigit() else None

    def texts(self, index: int) -> dict[str, Any]:
        """Return what a row says of a shape; nothing for a shape that the user has just drawn."""
        values = {key: self._columns[key][index] for key in COLUMNS if key in self._columns}
        texts = {key: value for key, value in values.items() if isinstance(value, str) and value}
        if "label" in self._columns:
            texts.setdefault("label", UNCLASSIFIED)
        return texts


def _with_texts(annotation: Annotation, texts: dict[str, Any]) -> Annotation:
    """Give an annotation what its row says; the same one if that is what it is."""
    changed = {key: value for key, value in texts.items() if getattr(annotation, key) != value}
    return replace(annotation, **changed) if changed else annotation


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
        area = _ellipse(place)
        return Annotation(UNCLASSIFIED, true_kind("ellipse", area), area)
    shape = Annotation(UNCLASSIFIED, "polygon", from_loop(place))
    return replace(shape, kind=true_kind("rectangle", shape.geometry)) if drawn_as == "rectangle" else shape


def _ellipse(corners: np.ndarray) -> Polygon:
    """Follow an ellipse that napari holds as the corners (4, 2) of its box; also one that was sheared."""
    centre = corners.mean(axis=0)
    half_a, half_b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
    outline = centre + np.cos(angle) * half_a + np.sin(angle) * half_b
    area = Polygon(outline[:, ::-1])
    return area if area.area > 0 else Polygon()
