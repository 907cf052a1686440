"""What an edit of a document changes in which of the layers that show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_nic.editing import AnnotationObject, Edit
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.layer_updates import Changes, fits

if TYPE_CHECKING:
    from napari.layers import Layer


@dataclass(frozen=True, eq=False)
class Shown:
    """A layer, and what it shows.

    Attributes
    ----------
    layer : napari layer
    tag : AnnotationTag
    numbers : set of int
        Of the annotations of its tag that it shows.
    """

    layer: Layer
    tag: AnnotationTag
    numbers: set[int]


def changes_of(edit: Edit, shown: Sequence[Shown]) -> tuple[dict[Layer, Changes], list[AnnotationObject]]:
    """Return what changes in each layer, and objects that none of them can show."""
    by_layer: dict[Layer, Changes] = {}
    homeless: list[AnnotationObject] = []
    places = _places(shown, edit.after)
    for identity, item in edit.after.items():
        if identity not in places:
            homeless += [item] if item is not None else []
            continue
        one, number = places[identity]
        changes, is_there = by_layer.setdefault(one.layer, Changes()), number in one.numbers
        if item is None or not fits(one.layer, item.annotation):
            changes.removed += [number] if is_there else []
            homeless += [item] if item is not None else []
        elif is_there:
            changes.changed[number] = item
        else:
            changes.added[number] = item
    return by_layer, homeless


def _places(shown: Sequence[Shown], ids: Iterable[str]) -> dict[str, tuple[Shown, int]]:
    """Return the layer, and the number in its tag, where objects are shown or were."""
    wanted = set(ids)
    places: dict[str, tuple[Shown, int]] = {}
    for one in shown:
        for number, identity in enumerate(one.tag.ids):
            if identity not in wanted:
                continue
            if number in one.numbers or (
                identity not in places and fits(one.layer, one.tag.annotations.annotations[number])
            ):
                places[identity] = one, number
    return places
