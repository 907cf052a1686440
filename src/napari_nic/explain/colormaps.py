"""Colour maps of the overlays: few, named as napari names them, and safe for colour-blind eyes."""

from __future__ import annotations

import cv2
import numpy as np

from napari_nic.errors import UnknownNameError

SEQUENTIAL, SCORES, DIVERGING = "viridis", "magma", "coolwarm"
"""For values without a middle, for scores from 0 to 1, and for signed values (blue: -, red: +)."""

_COOLWARM = (
    (0.3772, 0.5038533, 0.92),
    (0.5544, 0.68508, 0.99),
    (0.7178, 0.81027335, 0.97),
    (0.87, 0.86565, 0.8613),
    (0.96, 0.768, 0.672),
    (0.95, 0.59375, 0.475),
    (0.86, 0.36808, 0.2924),
)
"""Evenly spaced colours of the map that napari calls coolwarm."""

_CV2_MAPS = {"viridis": cv2.COLORMAP_VIRIDIS, "magma": cv2.COLORMAP_MAGMA}
_STEPS = 256


def color_table(name: str) -> np.ndarray:
    """Sample a colour map evenly from its low to its high end.

    Parameters
    ----------
    name : str
        ``"viridis"``, ``"magma"`` or ``"coolwarm"``.

    Returns
    -------
    ndarray of uint8, (256, 3), RGB

    Raises
    ------
    UnknownNameError
    """
    if name in _CV2_MAPS:
        ramp = np.arange(_STEPS, dtype=np.uint8)[:, None]
        return np.ascontiguousarray(cv2.applyColorMap(ramp, _CV2_MAPS[name])[:, 0, ::-1])
    if name == DIVERGING:
        stops = np.linspace(0, 1, len(_COOLWARM))
        at = np.linspace(0, 1, _STEPS)
        columns = [np.interp(at, stops, column) for column in zip(*_COOLWARM, strict=True)]
        return np.rint(np.stack(columns, axis=-1) * 255).astype(np.uint8)
    raise UnknownNameError(f"unknown colour map {name!r}", expected=", ".join((*_CV2_MAPS, DIVERGING)))
