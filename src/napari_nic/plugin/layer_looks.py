"""How objects of a document look in a layer, which are selected there, and the camera on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from napari.utils.colormaps import DirectLabelColormap

from napari_nic.annotations import RGB, UNCLASSIFIED, UNCLASSIFIED_COLOR
from napari_nic.colors import from_hex
from napari_nic.editing import AnnotationObject, Document
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag
from napari_nic.plugin.label_objects import LabelObjects
from napari_nic.plugin.layer_rows import rows_by_number
from napari_nic.plugin.outline_view import OWN

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

NOTHING = (0.0, 0.0, 0.0, 0.0)

_FILLED = 0.7
"""Of the canvas, when the camera moves away to show something large."""


@dataclass(frozen=True)
class Look:
    """How the shapes of a layer look beside the colours of their classes.

    Attributes
    ----------
    colors : mapping of label to (r, g, b)
        Of the classes of its slide.
    hidden : frozenset of str
        Classes that are not shown.
    own : mapping of int to (r, g, b)
        By row, of labels by number, what has a colour of its own.
    all_hidden : bool
        Whether nothing is shown.
    """

    colors: Mapping[str, RGB] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    own: Mapping[int, RGB] = field(default_factory=dict)
    all_hidden: bool = False


def look_of(layer: Layer, tag: AnnotationTag, document: Document, *, all_hidden: bool) -> Look:
    """Return how the shapes of a layer look by what the document says of classes and objects."""
    colors = {entry.name: entry.color for entry in document.classes}
    hidden = frozenset(entry.name for entry in document.classes if not entry.visible)
    if tag.labels is not None:
        items = ((n, document.get(i)) for n, i in enumerate(tag.ids))
        of_own = {n: item.color for n, item in items if item is not None and item.color is not None}
        return Look(colors, hidden, of_own, all_hidden)
    own = {
        row: item.color
        for number, rows in rows_by_number(layer).items()
        if number < len(tag.ids) and (item := document.get(tag.ids[number])) is not None
        if item.color is not None
        for row in rows
    }
    return Look(colors, hidden, own, all_hidden)


def color_outlines(tag: AnnotationTag, look: Look) -> None:
    """Give the classes of a picture of very many shapes their colours; nothing is drawn anew for that."""
    if tag.view is None:
        return
    known = {**tag.annotations.colors, **look.colors}
    colors: dict[str, RGB | None] = {}
    for label in tag.view.index.labels:
        name, _, own = label.partition(OWN)
        color = from_hex(f"#{own}") if own else known.get(name, UNCLASSIFIED_COLOR)
        colors[label] = None if name in look.hidden else color
    tag.view.set_colors(colors)


def color_labels(layer: Any, tag: AnnotationTag, look: Look, new: RGB) -> None:
    """Give the numbers of a painted layer the colours of their objects; `new` is that of all others."""
    if tag.labels is None:
        return
    table: dict[int | None, tuple[float, ...]] = {None: _rgba(new), 0: NOTHING}
    for value, number in tag.labels.numbers.items():
        if number in tag.gone or number >= len(tag.annotations):
            continue
        label = tag.annotations.annotations[number].label
        color = look.own.get(number, look.colors.get(label, UNCLASSIFIED_COLOR))
        table[value] = NOTHING if label in look.hidden else _rgba(color)
    shown = getattr(layer.colormap, "color_dict", {})
    if {key: tuple(np.round(color, 4)) for key, color in shown.items()} != {
        key: tuple(np.round(color, 4)) for key, color in table.items()
    }:
        layer.colormap = DirectLabelColormap(color_dict=table)


def _rgba(color: RGB) -> tuple[float, ...]:
    return (*(part / 255 for part in color), 1.0)


def _painted_classes(layer: Any, tag: AnnotationTag, labels: LabelObjects) -> dict[str, RGB]:
    found: dict[str, RGB] = {}
    for value, number in labels.numbers.items():
        color = layer.colormap.color_dict.get(value)
        if number not in tag.gone and color is not None and color[3] > 0:
            red, green, blue = np.rint(np.asarray(color[:3]) * 255).astype(int).tolist()
            found[tag.annotations.annotations[number].label] = red, green, blue
    return found


def shown_classes(layer: Layer) -> dict[str, RGB]:
    """Return the classes that a layer of annotations shows, each with the colour of most of its shapes."""
    tag = annotation_tag(layer)
    if tag is not None and tag.labels is not None:
        return _painted_classes(layer, tag, tag.labels)
    if tag is not None and tag.view is not None:
        return tag.view.shown_colors()
    labels = list(getattr(layer, "features", {}).get("label", ()))
    colors = np.asarray(layer.edge_color if hasattr(layer, "shape_type") else layer.face_color)
    seen = colors[:, 3] > 0
    if not hasattr(layer, "shape_type"):
        seen &= np.asarray(layer.shown)
    found: dict[str, Counter[RGB]] = {}
    for label, color, is_seen in zip(labels, np.rint(colors[:, :3] * 255).astype(int), seen, strict=True):
        if is_seen:
            name = label if isinstance(label, str) and label else UNCLASSIFIED
            red, green, blue = color.tolist()
            found.setdefault(name, Counter())[red, green, blue] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in found.items()}


def selected_in(layer: Layer) -> list[str]:
    """Return the ids of the objects that are selected in a layer."""
    chosen, tag = set(getattr(layer, "selected_data", ())), annotation_tag(layer)
    if tag is not None and tag.labels is not None:
        return [i for n, i in enumerate(tag.ids) if i in tag.labels.selected and n not in tag.gone]
    if not chosen or tag is None:
        return []
    by_number = rows_by_number(layer)
    return [tag.ids[n] for n, rows in by_number.items() if n < len(tag.ids) and chosen.intersection(rows)]


def select_in(layer: Layer, ids: Collection[str]) -> None:
    """Select objects in a layer, and no others."""
    tag = annotation_tag(layer)
    if tag is not None and tag.labels is not None:
        tag.labels.selected = set(ids)
    if tag is None or not hasattr(layer, "selected_data"):
        return
    by_number = rows_by_number(layer)
    rows = {row for n, some in by_number.items() if n < len(tag.ids) and tag.ids[n] in ids for row in some}
    if set(layer.selected_data) != rows:
        layer.selected_data = rows


def reveal(items: Sequence[AnnotationObject], slide_layer: Layer, viewer: ViewerModel) -> None:
    """Move the camera to where objects of a slide are; it stays as near as it is if they fit."""
    if not items:
        return
    left, top, right, bottom = shapely.total_bounds([item.annotation.geometry for item in items])
    ends = ((top - 0.5, left - 0.5), (bottom - 0.5, right - 0.5))
    corners = np.array([slide_layer.data_to_world(end) for end in ends])[:, -2:]
    viewer.camera.center = (0.0, *corners.mean(axis=0))
    fits = np.array(viewer.canvas.size) * _FILLED / np.maximum(np.ptp(corners, axis=0), 1e-9)
    viewer.camera.zoom = min(viewer.camera.zoom, float(fits.min()))
