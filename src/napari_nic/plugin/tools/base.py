"""What all tools are, and what they need of the annotator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from napari_nic.editing import AnnotationObject, Document
from napari_nic.editing.operations import Brush, ColorWand
from napari_nic.editing.operations.objects import Step
from napari_nic.geometry import PixelSize
from napari_nic.plugin.tools.pointer import NOTHING, XY, Pointer, Sketch

BLUR = 2.0
"""Standard deviation, in pixels of the shown level, of the Gaussian before the colours are compared."""


@dataclass(frozen=True, eq=False)
class View:
    """A part of the slide as it is shown.

    Attributes
    ----------
    picture : ndarray of uint8, (rows, cols, 3)
    origin : (y, x)
        Corner of its first pixel, level-0 pixels.
    scale : (y, x)
        Level-0 pixels of a pixel.
    """

    picture: np.ndarray
    origin: tuple[float, float]
    scale: tuple[float, float]

    @cached_property
    def wand(self) -> ColorWand:
        """A wand over the picture; to look at its colours takes as long as to read it."""
        return ColorWand(self.picture, BLUR)

    def pixel_at(self, xy: XY) -> tuple[int, int] | None:
        """Return the pixel (row, column) at a place of the slide; None beside the picture."""
        row = int((xy[1] - self.origin[0]) // self.scale[0])
        col = int((xy[0] - self.origin[1]) // self.scale[1])
        rows, cols = self.picture.shape[:2]
        return (row, col) if 0 <= row < rows and 0 <= col < cols else None


class Desk(Protocol):
    """What a tool works on."""

    brush: Brush
    tolerance: float
    similarity: float

    @property
    def document(self) -> Document | None:
        """The annotations of the slide."""
        ...

    @property
    def pixel(self) -> PixelSize:
        """Size of a level-0 pixel; 1 um where nobody knows it."""
        ...

    @property
    def known_pixel(self) -> PixelSize | None:
        """The same, None where nobody knows it."""
        ...

    @property
    def label(self) -> str:
        """Class that is drawn in."""
        ...

    @property
    def items(self) -> list[AnnotationObject]:
        """Selected objects."""
        ...

    def select(self, ids: Sequence[str]) -> None:
        """Select objects, and no others."""
        ...

    def at(self, xy: XY, reach: float) -> list[AnnotationObject]:
        """Visible objects at a point, the one to be meant first."""
        ...

    def touching(self, geometry: Any) -> list[AnnotationObject]:
        """Visible objects that a geometry touches."""
        ...

    def is_locked(self, item: AnnotationObject) -> bool:
        """Whether edits of an object are refused."""
        ...

    def carry_out(self, step: Step) -> bool:
        """Make a step; whatever refuses it is told."""
        ...

    def snapped(self, pointer: Pointer) -> XY:
        """The pointer's place, drawn onto the tissue's outline if that is wished and it is near."""
        ...

    def way(self, start: XY, pointer: Pointer, *, freehand: bool = False) -> list[XY]:
        """Points after `start` up to the pointer: along the tissue's outline between two points of it."""
        ...

    def view_around(self, pointer: Pointer) -> View | None:
        """The slide around the pointer, as the screen shows it."""
        ...

    def look_ahead(self, pointer: Pointer, seen: View) -> None:
        """Begin to read what lies where the pointer goes, if it is about to leave what was seen."""
        ...

    def similar_cells(self, xy: XY) -> Any:
        """Area of the cells that are like the one at a point; None if that was told not to be known."""
        ...

    def tell(self, text: str) -> None:
        """Show a short notice."""
        ...

    def tell_error(self, error: Exception) -> None:
        """Show what went wrong."""
        ...


class Tool:
    """A state machine of pointer events; what it draws goes to the desk as one step.

    Parameters
    ----------
    desk : Desk
    """

    name: ClassVar[str]
    title: ClassVar[str]
    key: ClassVar[str]
    help: ClassVar[str]
    cursor: ClassVar[str] = "crosshair"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.sketch: Sketch = NOTHING

    @property
    def is_drawing(self) -> bool:
        """Whether something is begun and not finished."""
        return not self.sketch.is_empty

    def press(self, pointer: Pointer) -> None:
        """Begin."""

    def drag(self, pointer: Pointer) -> None:
        """Move with the button held."""

    def release(self, pointer: Pointer) -> None:
        """Let the button go."""

    def hover(self, pointer: Pointer) -> None:
        """Move without a button."""

    def double_click(self, pointer: Pointer) -> None:
        """End what was begun by single clicks."""

    def enter(self) -> None:
        """Finish by the keyboard."""

    def back(self) -> bool:
        """Take the last corner back; False if there is none."""
        return False

    def cancel(self) -> bool:
        """Drop what was begun; False if nothing was."""
        was_drawing = self.is_drawing
        self.sketch = NOTHING
        return was_drawing
