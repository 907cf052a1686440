"""The few of very many outlines that are edited: lifted into a layer of shapes, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_nic.annotations import AnnotationSet
from napari_nic.editing import AnnotationObject, Document, plain
from napari_nic.plugin.annotation_layers import MAX_SHAPES, AnnotationTag, annotation_layers, annotation_tag
from napari_nic.plugin.layer_updates import Changes
from napari_nic.plugin.layers import METADATA_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

DocumentOf = Callable[[AnnotationTag], Document | None]
NumbersOf = Callable[["Layer"], set[int]]
Apply = Callable[["Layer", Changes], None]


class Lifting:
    """Moves outlines between the picture that shows them and a layer of shapes, in which napari edits them.

    Parameters
    ----------
    viewer : ViewerModel
    document_of : callable
        The document that the annotations of a tag are in.
    numbers_of : callable
        Numbers of the annotations that a layer shows, to be changed here.
    apply : callable
        Shows changes in a layer.
    picked : callable
        Called when something was clicked and other outlines are lifted now.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        document_of: DocumentOf,
        numbers_of: NumbersOf,
        apply: Apply,
        picked: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._document_of, self._numbers_of, self._apply, self._picked = (
            document_of,
            numbers_of,
            apply,
            picked,
        )
        self._followed: dict[Layer, Any] = {}

    def follow(self, layer: Layer) -> None:
        """Lift from a picture of outlines what is clicked there."""
        tag = annotation_tag(layer)
        if tag is None or tag.view is None or layer in self._followed:
            return
        self._followed[layer] = hook = partial(self._on_picked, layer)
        tag.view.picked.connect(hook)

    def release(self, layer: Layer) -> None:
        """Leave a picture of outlines alone from now on."""
        tag, hook = annotation_tag(layer), self._followed.pop(layer, None)
        if tag is not None and tag.view is not None and hook is not None:
            tag.view.picked.disconnect(hook)

    def lifted(self, layer: Layer) -> set[int]:
        """Numbers of the outlines of a picture that are shapes now."""
        tag = annotation_tag(layer)
        above = None if tag is None or tag.lifted is None else annotation_tag(tag.lifted)
        return set() if above is None or above.home is None else set(above.home.values())

    def lift(self, layer: Layer, numbers: Iterable[int]) -> bool:
        """Let these outlines of a picture be shapes, selected, and no others.

        Returns
        -------
        bool
            Whether they are; more than napari can show as shapes stay where they are.
        """
        wanted = sorted(set(numbers))
        if wanted and set(wanted) == self.lifted(layer):
            return True
        self.put_back(layer)
        tag = annotation_tag(layer)
        document = None if tag is None else self._document_of(tag)
        if tag is None or tag.view is None or document is None or not wanted:
            return True
        wanted = [n for n in wanted if n in self._numbers_of(layer) and tag.ids[n] in document]
        if len(wanted) > MAX_SHAPES:
            return False
        if wanted:
            self._add(layer, tag, wanted, [document[tag.ids[n]] for n in wanted])
        return True

    def put_back(self, layer: Layer) -> None:
        """Show in a picture again what was lifted from it, as it is now."""
        tag = annotation_tag(layer)
        if tag is None or tag.view is None or tag.lifted is None:
            return
        shapes, tag.lifted = tag.lifted, None
        above, document = annotation_tag(shapes), self._document_of(tag)
        if above is not None and above.home is not None and document is not None:
            kept = {n: document[above.ids[n]] for n in self._numbers_of(shapes) if above.ids[n] in document}
            self._return(layer, tag, above.home, above.ids, kept)
            above.ids, above.home = [], {}
        if shapes in self._viewer.layers:
            was_active = self._viewer.layers.selection.active is shapes
            self._viewer.layers.remove(shapes)
            if was_active and layer in self._viewer.layers:
                self._viewer.layers.selection.active = layer

    def _add(
        self, layer: Layer, tag: AnnotationTag, numbers: list[int], items: list[AnnotationObject]
    ) -> None:
        colors = {item.label: tag.annotations.colors[item.label] for item in items}
        annotations = AnnotationSet(tuple(map(plain, items)), colors)
        ((data, options, _),) = annotation_layers(annotations, tag.slide, f"{layer.name} (selected)")
        above: AnnotationTag = options["metadata"][METADATA_KEY]
        above.ids, above.home = [item.id for item in items], dict(enumerate(numbers))
        above.told = above.asked = True
        shown = self._numbers_of(layer)
        shown -= set(numbers)
        if tag.view is not None:
            tag.view.hide(numbers)
        options["affine"] = layer.affine
        tag.lifted = self._viewer.add_shapes(data, **options)
        tag.lifted.mode = "direct" if len(numbers) == 1 else "select"
        tag.lifted.selected_data = set(range(len(tag.lifted.data)))
        if tag.view is not None:
            tag.lifted.mouse_drag_callbacks.append(tag.view.on_press)

    def _return(
        self,
        layer: Layer,
        tag: AnnotationTag,
        home: dict[int, int],
        ids: list[str],
        kept: dict[int, AnnotationObject],
    ) -> None:
        changes, same = Changes(), set()
        for above, item in kept.items():
            number = home.get(above)
            if number is None:  # it was drawn there
                number = len(tag.ids)
                tag.ids.append(ids[above])
            elif plain(item) == tag.annotations.annotations[number]:
                same.add(number)
                continue
            changes.added[number] = item
        changes.removed = [number for above, number in home.items() if above not in kept]
        shown = self._numbers_of(layer)
        shown |= same
        if changes.added or changes.removed:
            self._apply(layer, changes)
        if tag.view is not None and same:
            tag.view.show(same)

    def _on_picked(self, layer: Layer, number: int | None, is_more: bool) -> None:
        lifted = self.lifted(layer)
        wanted = set() if number is None else {number}
        if is_more:
            wanted |= lifted
        for other in list(self._followed):
            if other is not layer and not is_more:
                self.put_back(other)
        if wanted != lifted or not is_more:
            self.lift(layer, wanted)
        self._picked()
