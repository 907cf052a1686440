"""What is to be heard of a layer of annotations: its events, and the gestures of the mouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer

_AT_ONCE = ("data", "features", "paint")
_LATER = ("affine", "scale", "translate", "rotate", "shear")
"""A layer is moved step by step, and by us: it is looked at when that is over."""

_FINISHED = ("added", "changed", "removed")


class LayerHooks:
    """Follows one layer.

    Parameters
    ----------
    layer : napari layer
    numbers : set of int
        Of the annotations of its tag that it shows.
    changed : callable
        Called with the layer after each change of its shapes; not within a gesture, but at its end.
    moved : callable
        Called with the layer after each step in which it is moved as a whole.
    selected : callable
        Called when others are selected.

    Attributes
    ----------
    numbers : set of int
    is_dirty : bool
        Whether something was changed that nobody has looked at.
    in_gesture : bool
        Whether a button of the mouse is held over it.
    is_added : bool
        Whether it is told just now that a shape was added: that is whole, though napari counts it as being
        drawn until it has told.
    """

    def __init__(
        self,
        layer: Layer,
        numbers: set[int],
        changed: Callable[[Layer], None],
        moved: Callable[[Layer], None],
        selected: Callable[[], None],
    ) -> None:
        self.numbers = numbers
        self.is_dirty = self.in_gesture = self.is_added = False
        self._layer, self._changed, self._moved, self._selected = layer, changed, moved, selected
        self._hooks: list[tuple[Any, Callable[..., None]]] = []
        for name in (*_AT_ONCE, *_LATER):
            event = getattr(layer.events, name, None)
            if event is not None:
                hook = self._on_moved if name in _LATER else self._on_changed
                event.connect(hook, position="last")
                self._hooks.append((event, hook))
        self._gesture: Callable[..., Iterator[None]] | None = None
        if hasattr(layer, "selected_data"):
            layer.selected_data.events.items_changed.connect(self._on_selected)
            self._hooks.append((layer.selected_data.events.items_changed, self._on_selected))
            self._gesture = partial(_wait, self)
            layer.mouse_drag_callbacks.append(self._gesture)

    def release(self) -> None:
        """Let the layer go."""
        for event, hook in self._hooks:
            event.disconnect(hook)
        self._hooks.clear()
        if self._gesture is not None and self._gesture in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._gesture)

    def end_gesture(self) -> None:
        """Let what was done be looked at now."""
        self.in_gesture = False
        if self.is_dirty:
            self._changed(self._layer)

    def _on_changed(self, event: Any = None) -> None:
        action = getattr(event, "action", "changed")
        name = str(getattr(action, "value", action))
        self.is_added = name == "added"
        _mend_table(self._layer, event)
        if name in _FINISHED:
            self._changed(self._layer)
        self.is_added = False
        if getattr(event, "type", "") == "paint":
            self._moved(self._layer)  # of a polygon napari tells before it is painted

    def _on_moved(self, _event: Any = None) -> None:
        self._moved(self._layer)

    def _on_selected(self, *_event: Any) -> None:
        self._selected()


def _wait(hooks: LayerHooks, _layer: Layer, event: Any) -> Iterator[None]:
    """Wait for the end of what the mouse does."""
    hooks.in_gesture = True
    yield
    while event.type == "mouse_move":
        yield
    hooks.end_gesture()


def _mend_table(layer: Any, event: Any) -> None:
    """Take the row of a shape that is gone out of the table of features.

    napari 0.9 takes a shape whose last corners are clicked away out of its data, and leaves its row.
    """
    gone = sorted(set(getattr(event, "data_indices", ()) or ()))
    if not hasattr(layer, "shape_type") or not gone or len(layer.features) != len(layer.data) + len(gone):
        return
    if gone[-1] < len(layer.features):
        layer.features = layer.features.drop(index=layer.features.index[gone]).reset_index(drop=True)
