"""The layer that labels are painted in: a window of them at the resolution that one looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_nic.annotations import RGB
from napari_nic.plugin.layers import METADATA_KEY, LayerTag
from napari_nic.slides import Slide

NAME = "Painted labels"
OPACITY = 0.5
HIDDEN = (0.0, 0.0, 0.0, 0.0)


class PaintingLayer(Labels):
    """Labels whose brush, eraser, fill and polygon are napari's, and whose undo reaches past the window.

    Parameters
    ----------
    slide : Slide
        What is painted on.
    **place
        Keyword arguments of a layer: scale, translate, units.
    """

    def __init__(self, slide: Slide, **place: Any) -> None:
        self.commands: Any = None
        """Whom undo and redo of this layer command."""
        super().__init__(
            np.zeros((1, 1), np.uint8),
            name=NAME,
            opacity=OPACITY,
            blending="translucent_no_depth",
            colormap=DirectLabelColormap(color_dict={None: HIDDEN, 0: HIDDEN}),
            metadata={METADATA_KEY: LayerTag("painting", slide, NAME)},
            **place,
        )

    @property
    def _type_string(self) -> str:
        # The kind of layer that it is for menus, icons and writers.
        return "labels"

    @property
    def is_held(self) -> bool:
        """Whether a stroke or polygon is begun and not finished: the window must not move below it."""
        # There is no public way to ask; a stroke by the right button spans many events.
        return self._block_history or len(self._overlays["polygon"].points) > 0

    def fill(self, *args: Any, **options: Any) -> Any:
        """Fill as napari does, and tell."""
        return self._told(super().fill(*args, **options))

    def paint_polygon(self, *args: Any, **options: Any) -> Any:
        """Paint a polygon as napari does, and tell."""
        return self._told(super().paint_polygon(*args, **options))

    def data_setitem(self, *args: Any, **options: Any) -> Any:
        """Set values as napari does, and tell."""
        return self._told(super().data_setitem(*args, **options))

    def _told(self, result: Any) -> Any:
        # Of what is no stroke napari tells before it changes the labels.
        if self.commands is not None and not self._block_history:
            self.commands.commit()
        return result

    def undo(self) -> None:
        """Take the last stroke back, in whichever window it was painted."""
        if self.commands is not None:
            self.commands.undo()

    def redo(self) -> None:
        """Make it anew."""
        if self.commands is not None:
            self.commands.redo()

    def forget_strokes(self) -> None:
        """Let napari keep no strokes of its own: each would keep a mask of what it covered."""
        self._reset_history()

    def show(self, labels: np.ndarray, scale: np.ndarray, translate: np.ndarray) -> None:
        """Show a window.

        Parameters
        ----------
        labels : ndarray of uint8, (rows, cols)
            To be painted in.
        scale, translate : ndarray, (2,)
            (y, x), of its pixels in the slide's frame.
        """
        shown: Any = self  # napari's own types of these do not say what they are
        if labels.shape == shown.data.shape and np.array_equal(scale, shown.scale[-2:]):
            # The same texture at another place, or what an undo made of it.
            shown.data[...] = labels
            self.translate = translate
            self.refresh(extent=False)
        else:
            with self.events.set_data.blocker():  # it is drawn once it is in its place
                self.data = labels
                self.scale = scale
            self.translate = translate
            self.refresh()
        self.forget_strokes()

    def allow(self, allowed: bool) -> None:
        """Let it be painted in, or not."""
        layer: Any = self  # napari's own types of these do not say what they are
        if allowed is not bool(layer.editable):
            mode = str(layer.mode)
            layer.editable = allowed
            if allowed and mode == "pan_zoom":
                layer.mode = "paint"

    def set_colors(self, colors: Mapping[int, RGB]) -> None:
        """Give numbers their colours; all others are not seen."""
        table: dict[int | None, Any] = {None: HIDDEN, 0: HIDDEN}
        table |= {number: (*(value / 255 for value in color), 1.0) for number, color in colors.items()}
        self.colormap = DirectLabelColormap(color_dict=table)
