"""Edits of a document on the layers that show it: only the rows that an edit is about are touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, plain
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag, index_of, is_point
from napari_nic.plugin.annotation_reading import picture_matrix
from napari_nic.plugin.layer_rows import (
    Piece,
    add_rows,
    change_rows,
    pieces_of,
    remove_rows,
    rows_by_number,
    set_cells,
    shown_of,
    texts_of,
)
from napari_nic.plugin.layers import frame, pixel_of
from napari_nic.plugin.outline_view import OWN
from napari_nic.plugin.slide_frames import SlideFrame

if TYPE_CHECKING:
    from napari.layers import Layer


@dataclass
class Changes:
    """What an edit does to one layer, by number."""

    removed: list[int] = field(default_factory=list)
    changed: dict[int, AnnotationObject] = field(default_factory=dict)
    added: dict[int, AnnotationObject] = field(default_factory=dict)


def apply_changes(layer: Layer, changes: Changes, numbers: set[int], place: SlideFrame) -> None:
    """Let a layer, and its tag, show objects as they are now.

    Parameters
    ----------
    layer : napari layer
        Of annotations.
    changes : Changes
    numbers : set of int
        Of the annotations that the layer shows; brought up to date.
    place : SlideFrame
        Of the layer's slide.
    """
    tag = annotation_tag(layer)
    if tag is None:
        return
    items = changes.changed | changes.added
    renew(tag, {number: plain(item) for number, item in items.items()})
    tag.gone = (tag.gone | set(changes.removed)) - set(items)
    numbers -= set(changes.removed)
    numbers |= set(items)
    if hasattr(layer, "selected_data"):
        _change_rows(layer, tag, changes, place)
    elif tag.labels is not None:
        areas = {number: item.annotation.geometry for number, item in items.items()}
        tag.labels.put(layer.data, areas, picture_matrix(layer, place), changes.removed)
        show_painted(layer)
    else:
        show_outlines(layer, {**dict.fromkeys(changes.removed), **items})


def _change_rows(layer: Layer, tag: AnnotationTag, changes: Changes, place: SlideFrame) -> None:
    items = changes.changed | changes.added
    rows = rows_by_number(layer)
    pieces = {n: pieces_of(item.annotation, tag.slide) for n, item in items.items()}
    kept = {n for n in changes.changed if len(rows.get(n, ())) == len(pieces[n])}
    moved = {n for n in kept if not _is_shown(tag, n, pieces[n])}
    change_rows(layer, {r: p for n in moved for r, p in zip(rows[n], pieces[n], strict=True)}, place)
    for number in kept:
        set_cells(layer, rows[number], texts_of(items[number].annotation, number))
    dropped = [number for number in (*changes.removed, *items) if number not in kept]
    remove_rows(layer, [row for number in dropped for row in rows.get(number, ())])
    _add_rows(layer, {n: pieces[n] for n in items if n not in kept}, items, place)
    tag.shown |= {number: shown_of(pieces[number]) for number in items}
    left = [n for n in tag.hidden if n not in items and n not in tag.gone]
    tag.hidden = (*left, *sorted(n for n in items if not pieces[n]))


def _add_rows(
    layer: Layer,
    pieces: Mapping[int, Sequence[Piece]],
    items: Mapping[int, AnnotationObject],
    place: SlideFrame,
) -> None:
    numbers = [number for number, some in pieces.items() for _ in some]
    added = add_rows(layer, [piece for some in pieces.values() for piece in some], place)
    if added:
        texts = [texts_of(items[number].annotation, number) for number in numbers]
        set_cells(layer, added, {column: [text[column] for text in texts] for column in texts[0]})


def show_outlines(layer: Layer, items: Mapping[int, AnnotationObject | None]) -> None:
    """Let a picture of very many shapes show some of them as they are now, by number."""
    tag = annotation_tag(layer)
    if tag is None or tag.view is None:
        return
    tag.view.replace(
        {
            number: None if item is None else (item.annotation.geometry, outline_label(item))
            for number, item in items.items()
        }
    )
    layer.events.data(value=layer.data)  # napari tells it where data are set, and others listen


def show_painted(layer: Layer) -> None:
    """Draw a layer of labels anew, and tell; napari's own history of it would undo other edits."""
    layer._reset_history()  # there is no public way
    layer.refresh()
    layer.events.data(value=layer.data)  # napari tells it where data are set, and others listen


def outline_label(item: AnnotationObject) -> str:
    """Return under which label an object is drawn in a picture: one with a colour of its own has its own."""
    if item.color is None:
        return item.label
    return item.label + OWN + "{:02x}{:02x}{:02x}".format(*item.color)


def repaint(layer: Layer) -> None:
    """Lay the picture of very many shapes that was moved as a whole on the slide again, with them moved."""
    tag = annotation_tag(layer)
    if tag is None or tag.view is None:
        return
    tag.view.reset(index_of(tag))
    place = frame(pixel_of(tag.slide))
    layer.affine, layer.rotate, layer.shear = np.eye(3), 0.0, np.zeros(1)
    layer.scale, layer.translate, layer.units = place["scale"], place["translate"], place["units"]


def renew(tag: AnnotationTag, annotations: dict[int, Annotation]) -> None:
    """Exchange annotations of a tag, and remember how the first ones were shown."""
    if not annotations:
        return
    known = list(tag.annotations.annotations)
    for number, annotation in sorted(annotations.items()):
        if number < len(known):
            tag.first.setdefault(number, (tag.shown.get(number, []), known[number]))
            known[number] = annotation
        else:
            known.append(annotation)
    tag.annotations = replace(tag.annotations, annotations=tuple(known))


def fits(layer: Layer, annotation: Annotation) -> bool:
    """Whether a layer is of the kind that shows such annotations."""
    return hasattr(layer, "symbol") is is_point(annotation)


def _is_shown(tag: AnnotationTag, number: int, pieces: Sequence[Piece]) -> bool:
    shown, wanted = tag.shown.get(number, ()), shown_of(pieces)
    return len(shown) == len(wanted) and all(
        ours.shape == theirs.shape and np.array_equal(ours, theirs)
        for ours, theirs in zip(shown, wanted, strict=True)
    )
