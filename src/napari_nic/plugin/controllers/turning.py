"""The view turned and mirrored: the camera's doing, never the layers'.

Every layer keeps its place in napari's world, so all stay on each other, and what is told of a place under
the pointer, drawn or saved, is the same whichever way up the slide is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from psygnal import Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

STEP = 15.0
"""Degrees of a press of a key."""

UPRIGHT, MIRRORED = ("down", "right"), ("down", "left")
"""Where napari's camera lets rows and columns grow."""


class Turning:
    """Turns and mirrors what is seen.

    Parameters
    ----------
    viewer : ViewerModel
    apply : callable, optional
        ``apply(degrees)`` turns the canvas clockwise; without one it cannot be turned, only mirrored.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, apply: Callable[[float], None] | None = None) -> None:
        self._camera, self._apply = viewer.scene.camera, apply
        self.angle = 0.0
        """Degrees clockwise, 0 to 360."""

    def why_not(self) -> str:
        """Why the view cannot be turned; empty if it can."""
        return "" if self._apply is not None else "This version of napari cannot turn the view"

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right have changed places."""
        return str(self._camera.orientation2d[1]) == MIRRORED[1]

    @property
    def is_upright(self) -> bool:
        """Whether the slide is seen as it was scanned."""
        return self.angle == 0 and not self.is_mirrored

    def set_angle(self, degrees: float) -> None:
        """Turn the view clockwise by so many degrees from upright."""
        if self._apply is not None:
            self.angle = math.fmod(math.fmod(degrees, 360) + 360, 360)
            self._apply(self.angle)
            self.changed.emit()

    def turn(self, degrees: float) -> None:
        """Turn further, clockwise."""
        self.set_angle(self.angle + degrees)

    def mirror(self) -> None:
        """Let left and right change places, as if the slide lay upside down."""
        self._camera.orientation2d = UPRIGHT if self.is_mirrored else MIRRORED
        self.changed.emit()

    def reset(self) -> None:
        """Show the slide as it was scanned."""
        if self.is_mirrored:
            self._camera.orientation2d = UPRIGHT
        if self._apply is not None:
            self.set_angle(0)
        self.changed.emit()

    def to_world(self) -> npt.NDArray[np.float64]:
        """Return (2, 2) that maps steps (y, x) on the screen to steps in the world, at a zoom of 1."""
        a = math.radians(self.angle)
        # On a screen, y grows downwards: clockwise takes what lies right to what lies below.
        turned = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        flip = np.diag([1.0, -1.0 if self.is_mirrored else 1.0])
        return np.asarray(flip @ np.linalg.inv(turned))
