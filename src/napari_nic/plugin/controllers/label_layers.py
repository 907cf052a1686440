"""Painted layers of labels: the class and the keys of napari's brush are those of the slide's annotations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag
from napari_nic.plugin.controllers.drawing import Drawing
from napari_nic.plugin.controllers.viewing import Views
from napari_nic.plugin.undo_keys import REDO, UNDO

if TYPE_CHECKING:
    from napari.layers import Layer

OPACITY = 0.5
"""The tissue stays legible under what is painted."""


class LabelLayers:
    """Follows the layers of labels that the documents of their slides take in.

    A number is an object. The class that is drawn in decides which number napari paints with: that of its
    last object in the layer, or the next free one. "New label" of napari begins another one of the class.

    Parameters
    ----------
    views : Views
    drawing : Drawing
        Knows the class that is drawn in.
    undo, redo : callable
        Of the document: napari's own reach no further than one layer.
    """

    def __init__(
        self, views: Views, drawing: Drawing, undo: Callable[[], object], redo: Callable[[], object]
    ) -> None:
        self._views, self._drawing = views, drawing
        self._keys = {UNDO: undo, REDO: redo}
        self._followed: dict[Layer, Callable[..., None]] = {}
        self._is_choosing = False
        views.added.connect(self._on_added)
        views.removed.connect(self._on_removed)
        drawing.changed.connect(self._on_class)

    def close(self) -> None:
        """Let all layers go."""
        for layer in list(self._followed):
            self._on_removed(layer)
        self._views.added.disconnect(self._on_added)
        self._views.removed.disconnect(self._on_removed)
        self._drawing.changed.disconnect(self._on_class)

    def _on_added(self, layer: Any) -> None:
        tag = annotation_tag(layer)
        if tag is None or tag.labels is None or layer in self._followed:
            return
        tag.labels.class_of_new = lambda: self._drawing.current
        layer.opacity = OPACITY
        for key, do in self._keys.items():
            layer.bind_key(key, _for_layer(do), overwrite=True)
        self._followed[layer] = hook = partial(self._on_picked, layer)
        layer.events.selected_label.connect(hook)
        self._choose(layer, tag)

    def _on_removed(self, layer: Any) -> None:
        hook = self._followed.pop(layer, None)
        if hook is None:
            return
        layer.events.selected_label.disconnect(hook)
        for key in self._keys:
            layer.bind_key(key, None, overwrite=True)

    def _on_class(self) -> None:
        for layer in list(self._followed):
            tag = annotation_tag(layer)
            if tag is not None:
                self._choose(layer, tag)

    def _choose(self, layer: Any, tag: AnnotationTag) -> None:
        """Let the brush paint in the class that is drawn in."""
        classes, current = _classes(tag), self._drawing.current
        self._is_choosing = True
        try:
            if classes.get(int(layer.selected_label), current) != current and tag.labels is not None:
                own = [value for value, label in classes.items() if label == current]
                free = max(tag.labels.free_value(), int(layer.data.max(initial=0)) + 1)
                value = own[-1] if own else free
                layer.selected_label = min(value, int(np.iinfo(layer.data.dtype).max))
            self._views.show_colors(layer)
        finally:
            self._is_choosing = False

    def _on_picked(self, layer: Any, _event: Any = None) -> None:
        """Draw in the class of the object whose number was picked."""
        tag = annotation_tag(layer)
        if tag is None or self._is_choosing:
            return
        label = _classes(tag).get(int(layer.selected_label))
        if label is not None and label != self._drawing.current:
            self._drawing.set_class(label, ())


def _classes(tag: AnnotationTag) -> dict[int, str]:
    """Classes of the objects that a layer shows, by value."""
    numbers = {} if tag.labels is None else tag.labels.numbers
    known = tag.annotations.annotations
    return {value: known[n].label for value, n in numbers.items() if n not in tag.gone and n < len(known)}


def _for_layer(do: Callable[[], object]) -> Callable[[object], None]:
    def on_key(_layer: object) -> None:  # napari asks for its name, which a partial has not
        do()

    return on_key
