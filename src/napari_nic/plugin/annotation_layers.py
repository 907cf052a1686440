"""AnnotationSet -> napari shapes, points, or a picture of outlines; level-0 pixels, corner-based.

:mod:`~napari_nic.plugin.annotation_reading` leads back.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry import MultiPoint, Point

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.annotations.frames import beyond_notes
from napari_nic.editing import ObjectsRead
from napari_nic.jobs import CancellationToken
from napari_nic.outlines import OutlineIndex
from napari_nic.outlines.cache import Content
from napari_nic.plugin.drawn_shapes import drawn_as
from napari_nic.plugin.label_objects import LabelObjects
from napari_nic.plugin.layers import (
    METADATA_KEY,
    LayerData,
    LayerTag,
    annotation_frame,
    tag_of,
)
from napari_nic.plugin.outline_view import OutlineView
from napari_nic.slides import Slide
from napari_nic.wording import counted, was_were

if TYPE_CHECKING:
    from napari.layers import Layer

MAX_SHAPES = 2_000
"""Above this many, napari's shapes take seconds to build and to pan; pictures of them are shown."""

EDGE_OF_SLIDE = 1 / 350
"""Width of outlines as a share of the slide's longer side: two to three pixels when all of it is shown."""

EDGE_OF_SHAPE = 1 / 15
"""But no wider than this share of the middle one of the shapes, so that outlines of nuclei stay outlines."""

POINT_PX, POINT_OF_SLIDE = 10.0, 1 / 200
"""Diameter of a point: in level-0 pixels at least, and as a share of the slide's longer side."""

POINT_SCREEN_PX = (9, 10_000)
"""Diameters of points on the screen: they are seen where all of a slide is."""

FACE_ALPHA = 0.12
"""Areas are tinted just enough to be told apart; what lies under them is what matters."""

COLUMNS = ("label", "name", "id", "kind")
ROW = "row"
"""Features of the layers, and the number of the annotation that a shape shows; what the user draws has none
of them yet."""


@dataclass(eq=False)
class AnnotationTag(LayerTag):
    """The tag of a layer of annotations.

    Attributes
    ----------
    annotations : AnnotationSet
        As they were read. Shapes that nobody touched are read back as these, whole and exact; so are all of
        them if they are too many to be shown as shapes.
    path : Path, optional
        The file.
    shown : dict of int to list of ndarray
        The vertices (n, 2) that stand for an annotation, by its number.
    hidden : tuple of int
        Numbers of the annotations that napari cannot draw.
    told : bool
        Whether the user knows the notes.
    view : OutlineView, optional
        Shows the shapes where they are too many for napari's; its ids are the numbers of the annotations.
    lifted : napari Shapes, optional
        The layer in which some of the shapes of a view are edited meanwhile; it has a tag of its own.
    home : dict of int to int, optional
        Of the tag of such a layer: by its own numbers, those in the tag that they were lifted from.
    keeps_place : bool
        Whether the layer came with a place of its own, where it stays whatever the slide's pixel size is.
    ids : list of str
        By number, the objects of the slide's document that the annotations are; empty before they are in it.
    prepared : ObjectsRead, optional
        Objects of many annotations, made beside the window.
    content : Content, optional
        Of the file as it was read, where that is known.
    gone : set of int
        Numbers of the annotations that were taken away.
    first : dict of int to (list of ndarray, Annotation)
        How an annotation that was edited was shown, and what it was, as it was read.
    is_drawn : bool
        Whether the layer was made for what was drawn just now, and read from nowhere.
    key : str
        Tells its layers from others of their name, also when the slide is opened again.
    is_restored : bool
        Whether it shows what was kept of an earlier session, and not what its file holds.
    labels : LabelObjects, optional
        Of a layer of labels that is painted in: which annotation each of its numbers is.
    """

    annotations: AnnotationSet = field(default_factory=AnnotationSet)
    path: Path | None = None
    shown: dict[int, list[np.ndarray]] = field(default_factory=dict)
    hidden: tuple[int, ...] = ()
    told: bool = False
    view: OutlineView | None = None
    lifted: Layer | None = None
    home: dict[int, int] | None = None
    keeps_place: bool = False
    ids: list[str] = field(default_factory=list)
    prepared: ObjectsRead | None = None
    content: Content | None = None
    gone: set[int] = field(default_factory=set)
    first: dict[int, tuple[list[np.ndarray], Annotation]] = field(default_factory=dict)
    is_drawn: bool = False
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_restored: bool = False
    labels: LabelObjects | None = None

    @property
    def is_summary(self) -> bool:
        """Whether shapes are shown as a picture."""
        drawn = (a for a in self.annotations.annotations if not is_point(a))
        return next(islice(drawn, MAX_SHAPES, None), None) is not None

    def notes(self) -> tuple[str, ...]:
        """What the user is to know of how they are shown, after what the reader had to say."""
        notes = list(self.annotations.notes)
        if len(self.annotations) == 0:
            notes.append(f"{self.name} holds no shapes")
        if self.is_summary:
            notes.append(
                f"{counted(len(self.annotations), 'shape')} of {self.name} are drawn as one picture, since "
                f"there are more than {MAX_SHAPES:,}; from far, small ones are shaded by how much they cover"
            )
        if self.hidden:
            number = len(self.hidden)
            names = ", ".join(f"number {hidden + 1}" for hidden in self.hidden[:5])
            notes.append(
                f"{counted(number, 'shape')} of {self.name} {was_were(number)} not drawn: napari cannot, "
                f"but will be saved: {names}"
            )
        if self.slide is not None:
            shape = self.slide.levels[0].shape
            notes += beyond_notes(self.annotations, shape, "only what lies on it is shown")
        return tuple(notes)


def annotation_tag(layer: Layer) -> AnnotationTag | None:
    """Return the tag of a layer of annotations, None for any other."""
    tag = tag_of(layer)
    return tag if isinstance(tag, AnnotationTag) else None


def is_point(annotation: Annotation) -> bool:
    """Whether an annotation is shown as points."""
    return isinstance(annotation.geometry, Point | MultiPoint)


def annotation_layers(
    annotations: AnnotationSet,
    slide: Slide | None,
    name: str,
    path: Path | None = None,
    *,
    token: CancellationToken | None = None,
) -> list[LayerData]:
    """Show annotations: areas and lines as shapes, points as points, each with its class colour.

    What lies beyond the slide is not shown, but read back all the same unless its shape is edited.

    Parameters
    ----------
    annotations : AnnotationSet
    slide : Slide or None
        What they lie on; None shows them in pixels.
    name : str
        Of the layer.
    path : Path, optional
        The file that they were read from.
    token : CancellationToken, optional
        Asked now and then where they are very many.

    Returns
    -------
    list of layer data
        At most one layer of shapes, or a picture of them, and one of points. Their tag's
        :meth:`AnnotationTag.notes` are to be told.
    """
    are_points = _are_points(geometries_of(annotations))
    points = [(n, annotations.annotations[n]) for n in np.flatnonzero(are_points).tolist()]
    n_shapes = len(are_points) - len(points)
    tag = AnnotationTag("annotations", slide, name, annotations=annotations, path=path)
    base = {"metadata": {METADATA_KEY: tag}, **annotation_frame(slide)}
    layers = []
    if tag.is_summary:
        layers.append(_picture_layer(tag, token))
    elif n_shapes or not points:
        shapes = [(n, annotations.annotations[n]) for n in np.flatnonzero(~are_points).tolist()]
        layers.append(_shapes_layer(shapes, tag, base | {"name": name}))
    if points:
        title = f"{name} (points)" if n_shapes else name
        layers.append(_points_layer(points, tag, base | {"name": title}))
    return layers


def empty_layer(tag: AnnotationTag, *, points: bool) -> LayerData:
    """Return a layer of a tag that shows none of its annotations yet: shapes, or points beside its shapes."""
    name = f"{tag.name} (points)" if points else tag.name
    base = {"metadata": {METADATA_KEY: tag}, **annotation_frame(tag.slide), "name": name}
    return _points_layer([], tag, base) if points else _shapes_layer([], tag, base)


def index_of(tag: AnnotationTag, token: CancellationToken | None = None) -> OutlineIndex:
    """Index the shapes of a tag, but for those that are gone, by their numbers."""
    geometries = geometries_of(tag.annotations)
    are_there = ~_are_points(geometries)
    are_there[list(tag.gone)] = False
    rows = np.flatnonzero(are_there)
    numbers = rows.tolist()
    labels = [tag.annotations.annotations[number].label for number in numbers]
    return OutlineIndex(geometries[rows].tolist(), labels, numbers, token)


def geometries_of(annotations: AnnotationSet) -> np.ndarray:
    """Return the geometries of a set, (n,)."""
    return np.array([*(a.geometry for a in annotations.annotations), None], object)[:-1]


def _are_points(geometries: np.ndarray) -> np.ndarray:
    """Say of each geometry what :func:`is_point` says; quickly of many."""
    return np.isin(
        shapely.get_type_id(geometries), (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)
    )


def _picture_layer(tag: AnnotationTag, token: CancellationToken | None) -> LayerData:
    """Show very many shapes by pictures of their outlines, drawn where they are looked at."""
    tag.view = OutlineView(index_of(tag, token), tag.annotations.colors, tag)
    return tag.view.layer_data()


def _shapes_layer(
    shapes: Sequence[tuple[int, Annotation]], tag: AnnotationTag, base: dict[str, Any]
) -> LayerData:
    drawn = []
    for number, annotation in shapes:
        pieces = drawn_as(annotation, tag.slide)
        drawn += [(vertices, kind, number, annotation) for vertices, kind in pieces]
        if pieces:
            tag.shown[number] = [vertices for vertices, _ in pieces]
        else:
            tag.hidden += (number,)
    data = [vertices for vertices, _, _, _ in drawn]
    rows = [(number, annotation) for _, _, number, annotation in drawn]
    edge = _colors(rows, tag.annotations)
    face = edge.copy()
    face[:, 3] = FACE_ALPHA
    options = base | {
        "features": _features(rows),
        "feature_defaults": dict.fromkeys((*COLUMNS, ROW), ""),
        "edge_width": _edge_width(data, tag.slide),
        "opacity": 1.0,
    }
    if drawn:
        options |= {"shape_type": [kind for _, kind, _, _ in drawn], "edge_color": edge, "face_color": face}
    return data or None, options, "shapes"


def _points_layer(
    points: Sequence[tuple[int, Annotation]], tag: AnnotationTag, base: dict[str, Any]
) -> LayerData:
    rows, places = [], [np.empty((0, 2))]
    for number, annotation in points:
        found = np.array(
            [(point.y, point.x) for point in getattr(annotation.geometry, "geoms", [annotation.geometry])]
        )
        tag.shown[number] = list(found)
        places.append(found)
        rows += [(number, annotation)] * len(found)
    coordinates = np.concatenate(places)
    colors = _colors(rows, tag.annotations) if rows else "white"
    options = base | {
        "face_color": colors,
        # Half of a point that is drawn larger than it is is border, however narrow that is said to be.
        "border_color": colors,
        "border_width": 0,
        "size": point_size(tag.slide),
        "canvas_size_limits": POINT_SCREEN_PX,
        "features": _features(rows),
        "feature_defaults": dict.fromkeys((*COLUMNS, ROW), ""),
    }
    return coordinates, options, "points"


def _colors(rows: Sequence[tuple[int, Annotation]], annotations: AnnotationSet) -> np.ndarray:
    rgb = np.reshape([annotations.colors[row.label] for _, row in rows], (-1, 3)) / 255
    return np.c_[rgb, np.ones(len(rgb))]


def _features(rows: Sequence[tuple[int, Annotation]]) -> dict[str, np.ndarray]:
    columns = {key: [getattr(row, key) for _, row in rows] for key in COLUMNS}
    columns[ROW] = [str(number) for number, _ in rows]
    return {key: np.array(values, object) for key, values in columns.items()}


def _edge_width(data: Sequence[np.ndarray], slide: Slide | None) -> float:
    if len(data) == 0:
        return 1.0
    everything = float(np.ptp(np.concatenate(data), axis=0).max())
    side = everything if slide is None else max(slide.levels[0].shape)
    typical = float(np.median([np.ptp(vertices, axis=0).max() for vertices in data]))
    return max(1.0, min(side * EDGE_OF_SLIDE, typical * EDGE_OF_SHAPE))


def point_size(slide: Slide | None) -> float:
    """Diameter of a point in level-0 pixels."""
    return POINT_PX if slide is None else max(POINT_PX, max(slide.levels[0].shape) * POINT_OF_SLIDE)
