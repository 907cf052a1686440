"""Similarity, unusual cells and groups as layers: one at a time, and never over the NIC dock's colours."""

from __future__ import annotations

from typing import Any, Literal

from psygnal import Signal

from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.desk_link import DeskLink
from napari_nic.plugin.controllers.overlay_kinds import KINDS
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of, to_slide_um
from napari_nic.plugin.legend import UM, Legend, format_value, legend_of

MapKind = Literal["similarity", "anomaly", "clusters"]
MAP_KINDS: tuple[MapKind, ...] = ("similarity", "anomaly", "clusters")
OPACITY = 0.6
"""At first: the tissue stays legible under the colours."""


class CodeMaps:
    """The maps of the session's slide.

    Parameters
    ----------
    link : DeskLink
    """

    changed = Signal()
    forgotten = Signal()
    """Emitted when another slide or store is worked on: what was computed is of the one before."""

    def __init__(self, link: DeskLink) -> None:
        self._link = link
        self._session: Session | None = None
        self._stack: OverlayStack | None = None
        self._overlays: dict[MapKind, Overlay] = {}
        self._opacity = OPACITY
        self._others_shown = False
        self._why_not = link.why_not()
        link.store_changed.connect(self._on_store)
        link.overlays_changed.connect(self._on_others)

    def close(self) -> None:
        """Let the viewer go."""
        if self._stack is not None:
            self._stack.close()
        self._stack = self._session = None

    def _stack_of(self, session: Session) -> OverlayStack:
        if self._stack is None or session is not self._session:
            self._stack, self._session = OverlayStack(session, self._on_layer, kinds=MAP_KINDS), session
        return self._stack

    def overlay(self, kind: MapKind) -> Overlay | None:
        """The map that was computed last, shown or not."""
        return self._overlays.get(kind)

    def shown(self, kind: MapKind) -> bool:
        """Whether a map is on the screen."""
        session = self._link.session
        return session is not None and kind in self._overlays and self._stack_of(session).shown(kind)

    def put(self, overlay: Overlay, kind: MapKind, *, visible: bool = True) -> None:
        """Show a map; the others give way to it: colours over colours say nothing."""
        session = self._link.session
        if session is None:
            return
        if visible:
            self._hide_others(kind)
        layer = self._stack_of(session).layer(kind)
        opacity = self._opacity if layer is None else float(layer.opacity)
        self._overlays[kind] = overlay
        self._stack_of(session).put(overlay, opacity=opacity, visible=visible)
        self.changed.emit()

    def show(self, kind: MapKind, *, on: bool) -> None:
        """Show or hide a map that was computed."""
        session = self._link.session
        layer = None if session is None else self._stack_of(session).layer(kind)
        if layer is None:
            if on and kind in self._overlays:
                self.put(self._overlays[kind], kind)
            return
        if on:
            self._hide_others(kind)
        layer.visible = on
        self.changed.emit()

    def drop(self, kind: MapKind) -> None:
        """Take a map away that is not so any more."""
        self._overlays.pop(kind, None)
        if self._stack is not None:
            self._stack.remove(kind)
        self.changed.emit()

    def set_opacity(self, opacity: float) -> None:
        """Fade the maps, 0 to 1."""
        self._opacity = opacity
        for kind in MAP_KINDS:
            layer = None if self._stack is None else self._stack.layer(kind)
            if layer is not None:
                layer.opacity = opacity

    def legend(self) -> Legend | None:
        """Meaning of the map that is shown."""
        overlay = self._on_screen()
        return None if overlay is None else legend_of(overlay)

    def describe(self, world: tuple[float, ...]) -> str:
        """Say what lies under a point of napari's world: value or group, cell (row, column), place in um."""
        session = self._link.session
        if session is None or session.slide is None or session.store is None:
            return ""
        cell = cell_at(world, session)
        if cell is None:
            return ""
        y_um, x_um = to_slide_um(world, session.slide)
        place = f"cell {cell[0]}, {cell[1]} at {y_um:,.0f}, {x_um:,.0f} {UM}"
        what = _value(self._on_screen(), *cell)
        return f"{what}   {place}" if what else place

    def _on_screen(self) -> Overlay | None:
        return next((self._overlays[kind] for kind in MAP_KINDS if self.shown(kind)), None)

    def _hide_others(self, kind: MapKind) -> None:
        for other in MAP_KINDS:
            layer = None if self._stack is None or other == kind else self._stack.layer(other)
            if layer is not None:
                layer.visible = False
        overlays = self._link.overlays
        for theirs in KINDS if overlays is not None else ():
            if overlays is not None and overlays.state(theirs).shown:
                overlays.show(theirs, on=False)
        self._others_shown = False

    def _on_layer(self, kind: Any) -> None:  # noqa: ARG002 -- of the stack
        self.changed.emit()

    def _on_others(self) -> None:
        """Give way to what the NIC dock has just shown; and see whether a run has brought the first codes."""
        overlays, why_not = self._link.overlays, self._link.why_not()
        if why_not != self._why_not:
            self._why_not = why_not
            self.changed.emit()
        if overlays is None:
            return
        shown = any(overlays.stack.shown(kind) for kind in KINDS)
        if shown and not self._others_shown:
            for kind in MAP_KINDS:
                if self.shown(kind):
                    self.show(kind, on=False)
        self._others_shown = shown

    def _on_store(self) -> None:
        """Take the maps of the slide before away."""
        self._overlays.clear()
        session = self._link.session
        for layer in [] if session is None else list(session.viewer.layers):
            tag = tag_of(layer)
            if tag is not None and tag.kind == "overlay" and tag.name in MAP_KINDS:
                session.viewer.layers.remove(layer)  # type: ignore[union-attr]
        self.forgotten.emit()
        self.changed.emit()


def cell_at(world: tuple[float, ...], session: Session) -> tuple[int, int] | None:
    """Return the cell (row, column) of the session's store under a point of napari's world."""
    slide, store = session.slide, session.store
    if slide is None or store is None:
        return None
    y_um, x_um = to_slide_um(world, slide)
    pixel = store.grid.pixel_size
    return store.grid.cell_at(y_um / pixel.y, x_um / pixel.x)


def _value(overlay: Overlay | None, row: int, col: int) -> str:
    if overlay is None or not overlay.mask[row, col]:
        return ""
    if overlay.is_classes:
        return overlay.legend[int(overlay.data[row, col])][0]
    value = overlay.value_at(row, col)
    return "" if value is None else f"{format_value(value)} {overlay.unit}".strip()
