"""The layer that is active while a tool of the annotator is: it shows what is drawn, and has keys of its own.

napari looks for keys at the active layer first, and brings mouse events to it. So the tools' keys and
gestures live in a class of layers of their own: while another layer is active, all of them are napari's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Vectors

from napari_nic.annotations import RGB
from napari_nic.plugin.layers import METADATA_KEY, LayerTag
from napari_nic.plugin.tools.pointer import Sketch
from napari_nic.slides import Slide

WIDTH = 2.5
"""Of lines, in pixels of the screen."""

MARK = 4.0
"""Half a mark's side, in pixels of the screen."""

DASH = 7.0
"""Dashes around selected objects, in pixels of the screen."""

MOST_DASHES = 6000
"""Longer outlines are drawn in one colour: each dash is a segment."""

BLACK, WHITE, ERASING = (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 0.1, 0.1, 1.0)
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
        chosen = [_segments(line) for line in selected]
        dashes, colors = _dashed(chosen, DASH * step)
        lines = [_segments(line) for line in sketch.lines] + [
            _cross(mark, MARK * step) for mark in sketch.marks
        ]
        drawn = np.concatenate([np.zeros((0, 2, 2)), *lines])
        rgba = ERASING if sketch.erases else (*(part / 255 for part in color), 1.0)
        self.edge_width = WIDTH * step
        data = np.concatenate([dashes, drawn])
        if len(data) == self._n_shown == 0:
            return
        self._n_shown = len(data)
        self.data = data[..., ::-1].astype(np.float32)
        if len(data):
            self.edge_color = np.concatenate([colors, np.tile(rgba, (len(drawn), 1))])


def _segments(line: np.ndarray) -> np.ndarray:
    """Starts and directions (n - 1, 2, 2) of the sides of a line (n, 2)."""
    return np.stack([line[:-1], np.diff(line, axis=0)], axis=1)


def _cross(at: tuple[float, float], half: float) -> np.ndarray:
    x, y = at
    return np.array(
        [[[x - half, y - half], [2 * half, 2 * half]], [[x - half, y + half], [2 * half, -2 * half]]]
    )


def _dashed(lines: Sequence[np.ndarray], length: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut sides into dashes of black and white, which are seen on any ground; very many stay whole."""
    if not lines:
        return np.zeros((0, 2, 2)), np.zeros((0, 4))
    sides = np.concatenate(lines)
    lengths = np.hypot(*sides[:, 1].T)
    counts = np.maximum(1, np.ceil(lengths / length)).astype(int)
    if counts.sum() > MOST_DASHES:
        return sides, np.tile(ONE_COLOR, (len(sides), 1))
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = np.repeat(sides[:, 1] / counts[:, None], counts, axis=0)
    starts = np.repeat(sides[:, 0], counts, axis=0) + steps * number[:, None]
    along = np.cumsum(np.hypot(*steps.T))
    colors = np.where(((along / length).astype(int) % 2 == 0)[:, None], BLACK, WHITE)
    return np.stack([starts, steps], axis=1), colors
