"""AnnotationSet <-> napari shapes and points; vertices are level-0 pixels, corner-based."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon

from napari_nic.annotations import RGB, UNCLASSIFIED, Annotation, AnnotationSet
from napari_nic.annotations.model import AREA_KINDS, Kind
from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag, annotation_frame
from napari_nic.plugin.outlines import from_loop, to_loop
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

MAX_SHAPES = 10_000
"""Above this many, napari's shapes take seconds to build and to pan; a point at each centre is shown."""

EDGE_SHARE = 1 / 600
"""Width of outlines as a share of the extent of all annotations: two to three pixels on a full screen."""

POINT_EDGES = 6
"""Diameter of a point in widths of an outline."""

FACE_ALPHA = 0.12
"""Areas are tinted just enough to be told apart; what lies under them is what matters."""

COLUMNS = ("label", "name", "id", "kind")
"""Features of the layers; a shape that the user draws has none of them yet."""


@dataclass(eq=False)
class AnnotationTag(LayerTag):
    """The tag of a layer of annotations.

    Attributes
    ----------
    annotations : AnnotationSet
        As they were read. Their colours are kept when the layer is read back; the shapes themselves only
        if they are too many to be shown.
    is_summary : bool
        Whether the layer shows centres only.
    """

    annotations: AnnotationSet = field(default_factory=AnnotationSet)
    is_summary: bool = False


def annotation_layers(annotations: AnnotationSet, slide: Slide | None, name: str) -> list[LayerData]:
    """Show annotations: areas and lines as shapes, points as points, each with its class colour.

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
    points = [a for a in annotations.annotations if isinstance(a.geometry, Point | MultiPoint)]
    shapes = [a for a in annotations.annotations if not isinstance(a.geometry, Point | MultiPoint)]
    is_summary = len(shapes) > MAX_SHAPES
    if is_summary:
        points, shapes = points + shapes, []
    tag = AnnotationTag("annotations", slide, name, annotations=annotations, is_summary=is_summary)
    base = {"metadata": {METADATA_KEY: tag}, **annotation_frame(slide)}
    layers = []
    if shapes or not points:
        layers.append(_shapes_layer(shapes, annotations, base | {"name": name}))
    if points:
        title = f"{name} (points)" if shapes else name
        layers.append(_points_layer(points, annotations, base | {"name": title}))
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
    shapes: Sequence[Annotation], annotations: AnnotationSet, base: dict[str, Any]
) -> LayerData:
    drawn = [(vertices, kind, a) for a in shapes for vertices, kind in _vertices(a.geometry)]
    rows = [annotation for _, _, annotation in drawn]
    data = [vertices for vertices, _, _ in drawn]
    edge = _colors(rows, annotations)
    face = edge.copy()
    face[:, 3] = FACE_ALPHA
    options = base | {
        "features": _features(rows),
        "feature_defaults": dict.fromkeys(COLUMNS, ""),
        "edge_width": _edge_width(data),
        "opacity": 1.0,
    }
    if drawn:
        options |= {"shape_type": [kind for _, kind, _ in drawn], "edge_color": edge, "face_color": face}
    return data or None, options, "shapes"


def _points_layer(
    points: Sequence[Annotation], annotations: AnnotationSet, base: dict[str, Any]
) -> LayerData:
    placed = [(point, a) for a in points for point in _centres(a.geometry)]
    rows = [annotation for _, annotation in placed]
    coordinates = np.array([(point.y, point.x) for point, _ in placed])
    options = base | {
        "face_color": _colors(rows, annotations),
        "border_color": "black",
        "size": POINT_EDGES * _edge_width([coordinates]),
        "features": _features(rows),
    }
    return coordinates, options, "points"


def _centres(geometry: Any) -> list[Point]:
    return list(geometry.geoms) if isinstance(geometry, MultiPoint) else [geometry.centroid]


def _vertices(geometry: Any) -> list[tuple[np.ndarray, str]]:
    if geometry.is_empty:
        return []
    if isinstance(geometry, Polygon | MultiPolygon):
        return [(to_loop(geometry), "polygon")]
    parts = getattr(geometry, "geoms", (geometry,))
    return [(np.asarray(part.coords)[:, 1::-1], "path") for part in parts if isinstance(part, LineString)]


def _colors(rows: Sequence[Annotation], annotations: AnnotationSet) -> np.ndarray:
    rgb = np.reshape([annotations.colors[row.label] for row in rows], (-1, 3)) / 255
    return np.c_[rgb, np.ones(len(rgb))]


def _features(rows: Sequence[Annotation]) -> dict[str, np.ndarray]:
    return {key: np.array([getattr(row, key) for row in rows], object) for key in COLUMNS}


def _edge_width(data: Sequence[np.ndarray]) -> float:
    if not data:
        return 1.0
    return max(1.0, float(np.ptp(np.concatenate(data), axis=0).max()) * EDGE_SHARE)


def _read_shapes(layer: Any) -> list[Annotation]:
    rows = layer.features.reset_index(drop=True)
    found = []
    for index, (vertices, drawn_as) in enumerate(zip(layer.data, layer.shape_type, strict=True)):
        shape = _read_shape(np.asarray(vertices)[:, -2:], drawn_as)
        if shape.geometry.is_empty:
            continue
        texts = _texts(rows, index)
        kind = texts.pop("kind", "")
        if (kind in AREA_KINDS) == shape.is_area and kind:
            texts["kind"] = kind
        found.append(replace(shape, **texts))
    return found


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
