"""What stands for a tile that cannot be read: stripes, which nobody takes for glass."""

from __future__ import annotations

import numpy as np

from napari_nic.colors import VERMILION
from napari_nic.slides.model import RgbArray

_PERIOD_PX = 32
_DARK, _LIGHT = VERMILION, (225, 225, 225)  # vermilion, told from stains by colour-blind eyes too


def hatched(height: int, width: int) -> RgbArray:
    """Return diagonal stripes, (height, width, 3) uint8."""
    rows, cols = np.ogrid[:height, :width]
    stripe = (rows + cols) % _PERIOD_PX < _PERIOD_PX // 2
    return np.where(stripe[..., None], np.array(_DARK, np.uint8), np.array(_LIGHT, np.uint8))
