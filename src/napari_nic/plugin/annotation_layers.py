"""AnnotationSet <-> napari shapes and points; vertices are level-0 pixels, corner-based."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from napari_nic.annotations import RGB, UNCLASSIFIED, Annotation, AnnotationSet
from napari_nic.annotations.model import AREA_KINDS, Kind
from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag, annotation_frame
from napari_nic.plugin.outlines import from_loop, to_loop
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

MAX_SHAPES = 10_000
"""Above this many, napari's shapes take seconds to build and to pan; a point at each centre is shown."""

EDGE_OF_SLIDE = 1 / 350
"""Width of outlines as a share of the slide's longer side: two to three pixels when all of it is shown."""

EDGE_OF_SHAPE = 1 / 15
"""But no wider than this share of the middle one of the shapes, so that outlines of nuclei stay outlines."""

POINT_PX, POINT_OF_SLIDE = 10.0, 1 / 200
"""Diameter of a point: in level-0 pixels at least, and as a share of the slide's longer side."""

FACE_ALPHA = 0.12
"""Areas are tinted just enough to be told apart; what lies under them is what matters."""

COLUMNS = ("label", "name", "id", "kind")
ROW = "row"
"""Features of the layers, and the number of the annotation that a shape shows; what the user draws has none
of them yet."""

SAME_PX = 1e-3
"""Vertices that moved by less were not moved: napari keeps some of them in single precision."""


@dataclass(eq=False)
class AnnotationTag(LayerTag):
    """The tag of a layer of annotations.

    Attributes
    ----------
    annotations : AnnotationSet
        As they were read. Shapes that nobody touched are read back as these, whole and exact; so are all of
        them if they are too many to be shown.
    is_summary : bool
        Whether the layer shows centres only.
    """

    annotations: AnnotationSet = field(default_factory=AnnotationSet)
    is_summary: bool = False


def annotation_layers(annotations: AnnotationSet, slide: Slide | None, name: str) -> list[LayerData]:
    """Show annotations: areas and lines as shapes, points as points, each with its class colour.

    What lies beyond the slide is not shown, but read back all the same unless its shape is edited.

    Parameters
    ----------
    annotations : AnnotationSet
    slide : Slide or None
        What they lie on; None shows them in pixels.
    name : str
        Of the layer.

    Returns
    -------
    list of layer data
        At most one shapes and one points layer, with the features :data:`COLUMNS`.
    """
    numbered = list(enumerate(annotations.annotations))
    points = [(n, a) for n, a in numbered if isinstance(a.geometry, Point | MultiPoint)]
    shapes = [(n, a) for n, a in numbered if not isinstance(a.geometry, Point | MultiPoint)]
    is_summary = len(shapes) > MAX_SHAPES
    if is_summary:
        points, shapes = points + shapes, []
    tag = AnnotationTag("annotations", slide, name, annotations=annotations, is_summary=is_summary)
    base = {"metadata": {METADATA_KEY: tag}, **annotation_frame(slide)}
    layers = []
    if shapes or not points:
        layers.append(_shapes_layer(shapes, tag, base | {"name": name}))
    if points:
        title = f"{name} (points)" if shapes else name
        layers.append(_points_layer(points, tag, base | {"name": title}))
    return layers


def annotations_of(layers: Iterable[Layer]) -> AnnotationSet:
    """Read back shapes and points layers as they are on the screen; what has no class is unclassified."""
    found: list[Annotation] = []
    colors: dict[str, RGB] = {}
    source = ""
    for layer in layers:
        tag = layer.metadata.get(METADATA_KEY)
        source = source or layer.name
        if isinstance(tag, AnnotationTag):
            colors |= tag.annotations.colors
        if isinstance(tag, AnnotationTag) and tag.is_summary:
            found += tag.annotations.annotations
        else:
            found += _read_shapes(layer) if hasattr(layer, "shape_type") else _read_points(layer)
    return AnnotationSet(annotations=tuple(found), colors=colors, source=source)


def _shapes_layer(
    shapes: Sequence[tuple[int, Annotation]], tag: AnnotationTag, base: dict[str, Any]
) -> LayerData:
    drawn = [
        (vertices, kind, number, annotation)
        for number, annotation in shapes
        for vertices, kind in _vertices(annotation.geometry, tag.slide)
    ]
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
    placed = [(point, number, a) for number, a in points for point in _centres(a.geometry)]
    rows = [(number, annotation) for _, number, annotation in placed]
    coordinates = np.array([(point.y, point.x) for point, _, _ in placed])
    options = base | {
        "face_color": _colors(rows, tag.annotations),
        "border_color": "black",
        "size": _point_size(tag),
        "features": _features(rows),
        "feature_defaults": dict.fromkeys((*COLUMNS, ROW), ""),
    }
    return coordinates, options, "points"


def _centres(geometry: Any) -> list[Point]:
    return list(geometry.geoms) if isinstance(geometry, MultiPoint) else [geometry.centroid]


def _vertices(geometry: Any, slide: Slide | None) -> list[tuple[np.ndarray, str]]:
    """Vertices of the part of a geometry that lies on the slide; all of it if nothing does."""
    if slide is not None and not geometry.is_empty:
        height, width = slide.levels[0].shape
        on_slide = geometry.intersection(box(0, 0, width, height))
        geometry = geometry if on_slide.is_empty else on_slide
    parts = list(getattr(geometry, "geoms", (geometry,)))
    areas = [part for part in parts if isinstance(part, Polygon) and not part.is_empty]
    lines = [part for part in parts if isinstance(part, LineString) and not part.is_empty]
    loops = [(to_loop(areas[0] if len(areas) == 1 else MultiPolygon(areas)), "polygon")] if areas else []
    return loops + [(np.asarray(line.coords)[:, 1::-1], "path") for line in lines if not areas]


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


def _point_size(tag: AnnotationTag) -> float:
    if tag.slide is None:
        return POINT_PX
    return max(POINT_PX, max(tag.slide.levels[0].shape) * POINT_OF_SLIDE)


def _read_shapes(layer: Any) -> list[Annotation]:
    rows = layer.features.reset_index(drop=True)
    found = []
    for index, (vertices, drawn_as) in enumerate(zip(layer.data, layer.shape_type, strict=True)):
        place = np.asarray(vertices)[:, -2:]
        texts = _texts(rows, index)
        untouched = _untouched(layer, rows, index, place)
        shape = untouched or _read_shape(place, drawn_as)
        if shape.geometry.is_empty:
            continue
        kind = texts.pop("kind", "")
        if kind and (kind in AREA_KINDS) == shape.is_area:
            texts["kind"] = kind
        found.append(replace(shape, **texts))
    return found


def _untouched(layer: Any, rows: Any, index: int, place: np.ndarray) -> Annotation | None:
    """Return the annotation that a shape shows, if the shape is still where it was put."""
    tag = layer.metadata.get(METADATA_KEY)
    number = rows[ROW].iloc[index] if ROW in rows else ""
    if not isinstance(tag, AnnotationTag) or not str(number).isdigit():
        return None
    original = tag.annotations.annotations[int(number)]
    shown = _vertices(original.geometry, tag.slide)
    # A line of several parts is several shapes; they are read back one by one.
    if len(shown) != 1 or shown[0][0].shape != place.shape:
        return None
    return original if np.allclose(shown[0][0], place, rtol=0, atol=SAME_PX) else None


def _read_shape(place: np.ndarray, drawn_as: str) -> Annotation:
    if drawn_as in ("line", "path"):
        return Annotation(UNCLASSIFIED, "line", LineString(place[:, ::-1]))
    if drawn_as == "ellipse":
        return Annotation(UNCLASSIFIED, "polygon", _ellipse(place))
    kind: Kind = "rectangle" if drawn_as == "rectangle" else "polygon"
    return Annotation(UNCLASSIFIED, kind, from_loop(place))


def _read_points(layer: Any) -> list[Annotation]:
    rows = layer.features.reset_index(drop=True)
    found = []
    for index, (y, x) in enumerate(np.asarray(layer.data)[:, -2:]):
        texts = _texts(rows, index)
        texts.pop("kind", None)
        found.append(replace(Annotation(UNCLASSIFIED, "point", Point(x, y)), **texts))
    return found


def _ellipse(corners: np.ndarray, vertices: int = 64) -> Polygon:
    """Follow an ellipse that napari holds as the corners (4, 2) of its box."""
    centre = corners.mean(axis=0)
    half_a, half_b = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)[:, None]
    outline = centre + np.cos(angle) * half_a + np.sin(angle) * half_b
    return Polygon(outline[:, ::-1])


def _texts(rows: Any, index: int) -> dict[str, Any]:
    """What a row says of a shape; nothing for a shape that the user has just drawn."""
    values = {key: rows[key].iloc[index] for key in COLUMNS if key in rows}
    return {key: value for key, value in values.items() if isinstance(value, str) and value}
