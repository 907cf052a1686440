"""Which annotations would be lost, and the question before they are."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.annotations import Annotation
from napari_nic.plugin.annotation_layers import ROW, annotation_tag
from napari_nic.plugin.annotation_reading import annotations_of

if TYPE_CHECKING:
    from napari.layers import Layer

_MOVES = ("affine", "scale", "translate", "rotate", "shear")


class Unsaved:
    """Remembers what layers of annotations held when they were read or saved last."""

    def __init__(self) -> None:
        self._saved: weakref.WeakKeyDictionary[Layer, tuple[Annotation, ...]] = weakref.WeakKeyDictionary()
        self._touched: weakref.WeakSet[Layer] = weakref.WeakSet()
        self._elsewhere: weakref.WeakKeyDictionary[Layer, Path] = weakref.WeakKeyDictionary()

    def watch(self, layer: Layer) -> None:
        """Take what a layer holds now as saved; what comes later is not."""
        if layer in self._saved:
            return
        tag = annotation_tag(layer)
        self._saved[layer] = () if tag is not None and tag.is_drawn else _as_read(layer)
        if tag is not None and tag.is_drawn:
            self._touched.add(layer)
        for name in ("data", "features", "paint", *_MOVES):
            event = getattr(layer.events, name, None)
            if event is not None:
                event.connect(self._on_touched)

    def release(self, layer: Layer) -> None:
        """Stop watching a layer, but remember what it held."""
        for name in ("data", "features", "paint", *_MOVES):
            event = getattr(layer.events, name, None)
            if event is not None:
                event.disconnect(self._on_touched)

    def close(self) -> None:
        """Stop watching all layers."""
        for layer in list(self._saved):
            self.release(layer)

    def is_unsaved(self, layer: Layer) -> bool:
        """Whether a layer holds other annotations than were read or saved.

        What was drawn and taken away again, or moved there and back, is no change.
        """
        tag = annotation_tag(layer)
        lifted = None if tag is None else tag.lifted
        if layer not in self._touched and (lifted is None or lifted not in self._touched):
            return False
        return annotations_of([layer]).annotations != self._saved.get(layer, ())

    def saved_elsewhere(self, layer: Layer) -> Path | None:
        """Return the file that holds what was changed in a layer, if it is not the one it was opened from."""
        return self._elsewhere.get(layer)

    def held(self, layers: Iterable[Layer]) -> dict[Layer, tuple[Annotation, ...]]:
        """Return what layers hold now, for :meth:`saved` once it is."""
        return {layer: annotations_of([layer]).annotations for layer in layers}

    def saved(self, held: Mapping[Layer, tuple[Annotation, ...]], path: Path) -> None:
        """Take what layers held as saved in a file; what was changed while it was written is not."""
        for layer, shapes in held.items():
            self._note_place(layer, path)
            self._saved[layer] = shapes

    def _note_place(self, layer: Layer, path: Path) -> None:
        tag = annotation_tag(layer)
        if tag is not None and tag.path is not None and tag.path.resolve() == path.resolve():
            self._elsewhere.pop(layer, None)
        elif self.is_unsaved(layer):
            self._elsewhere[layer] = path

    def _on_touched(self, event: Any) -> None:
        self._touched.add(event.source)


def _as_read(layer: Layer) -> tuple[Annotation, ...]:
    """Return what a layer shows of its file; of a layer that shows no file what it holds."""
    tag = annotation_tag(layer)
    if tag is not None and tag.home is not None:
        return ()  # what it holds counts as held by the picture that it was lifted from
    if tag is None or not len(tag.annotations) or ROW not in getattr(layer, "features", ()):
        return annotations_of([layer]).annotations
    numbers = dict.fromkeys(int(value) for value in layer.features[ROW] if str(value).isdigit())
    return tuple(tag.annotations.annotations[number] for number in (*_hidden(layer), *numbers))


def _hidden(layer: Layer) -> tuple[int, ...]:
    tag = annotation_tag(layer)
    return tag.hidden if tag is not None and hasattr(layer, "shape_type") else ()
