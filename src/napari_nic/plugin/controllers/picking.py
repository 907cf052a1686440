"""A click on the slide chooses a place, while that is wanted; drags and all keys stay napari's."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from napari_nic.plugin.controllers.keys import Key, KeyMap

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

STILL_PX = 4.0
"""A pointer that moves by less between press and release has clicked."""

CURSOR = "cross"


class Picking:
    """The mode in which clicks choose.

    Parameters
    ----------
    viewer : ViewerModel
    picked : callable
        Called with the place of a click, in napari's world.
    changed : callable
        Called when the mode begins or ends.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        picked: Callable[[tuple[float, ...]], object],
        changed: Callable[[], object],
    ) -> None:
        self._viewer, self._picked, self._changed = viewer, picked, changed
        self._keys: KeyMap | None = None
        self._layer: Layer | None = None
        self._before: Layer | None = None

    @property
    def is_on(self) -> bool:
        """Whether a click chooses now."""
        return self._keys is not None

    def start(self, layer: Layer) -> None:
        """Let clicks choose; `layer`, the slide's, becomes the active one, so that no click draws."""
        if self.is_on:
            return
        self._before = self._viewer.layers.selection.active
        self._layer = layer
        self._viewer.layers.selection.active = layer
        layer.cursor = CURSOR
        self._keys = KeyMap(self._viewer, [Key("Escape", "stop picking", self.stop)])
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._changed()

    def stop(self) -> None:
        """Leave the mode; what was active before is active again."""
        if self._keys is None:
            return
        self._keys.close()
        self._keys = None
        selection = self._viewer.layers.selection
        selection.events.active.disconnect(self._on_active)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        layer, before = self._layer, self._before
        self._layer = self._before = None
        if layer is not None:
            layer.cursor = "standard"
        if before is not None and before in self._viewer.layers and selection.active is layer:
            selection.active = before
        self._changed()

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Wait for the release: a drag pans, as always."""
        if getattr(event, "button", 1) != 1:
            return
        start = event.pos
        place = tuple(float(value) for value in viewer.cursor.position)
        moved = 0.0
        yield
        while event.type == "mouse_move":
            moved = max(moved, _apart(event.pos, start))
            yield
        moved = max(moved, _apart(event.pos, start))  # a busy window may be told of the release alone
        if moved < STILL_PX and self.is_on:
            self._picked(place)

    def _on_active(self, event: Any) -> None:
        """Who turns to another layer, to draw for instance, has done with picking."""
        if event.value is not self._layer:
            self._before = None
            self.stop()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._before = None
            self.stop()


def _apart(one: Any, other: Any) -> float:
    """How far two places on the canvas lie apart along an axis, in its pixels."""
    return max(abs(float(a) - float(b)) for a, b in zip(one, other, strict=True))
