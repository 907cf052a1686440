"""The layer that is active while a tool of the annotator is: it shows what is drawn, and has keys of its own.

napari looks for keys at the active layer first, and brings mouse events to it. So the tools' keys and
gestures live in a class of layers of their own: while another layer is active, all of them are napari's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Vectors

from napari_nic.annotations import RGB
from napari_nic.plugin.layers import METADATA_KEY, LayerTag
from napari_nic.plugin.tools.pointer import Sketch
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.components import ViewerModel

WIDTH = 2.5
"""Of lines, in pixels of the screen."""

MARK = 4.0
"""Half a mark's side, in pixels of the screen."""

DASH = 7.0
"""Dashes around selected objects, in pixels of the screen."""

MOST_DASHES = 6000
"""Longer outlines are drawn in one colour: each dash is a segment."""

RGBA = tuple[float, float, float, float]

BLACK, WHITE, ERASING = (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 0.1, 0.1, 1.0)
SAME_WIDTH = 0.01
ONE_COLOR = (1.0, 0.85, 0.0, 1.0)
NAME = "Annotator"
PAN_ZOOM, DRAW = "pan_zoom", "draw"


class DrawingLayer(Vectors):
    """Outlines as segments; see :class:`~napari_nic.plugin.controllers.tool_pointing.ToolPointing`.

    Parameters
    ----------
    slide : Slide
        What is drawn on.
    **place
        Keyword arguments of a layer whose data are level-0 pixels, corner-based: scale, translate, units.
    """

    def __init__(self, slide: Slide, **place: Any) -> None:
        self._size = slide.levels[0].shape
        self._is_sketching = False
        self._width = 1.0
        super().__init__(
            np.zeros((0, 2, 2), np.float32),
            ndim=2,
            name=NAME,
            edge_width=1,
            vector_style="line",
            opacity=1,
            blending="translucent_no_depth",
            metadata={METADATA_KEY: LayerTag("drawing", slide, NAME)},
            **place,
        )
        self._n_shown = 0
        self._said = ""
        self.commands: Any = None
        """Whom the keys of this layer command."""

    @property
    def mode(self) -> str:
        """``"draw"``, or ``"pan_zoom"`` while the mouse moves the slide, since napari's key for it is held.

        In any other mode than that napari neither zooms on a double click nor draws a box to zoom with Alt.
        """
        return PAN_ZOOM if self.mouse_pan else DRAW

    @mode.setter
    def mode(self, mode: object) -> None:
        self.mouse_pan = str(mode) == PAN_ZOOM

    @property
    def _type_string(self) -> str:
        # The kind of layer that it is for menus, icons and writers.
        return "vectors"

    @property
    def _extent_data(self) -> np.ndarray:
        """The slide: what is drawn on it makes it no larger, and moves no slider."""
        return np.array([(0.0, 0.0), self._size])

    def _clear_extent(self) -> None:
        """Leave alone what other layers and sliders know of the size while the pointer draws."""
        if not self._is_sketching:
            super()._clear_extent()

    def get_status(self, *args: Any, **options: Any) -> dict[str, str]:
        """Return what napari says of the place under the pointer, and the size of what is being drawn.

        napari asks after each move of the pointer, and shows what it is told instead of what was shown.
        """
        status: dict[str, str] = super().get_status(*args, **options)
        if self._said:
            status |= {"value": self._said, "coordinates": f"{status['coords']}: {self._said}"}
        return status

    def _update_thumbnail(self) -> None:
        """Leave the thumbnail as it is: it would be drawn pixel by pixel at each move of the pointer."""

    def show(
        self, sketch: Sketch, color: RGB, selected: Sequence[np.ndarray] = (), *, step: float = 1.0
    ) -> None:
        """Show what is drawn, in the colour of its class, and outlines of selected objects in dashes.

        Parameters
        ----------
        sketch : Sketch
        color : (r, g, b)
        selected : sequence of ndarray, (n, 2)
            (x, y), level-0 pixels.
        step : float
            Level-0 pixels of a pixel on the screen.
        """
        self._said = sketch.text
        rgba = ERASING if sketch.erases else (color[0] / 255, color[1] / 255, color[2] / 255, 1.0)
        chosen = _dashed([_segments(line) for line in selected], DASH * step, (BLACK, WHITE))
        # Dashes of the class and of black: a class may have the colour of the stain.
        drawn = _dashed([_segments(line) for line in sketch.lines], DASH * step, (rgba, rgba, BLACK))
        marks = np.concatenate([np.zeros((0, 2, 2)), *(_cross(mark, MARK * step) for mark in sketch.marks)])
        data = np.concatenate([chosen[0], drawn[0], marks])
        colors = np.concatenate([chosen[1], drawn[1], np.tile(rgba, (len(marks), 1))])
        if len(data) != 0 or self._n_shown != 0:
            self._n_shown = len(data)
            self._take(data[..., ::-1].astype(np.float32), colors, WIDTH * step)

    def _take(self, data: np.ndarray, colors: np.ndarray, width: float) -> None:
        self._is_sketching = True
        try:
            if abs(self._width - width) > SAME_WIDTH * width:
                self.edge_width = self._width = width
            if len(data) == 0:
                self.data = data
                return
            with self.events.set_data.blocker():  # the mesh is made once, by the colours
                self.data = data
            self.edge_color = colors
        finally:
            self._is_sketching = False


def clear_ring(viewer: ViewerModel) -> None:
    """Let what lies in the ring of a brush be seen: napari may lay a square there, and leave it for good."""
    ring = getattr(viewer.canvas.overlays, "_brush_circle", None)  # there is no public way
    if ring is not None:
        ring.box = False


def _segments(line: np.ndarray) -> np.ndarray:
    """Starts and directions (n - 1, 2, 2) of the sides of a line (n, 2)."""
    return np.stack([line[:-1], np.diff(line, axis=0)], axis=1)


def _cross(at: tuple[float, float], half: float) -> np.ndarray:
    x, y = at
    return np.array(
        [[[x - half, y - half], [2 * half, 2 * half]], [[x - half, y + half], [2 * half, -2 * half]]]
    )


def _dashed(
    lines: Sequence[np.ndarray], length: float, colors: Sequence[RGBA]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut sides into dashes of colours in turn, so that they are seen on any ground; very many stay whole."""
    if not lines:
        return np.zeros((0, 2, 2)), np.zeros((0, 4))
    sides = np.concatenate(lines)
    lengths = np.hypot(*sides[:, 1].T)
    counts = np.maximum(1, np.ceil(lengths / length)).astype(int)
    if counts.sum() > MOST_DASHES:
        return sides, np.tile(ONE_COLOR if colors[0] == BLACK else colors[0], (len(sides), 1))
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = np.repeat(sides[:, 1] / counts[:, None], counts, axis=0)
    starts = np.repeat(sides[:, 0], counts, axis=0) + steps * number[:, None]
    along = np.cumsum(np.hypot(*steps.T))
    turn = (along / length).astype(int) % len(colors)
    return np.stack([starts, steps], axis=1), np.array(colors)[turn]
