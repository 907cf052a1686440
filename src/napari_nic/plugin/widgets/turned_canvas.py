"""Turns the canvas of a window: what napari 0.9 has no interface for.

napari's camera turns in three dimensions alone. vispy, which draws for it, can turn in two: its cameras take
a transform that comes after all others (``pre_transform``). Two things of napari's have to know of it:
dragging, which moves along the screen, and which part of a pyramid is read, which napari asks of two corners
of the canvas. All that is private to napari is touched in this file alone; where it is not as it was in 0.9,
the view is not turned, and everything else works.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from vispy.visuals.transforms import MatrixTransform

if TYPE_CHECKING:
    import napari


class TurnedCanvas:
    """Turns what a window's canvas shows.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._canvas: Any = viewer.window._qt_viewer.canvas
        self._camera: Any = self._canvas.camera._2D_camera
        self._pan: Any = None
        self._degrees = 0.0
        self._plain_class: Any = type(self._canvas)

    @classmethod
    def of(cls, viewer: napari.Viewer) -> TurnedCanvas | None:
        """Return one for this window; None where napari is not as it was in 0.9."""
        try:
            made = cls(viewer)
        except AttributeError:
            return None
        names = ("pre_transform", "pan", "transform")
        has_all = all(hasattr(made._camera, name) for name in names)
        return made if has_all and hasattr(made._plain_class, "_viewbox_corners_in_world") else None

    def turn(self, degrees: float) -> None:
        """Turn clockwise by so many degrees from upright."""
        if degrees and self._pan is None:
            self._begin()
        self._degrees = degrees
        self._follow()
        if not degrees:
            self.close()

    def close(self) -> None:
        """Give napari its canvas back as it was."""
        if self._pan is None:
            return
        self._viewer.canvas.events.size.disconnect(self._follow)
        del self._camera.pan  # the method of the class again
        self._pan = None
        self._canvas.__class__ = self._plain_class
        self._camera.pre_transform = None
        self._degrees = 0.0
        self._canvas.native.update()

    def _begin(self) -> None:
        self._pan = self._camera.pan
        self._camera.pan = self._pan_turned
        self._canvas.__class__ = _turned_class(self._plain_class)
        self._viewer.canvas.events.size.connect(self._follow)

    def _follow(self, event: Any = None) -> None:  # noqa: ARG002 -- napari passes the event
        """Turn around the middle of the canvas, which moves when that is resized."""
        turned = MatrixTransform()
        middle = np.array([*self._canvas.view.rect.size, 0.0]) / 2
        turned.translate(-middle)
        turned.rotate(self._degrees, (0, 0, 1))
        turned.translate(middle)
        self._camera.pre_transform = turned
        self._canvas.native.update()

    def _pan_turned(self, *pan: Any) -> None:
        """Move along the screen: vispy takes a drag for one along the rows and columns of the world."""
        step = np.asarray(pan[0] if len(pan) == 1 else pan, np.float64)[:2]
        scale = np.asarray(self._camera.transform.scale)[:2]
        angle = np.radians(self._degrees)
        back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self._pan(*(back @ (step * scale) / scale))


@functools.cache
def _turned_class(plain: Any) -> Any:
    """Make the class of a canvas that knows all of its corners."""

    class Turned(plain):
        """napari's canvas, turned."""

        @property
        def _viewbox_corners_in_world(self) -> npt.NDArray[np.float64]:
            """Return the box around all four corners: two are not enough once the canvas is turned."""
            width, height = self.view.rect.size
            places = [(x, y) for x in (0, width) for y in (0, height)]
            corners = np.array([self._map_canvas2world(place, self.view) for place in places])
            return np.array([corners.min(axis=0), corners.max(axis=0)])

    return Turned
