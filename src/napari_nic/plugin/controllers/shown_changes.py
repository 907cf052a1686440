"""What an edit of a document changes in which of the layers that show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_nic.editing import AnnotationObject, Edit
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.layer_updates import Changes, fits

if TYPE_CHECKING:
    from napari.layers import Layer

FEW = 5
"""So many ids are looked for one by one among all: a list finds one in a fifth of the time of a walk."""


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
        for number, identity in _numbered(one.tag.ids, wanted):
            if number in one.numbers or (
                identity not in places and fits(one.layer, one.tag.annotations.annotations[number])
            ):
                places[identity] = one, number
    return places


def _numbered(ids: Sequence[str], wanted: set[str]) -> Iterable[tuple[int, str]]:
    """Wanted ids with their numbers, in order."""
    if len(wanted) > FEW:
        return ((number, identity) for number, identity in enumerate(ids) if identity in wanted)
    return sorted((number, identity) for identity in wanted for number in _all_of(identity, ids))


def _all_of(identity: str, ids: Sequence[str]) -> Iterator[int]:
    number = -1
    with suppress(ValueError):
        while True:
            yield (number := ids.index(identity, number + 1))
