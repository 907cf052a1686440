"""What the annotator's tools draw with, kept for the next session: brush, tolerance, similarity, snapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.editing.operations import Brush, BrushShape

if TYPE_CHECKING:
    from napari_nic.plugin.settings import Settings

BRUSH_SETTING, SHAPE_SETTING = "annotator_brush_um", "annotator_brush_shape"
TOLERANCE_SETTING, SIMILARITY_SETTING = "annotator_tolerance", "annotator_similarity"
SNAP_SETTING = "annotator_snap"

SMALLEST_UM, LARGEST_UM = 0.5, 20_000.0
BRUSH_STEP = 1.25
"""A step of the brush's size is a factor, so that it feels alike at all zooms."""

LARGEST_TOLERANCE, TOLERANCE_STEP = 100.0, 1.0
SIMILARITY_STEP = 0.02


class ToolSettings:
    """What tools draw with.

    Parameters
    ----------
    settings : Settings
    """

    changed = Signal()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.brush = _brush(settings.get(BRUSH_SETTING), settings.get(SHAPE_SETTING))
        self.tolerance = _number(settings.get(TOLERANCE_SETTING), 12.0, 0.0, LARGEST_TOLERANCE)
        self.similarity = _number(settings.get(SIMILARITY_SETTING), 0.7, -1.0, 1.0)
        self.snaps = settings.get(SNAP_SETTING) is True

    def resize_for(self, tool: str, steps: int) -> None:
        """Let a tool take more or less: the brush by its size, the wands by their tolerance."""
        if tool == "wand":
            self.set_tolerance(self.tolerance + steps * TOLERANCE_STEP)
        elif tool == "similar":
            self.set_similarity(self.similarity - steps * SIMILARITY_STEP)
        else:
            self.set_brush(self.brush.size_um * BRUSH_STEP**steps)

    def set_brush(self, size_um: float, shape: BrushShape | None = None) -> None:
        """Take a brush of another size, within limits, or shape."""
        size = min(max(size_um, SMALLEST_UM), LARGEST_UM)
        self.brush = Brush(size, shape or self.brush.shape)
        self._settings.set(BRUSH_SETTING, size)
        self._settings.set(SHAPE_SETTING, self.brush.shape)
        self.changed.emit()

    def set_tolerance(self, tolerance: float) -> None:
        """Let the colour wand take colours that are so far off."""
        self.tolerance = _number(tolerance, self.tolerance, 0.0, LARGEST_TOLERANCE)
        self._settings.set(TOLERANCE_SETTING, self.tolerance)
        self.changed.emit()

    def set_similarity(self, similarity: float) -> None:
        """Let the embedding wand take cells that are at least so similar."""
        self.similarity = _number(round(similarity, 4), self.similarity, -1.0, 1.0)
        self._settings.set(SIMILARITY_SETTING, self.similarity)
        self.changed.emit()

    def set_snaps(self, *, snaps: bool) -> None:
        """Draw corners onto the tissue's outline where it is near, or leave them where they are."""
        self.snaps = snaps
        self._settings.set(SNAP_SETTING, snaps)
        self.changed.emit()


def _number(value: Any, default: float, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(min(max(value, least), most)) if is_number else default


def _brush(size: Any, shape: Any) -> Brush:
    return Brush(_number(size, 50.0, SMALLEST_UM, LARGEST_UM), "square" if shape == "square" else "disc")
