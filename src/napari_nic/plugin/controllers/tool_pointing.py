"""Between napari and the tools: the layer that is active with a tool, its mouse events, and what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.plugin.controllers.annotator import Annotator
from napari_nic.plugin.controllers.object_list import ObjectList
from napari_nic.plugin.controllers.object_operations import ObjectOperations
from napari_nic.plugin.controllers.selected_outlines import Box, SelectedOutlines
from napari_nic.plugin.drawing_layer import DRAW, PAN_ZOOM, DrawingLayer, clear_ring
from napari_nic.plugin.layers import annotation_frame, pixel_of
from napari_nic.plugin.tools.pointer import NOTHING, Pointer, Sketch

if TYPE_CHECKING:
    from napari.layers import Layer

LEFT, MIDDLE = 1, 3
SHIFT, ALT, CONTROL = "Shift", "Alt", "Control"
MOST_OUTLINED = 200
"""Of more selected objects only so many have dashes."""

LEAST_ZOOM = 1.15
"""Outlines get their width anew when the zoom has changed by this factor."""


class ToolPointing:
    """Puts the drawing layer into the viewer while a tool is active, and passes on what the mouse does.

    Parameters
    ----------
    annotator : Annotator
    operations : ObjectOperations
    listed : ObjectList
        What keys act on.
    """

    def __init__(self, annotator: Annotator, operations: ObjectOperations, listed: ObjectList) -> None:
        self.annotator = annotator
        self.operations = operations
        self.listed = listed
        self.layer: DrawingLayer | None = None
        self._before: Layer | None = None
        self._is_ours = False
        self._shown_step = 0.0
        self._outlines = SelectedOutlines()
        self._last = Pointer((0.0, 0.0))
        self._viewer = annotator.session.viewer
        annotator.tool_changed.connect(self._on_tool)
        annotator.changed.connect(self.refresh)
        annotator.worked.connect(self._on_worked)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._viewer.scene.camera.events.zoom.connect(self._on_zoom)
        self._viewer.scene.camera.events.center.connect(self._on_center)

    def close(self) -> None:
        """Take the layer out, and let the viewer go."""
        self.annotator.tool_changed.disconnect(self._on_tool)
        self.annotator.changed.disconnect(self.refresh)
        self.annotator.worked.disconnect(self._on_worked)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.scene.camera.events.zoom.disconnect(self._on_zoom)
        self._viewer.scene.camera.events.center.disconnect(self._on_center)
        self._take_out()

    def pointer_xy(self) -> tuple[float, float]:
        """Where the pointer is, level-0 pixels."""
        layer = self.layer
        if layer is None:
            return self._last.xy
        y, x = layer.world_to_data(self._viewer.cursor.position)[-2:]
        return float(x), float(y)

    # -- the layer ---------------------------------------------------------------------------------------

    def _on_tool(self) -> None:
        tool, slide = self.annotator.tool, self.annotator.session.slide
        if tool is None or slide is None:
            self._take_out()
            return
        if self.layer is not None and self.layer.metadata["napari_nic"].slide is not slide:
            self._take_out()
        if self.layer is None:
            self._put_in()
        self._set_cursor()

    def _put_in(self) -> None:
        slide = self.annotator.session.slide
        assert slide is not None  # noqa: S101 -- for the type checker
        layer = DrawingLayer(slide, **annotation_frame(slide))
        layer.commands = self
        clear_ring(self._viewer)
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.mouse_move_callbacks.append(self._on_move)
        layer.mouse_double_click_callbacks.append(self._on_double_click)
        layer.mouse_wheel_callbacks.append(self._on_wheel)
        with self._our_doing():
            self._before = self._viewer.layers.selection.active
            self._viewer.add_layer(layer)
            self.layer = layer
            self._lie_on_slide(layer)
            self._viewer.layers.selection.active = layer
        layer.mode = DRAW
        self._shown_step = 0.0
        self.refresh()

    def _lie_on_slide(self, layer: DrawingLayer) -> None:
        """Follow a slide that the user moved: what is drawn belongs to the pixels below the pointer."""
        shown = self.annotator.session.layer
        if shown is not None:
            origin = np.array(shown.data_to_world((-0.5, -0.5))[-2:])
            axes = [np.array(shown.data_to_world(at)[-2:]) - origin for at in ((0.5, -0.5), (-0.5, 0.5))]
            affine = np.eye(3)
            affine[:2, :2], affine[:2, 2] = np.stack(axes, axis=1), origin
            layer.scale, layer.translate, layer.affine = (1, 1), (0, 0), affine

    def _take_out(self) -> None:
        layer, self.layer = self.layer, None
        if layer is None:
            return
        layer.commands = None
        with self._our_doing():
            if layer in self._viewer.layers:
                was_active = self._viewer.layers.selection.active is layer
                self._viewer.layers.remove(layer)
                if was_active and self._before in self._viewer.layers:
                    self._viewer.layers.selection.active = self._before
        self._before = None
        _let_go(layer)

    def _on_active(self, event: Any) -> None:
        """Lay the tool down when another layer is chosen: keys are that layer's then."""
        is_wish = not (self._is_ours or self.annotator.is_working)
        if self.layer is not None and is_wish and event.value is not self.layer:
            self._before = event.value
            self.annotator.set_tool("")

    def _on_worked(self) -> None:
        """Stay active and on top: objects may have got a layer of their own."""
        layers = self._viewer.layers
        if self.layer is None or self.layer not in layers:
            return
        with self._our_doing():
            if layers[-1] is not self.layer:
                layers.move(layers.index(self.layer), len(layers))
            if layers.selection.active is not self.layer:
                layers.selection.active = self.layer

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer and not self._is_ours:
            self.annotator.set_tool("")

    @contextmanager
    def _our_doing(self) -> Iterator[None]:
        before, self._is_ours = self._is_ours, True
        try:
            yield
        finally:
            self._is_ours = before

    # -- the mouse ---------------------------------------------------------------------------------------

    def _pointer(self, event: Any) -> Pointer:
        assert self.layer is not None  # noqa: S101 -- its own event
        y, x = self.layer.world_to_data(event.position)[-2:]
        modifiers = event.modifiers
        held = {name: name in modifiers for name in (SHIFT, ALT, CONTROL)}
        self._last = Pointer(
            (float(x), float(y)), self.step, add=held[SHIFT], subtract=held[ALT], free=held[CONTROL]
        )
        return self._last

    @property
    def step(self) -> float:
        """Level-0 pixels of a pixel on the screen."""
        mean = pixel_of(self.annotator.session.slide).mean
        return 1 / (max(self._viewer.scene.camera.zoom, 1e-9) * mean)

    def _on_drag(self, layer: DrawingLayer, event: Any) -> Iterator[None]:
        tool = self.annotator.tool
        if tool is None or layer is not self.layer or layer.mode == PAN_ZOOM:
            return
        if event.button == MIDDLE:
            yield from self._pan(event)
            return
        if event.button != LEFT:
            return
        tool.press(self._pointer(event))
        self.refresh()
        yield
        while event.type == "mouse_move":
            tool.drag(self._pointer(event))
            self.refresh()
            yield
        tool.release(self._pointer(event))
        self.refresh()

    def _pan(self, event: Any) -> Iterator[None]:
        """Move the slide with the middle button."""
        camera = self._viewer.scene.camera
        last = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            here = np.array(event.pos)
            shift = (last - here)[::-1] / camera.zoom
            camera.center = (*camera.center[:-2], *(np.array(camera.center[-2:]) + shift))
            last = here
            yield

    def _on_move(self, layer: DrawingLayer, event: Any) -> None:
        if self.annotator.tool is not None and layer is self.layer and self.annotator.tool.is_drawing:
            self.annotator.tool.hover(self._pointer(event))
            self.refresh()

    def _on_double_click(self, layer: DrawingLayer, event: Any) -> None:
        if self.annotator.tool is None or layer is not self.layer or layer.mode == PAN_ZOOM:
            return
        if event.button == LEFT:
            self.annotator.tool.double_click(self._pointer(event))
            self.refresh()

    def _on_wheel(self, layer: DrawingLayer, event: Any) -> None:
        if layer is self.layer and CONTROL in event.modifiers:
            turned = event.delta[1] or event.delta[0]
            self.annotator.resize(1 if turned > 0 else -1)
            event.handled = True

    # -- what is shown -----------------------------------------------------------------------------------

    @property
    def sketch(self) -> Sketch:
        """What is being drawn."""
        return NOTHING if self.annotator.tool is None else self.annotator.tool.sketch

    def refresh(self) -> None:
        """Show what is being drawn, and which objects are selected."""
        if self.layer is None:
            return
        self._set_cursor()
        self._shown_step = self.step
        annotator = self.annotator
        items = () if annotator.documents.hidden else annotator.items[:MOST_OUTLINED]
        selected = self._outlines.lines(items, self._shown_step, self._view())
        self.layer.show(self.sketch, annotator.color, selected, step=self._shown_step)
        if self.sketch.text:
            self._viewer.status = self.sketch.text

    def _on_zoom(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        if self.layer is not None and self._shown_step > 0:
            ratio = self.step / self._shown_step
            if max(ratio, 1 / ratio) > LEAST_ZOOM:
                self.refresh()

    def _on_center(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        if self.layer is not None and self._outlines.is_left(self._view()):
            self.refresh()

    def _view(self) -> Box:
        """What the screen shows at the most, however it is turned, level-0 pixels."""
        assert self.layer is not None  # noqa: S101 -- asked while it is shown
        y, x = self.layer.world_to_data(self._viewer.scene.camera.center)[-2:]
        reach = float(np.hypot(*self._viewer.canvas.size)) / 2 * self.step
        return x - reach, y - reach, x + reach, y + reach

    def _set_cursor(self) -> None:
        layer, tool = self.layer, self.annotator.tool
        if layer is None or tool is None:
            return
        if tool.cursor == "circle":
            # napari scales it by the zoom, so that its size is one of the world.
            layer.cursor_size = self.annotator.brush.size_um
            layer.cursor = "circle" if self.annotator.brush.shape == "disc" else "square"
        else:
            layer.cursor = tool.cursor


def _let_go(layer: DrawingLayer) -> None:
    """Let a layer that was taken out lead to nothing: napari may keep it, with the controls it made for it.

    By its callbacks it would keep all that the window has: slides with their tiles, documents, codes.
    """
    for callbacks in (
        layer.mouse_drag_callbacks,
        layer.mouse_move_callbacks,
        layer.mouse_double_click_callbacks,
        layer.mouse_wheel_callbacks,
    ):
        callbacks.clear()
    layer.metadata = {}
