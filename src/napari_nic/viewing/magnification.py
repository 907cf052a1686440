"""Magnification, as pathologists name what they see, from micrometres per pixel and back.

A screen has no objective. What every viewer means by "20x" is the sampling that scanners have with that
objective: 10 um/px at 1x, so 0.5 um/px at 20x and 0.25 um/px at 40x.
"""

from __future__ import annotations

import math

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize

UM_PER_PX_AT_1X = 10.0

MAGNIFICATIONS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Those of a microscope's turret."""


def magnification_at(um_per_px: float) -> float:
    """Return the magnification at which a pixel of the screen shows so many micrometres.

    Raises
    ------
    InvalidParameterError
        If `um_per_px` is not positive and finite.
    """
    return UM_PER_PX_AT_1X / _positive(um_per_px, "micrometres per pixel")


def um_per_px_at(magnification: float) -> float:
    """Return how many micrometres a pixel of the screen shows at a magnification; its own inverse.

    Raises
    ------
    InvalidParameterError
        If `magnification` is not positive and finite.
    """
    return UM_PER_PX_AT_1X / _positive(magnification, "magnification")


def native_magnification(pixel: PixelSize) -> float:
    """Return the magnification at which a pixel of the slide's level 0 is one of the screen."""
    return magnification_at(pixel.mean)


def format_magnification(magnification: float) -> str:
    """Write a magnification as it is spoken: ``"20x"``, ``"2.5x"``, ``"0.31x"``."""
    if magnification >= 9.95:
        return f"{magnification:.0f}x"
    return f"{magnification:.2g}x"


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InvalidParameterError(f"{name} must be positive", found=f"{value:g}")
    return value
