"""Outlines of a file are seen while the rest of it is still being read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.annotations import RGB
from napari_nic.outlines import OutlinePyramid
from napari_nic.outlines.preview import Glimpse
from napari_nic.plugin.layers import LayerTag
from napari_nic.plugin.outline_view import OutlineView
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_nic.slides import Slide


class Previewing:
    """Shows what was read of a file so far by a layer that nothing can be done with.

    Parameters
    ----------
    viewer : ViewerModel
    runner : Runner
        Draws tiles.
    """

    def __init__(self, viewer: ViewerModel, runner: Runner) -> None:
        self._viewer, self._runner = viewer, runner
        self._view: OutlineView | None = None
        self._layer: Layer | None = None

    @property
    def pyramid(self) -> OutlinePyramid | None:
        """What is shown; None if nothing is."""
        return None if self._view is None else self._view.pyramid

    def show(self, glimpse: Glimpse, slide: Slide, name: str, classes: Mapping[str, RGB]) -> None:
        """Show a picture in the place of the one before.

        Parameters
        ----------
        glimpse : Glimpse
        slide : Slide
        name : str
            Of the file.
        classes : mapping of str to (r, g, b)
            Colours that classes have on this slide already.
        """
        if glimpse.pyramid is None:
            self.hide()
            return
        colors = {label: classes.get(label, color) for label, color in glimpse.colors.items()}
        if self._layer is None:
            self._add(glimpse.pyramid, colors, slide, name)
        elif self._view is not None and self._layer in self._viewer.layers:
            self._view.turn_to(glimpse.pyramid)
            self._view.set_colors(colors)

    def hide(self) -> None:
        """Take the picture away."""
        layer, self._layer = self._layer, None
        view, self._view = self._view, None
        if view is not None:
            view.release()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _add(self, pyramid: OutlinePyramid, colors: dict[str, RGB], slide: Slide, name: str) -> None:
        tag = LayerTag("drawing", slide, f"{name} (being read)")
        self._view = OutlineView(pyramid.index, colors, tag, pyramid=pyramid)
        self._view.draw_by(self._runner)
        data, options, _ = self._view.layer_data()
        active = self._viewer.layers.selection.active
        self._layer = self._viewer.add_labels(data, **options)
        self._view.bind(self._layer, self._runner)
        self._viewer.layers.selection.active = active
