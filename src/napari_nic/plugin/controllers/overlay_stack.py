"""The overlay layers of the session's slide: found, put in place, kept in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.overlay_kinds import KINDS
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import METADATA_KEY, overlay_layer, tag_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer


class OverlayStack:
    """Layers by kind; the layer list itself is the state.

    Each dock that shows colours over the slide has one. What one shows hides what those of others show:
    colours over colours say nothing, and their legends stand in different docks.

    Parameters
    ----------
    session : Session
    changed : callable
        Called when an overlay of the session's slide is faded, shown or hidden, by us or in napari's layer
        list; with its kind where it was shown or hidden by others than :meth:`put`, else with None.
    kinds : sequence of str
        What it shows.
    resting : callable, optional
        Makes a context in which a layer is added: the window may rest meanwhile and be drawn later.
    """

    def __init__(
        self,
        session: Session,
        changed: Callable[[Any], None],
        *,
        kinds: Sequence[str] = KINDS,
        resting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._session = session
        self._changed, self._kinds = changed, kinds
        self._is_putting = False
        self.resting = resting

    def layer(self, kind: str) -> Image | None:
        """The layer of this kind on the session's slide."""
        slide = self._session.slide
        for layer in self._session.viewer.layers:
            tag = tag_of(layer)
            if (
                tag is not None
                and tag.kind == "overlay"
                and tag.name == kind
                and tag.slide is slide
                and slide is not None
            ):
                return layer
        return None

    def shown(self, kind: str) -> bool:
        """Whether there is such a layer and it is visible."""
        layer = self.layer(kind)
        return layer is not None and bool(layer.visible)

    def put(self, overlay: Overlay, *, opacity: float, visible: bool = True) -> Image:
        """Show an overlay: in its layer if it has one, else in a new one, under annotations.

        A layer is kept where napari allows it: taking one away makes it collect garbage for 0.2 s.
        """
        slide = self._session.slide
        title = f"{overlay.name}" if slide is None else f"{overlay.name} ({slide.name})"
        data, options, _ = overlay_layer(overlay, slide, title=title)
        layer = self.layer(overlay.kind)
        if layer is not None and bool(layer.rgb) == overlay.is_picture:
            self._is_putting = True
            try:
                _update(layer, data, options)
                layer.visible = visible
            finally:
                self._is_putting = False
        else:
            if layer is not None:
                self._session.viewer.layers.remove(layer)
            layer = self._add(data, options | {"opacity": opacity, "visible": visible})
        self._hide_rivals(layer)
        return layer

    def remove(self, kind: str) -> None:
        """Take the layer of this kind away, if there is one."""
        layer = self.layer(kind)
        if layer is not None:
            self._session.viewer.layers.remove(layer)

    def _add(self, data: np.ndarray, options: dict[str, Any]) -> Image:
        from napari.layers import Image

        layers = self._session.viewer.layers
        selection = layers.selection
        active = selection.active
        layer = Image(data, **options)
        # What the user works on, an annotation for instance, stays the active layer. napari activates a
        # new one; to tell of that, and of the way back, is two changes of its layer controls for nothing.
        quietly = nullcontext() if active is None else selection.events.blocker_all()
        with self.resting(), quietly:
            layers.insert(self._place(), layer)
            if active is not None:
                selection.active = active
        for emitter in (layer.events.visible, layer.events.opacity):
            emitter.connect(self._on_layer)
        return layer

    def close(self) -> None:
        """Let all layers go."""
        for layer in self._session.viewer.layers:
            for emitter in (layer.events.visible, layer.events.opacity):
                emitter.disconnect(self._on_layer)

    def _place(self) -> int:
        """Index under the lowest annotation or tissue layer that lies above the slide."""
        layers = list(self._session.viewer.layers)
        slide = self._session.layer
        start = layers.index(slide) + 1 if slide in layers else 0
        for index in range(start, len(layers)):
            if _stays_on_top(layers[index]):
                return index
        return len(layers)

    def _on_layer(self, event: Any) -> None:
        seen = event.type == "visible" and not self._is_putting
        moved = (kind for kind in self._kinds if self.layer(kind) is event.source)
        if seen:
            self._hide_rivals(event.source)
        self._changed(next(moved, None) if seen else None)

    def _hide_rivals(self, shown: Layer) -> None:
        """Hide what other docks show of the slide, if this layer is seen."""
        if not shown.visible:
            return
        slide = getattr(tag_of(shown), "slide", None)
        for layer in self._session.viewer.layers:
            tag = tag_of(layer)
            if tag is None or tag.kind != "overlay" or tag.legend is None or tag.name in self._kinds:
                continue
            if tag.slide is slide and layer.visible:
                layer.visible = False


def _stays_on_top(layer: Layer) -> bool:
    tag = tag_of(layer)
    own = tag is not None and tag.kind in ("annotations", "tissue")
    return own or type(layer).__name__ in ("Shapes", "Points")


def _update(layer: Image, data: np.ndarray, options: dict[str, Any]) -> None:
    layer.data = data
    layer.name = options["name"]
    layer.scale, layer.translate = options["scale"], options["translate"]
    if (tag := tag_of(layer)) is not None:
        tag.legend = options["metadata"][METADATA_KEY].legend
    if "contrast_limits" in options:
        layer.contrast_limits_range = options["contrast_limits"]
        layer.contrast_limits = options["contrast_limits"]
        layer.colormap = options["colormap"]
