"""Layers that napari or another plugin made become annotations of the slide that they appear on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.errors import AnnotationError
from napari_nic.plugin.annotation_layers import (
    COLUMNS,
    EDGE_OF_SLIDE,
    ROW,
    AnnotationTag,
    annotation_tag,
    index_of,
    point_size,
)
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.label_objects import LabelObjects, can_be_painted
from napari_nic.plugin.layers import METADATA_KEY, annotation_frame
from napari_nic.plugin.outline_view import OutlineView
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

_PLAIN = 2


def adopt(layer: Layer, slide: Slide | None) -> None:
    """Make a layer of shapes or points, or an empty one of labels, one of the slide's annotations.

    Any other is left alone: labels that hold something already are what somebody else made.

    An empty one, from napari's "new shapes layer", is laid on the slide's pixels: napari gives it the place
    of the layer that is chosen, an overlay for instance. One that holds shapes already keeps its place.
    """
    if slide is None or layer.ndim != _PLAIN:
        return
    if can_be_painted(layer) and not layer.data.any():
        tag = AnnotationTag("annotations", slide, layer.name, told=True, keeps_place=True)
        tag.labels = LabelObjects(np.zeros_like(layer.data))
        layer.metadata[METADATA_KEY] = tag
    if not hasattr(layer, "selected_data"):
        return
    is_empty = len(layer.data) == 0
    tag = AnnotationTag("annotations", slide, layer.name, told=True, keeps_place=not is_empty)
    layer.metadata[METADATA_KEY] = tag
    if not is_empty:
        try:
            annotations_of([layer])
        except AnnotationError:  # it cannot be placed on this slide
            del layer.metadata[METADATA_KEY]
        return
    layer.affine, layer.rotate, layer.shear = np.eye(3), 0.0, np.zeros(1)
    place = annotation_frame(slide)
    layer.scale, layer.translate, layer.units = place["scale"], place["translate"], place["units"]
    layer.features = {column: np.array([], object) for column in (*COLUMNS, ROW)}
    if hasattr(layer, "shape_type"):
        layer.current_edge_width = max(1.0, max(slide.levels[0].shape) * EDGE_OF_SLIDE)
    else:
        layer.current_size = point_size(slide)


def part_from_original(layer: Layer, layers: Iterable[Layer]) -> None:
    """Give a layer that is a copy of another a tag of its own: its shapes are new ones."""
    tag = annotation_tag(layer)
    kind = type(layer)
    others = [other for other in layers if other is not layer and type(other) is kind]
    if tag is None or not any(annotation_tag(other) is tag for other in others):
        return
    copied = annotations_of([layer])
    layer.metadata = {
        **layer.metadata,
        METADATA_KEY: AnnotationTag(
            "annotations",
            tag.slide,
            layer.name,
            annotations=copied if not hasattr(layer, "selected_data") else type(copied)(),
            told=True,
            keeps_place=tag.keeps_place,
        ),
    }
    if tag.view is not None:
        _show_copy(layer)
    if tag.labels is not None:
        _paint_copy(layer, tag)
    if ROW in getattr(layer, "features", ()):
        table = layer.features.copy()
        table[ROW] = table["id"] = ""
        layer.features = table


def _paint_copy(layer: Any, tag: AnnotationTag) -> None:
    """Give a copy of a painted layer objects of its own, in the order in which they were read of it."""
    own = annotation_tag(layer)
    if own is not None and tag.labels is not None:
        shown = [value for value, number in tag.labels.numbers.items() if number not in tag.gone]
        numbers = {value: number for number, value in enumerate(shown)}
        own.labels = LabelObjects(np.array(layer.data), numbers=numbers)


def _show_copy(layer: Layer) -> None:
    """Give a copy of a picture of very many shapes pictures of its own."""
    tag = annotation_tag(layer)
    if tag is not None:
        tag.view = OutlineView(index_of(tag), tag.annotations.colors, tag)
        layer.data = tag.view.levels
