"""Which slide the viewer shows: the uppermost one that is visible, whichever dock put it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.plugin.layers import tag_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_nic.slides import Slide


class SlideWatch:
    """Follows the viewer's layers.

    Parameters
    ----------
    viewer : ViewerModel
    """

    changed = Signal()
    """Emitted when another slide is seen, or the same one with another um/px."""

    slides_changed = Signal()
    """Emitted when a slide was opened or taken away."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.layer: Layer | None = None
        self._slide: Slide | None = None
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self._on_change)
        for layer in self.slide_layers:
            self._follow(layer)
        self._look()

    def close(self) -> None:
        """Stop following."""
        events = self.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._on_change)
        for layer in self.slide_layers:
            self._leave(layer)
        self.layer = self._slide = None

    @property
    def slide_layers(self) -> list[Layer]:
        """The viewer's slides, in the order of the layer list."""
        return [layer for layer in self.viewer.layers if is_slide_layer(layer)]

    @property
    def slide(self) -> Slide | None:
        """The slide that is seen."""
        return self._slide

    def _follow(self, layer: Layer) -> None:
        layer.events.visible.connect(self._on_change)
        layer.events.scale.connect(self._on_change)

    def _leave(self, layer: Layer) -> None:
        layer.events.visible.disconnect(self._on_change)
        layer.events.scale.disconnect(self._on_change)

    def _on_inserted(self, event: Any) -> None:
        if is_slide_layer(event.value):
            self._follow(event.value)
            self._look()
            self.slides_changed.emit()

    def _on_removed(self, event: Any) -> None:
        if is_slide_layer(event.value):
            self._leave(event.value)
            self._look()
            self.slides_changed.emit()

    def _on_change(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self._look()

    def _look(self) -> None:
        seen = next((layer for layer in reversed(self.slide_layers) if layer.visible), None)
        tag = None if seen is None else tag_of(seen)
        slide = None if tag is None else tag.slide
        if seen is not self.layer or slide is not self._slide:
            self.layer, self._slide = seen, slide
            self.changed.emit()


def is_slide_layer(layer: Layer) -> bool:
    """Whether a layer shows a slide of ours."""
    tag = tag_of(layer)
    return tag is not None and tag.kind == "slide"
