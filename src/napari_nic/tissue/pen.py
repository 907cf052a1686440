"""Recognise marker ink on the glass, so that it is not taken for tissue."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken, checked
from napari_nic.slides import RgbArray
from napari_nic.tissue.components import drop_small, grow_within
from napari_nic.tissue.stain import FloatArray, extremes, white_balance

BoolArray = npt.NDArray[np.bool_]

MIN_INK_UM2 = 100_000.0
"""A stroke of a marker is millimetres wide; smaller spots of such colours are pigment, blood or dirt."""

MARGIN_UM = 40.0
"""Ink is taken with this much around it: its soft rim."""

# Hue in degrees, saturation and value 0 to 1. The bounds were set on 15 sets of H&E (and dark blue frozen)
# tissue averaged to 8 um/px: in 1.4 million pixels no tissue of hue 70-220 is more saturated than 0.28, and
# none of 220-235 than 0.74. Of reds, blood reaches 0.87, hence the demand on area and value.
_GREEN = ((70, 205, 0.28, 0.10),)
_BLUE = ((205, 220, 0.40, 0.0), (220, 235, 0.78, 0.0))
_RED = ((352, 360, 0.80, 0.60), (0, 12, 0.80, 0.60))
_INKS = _GREEN + _BLUE + _RED
_RIM = ((70, 235, 0.10, 0.0), (350, 360, 0.10, 0.30), (0, 20, 0.10, 0.30))  # colours of ink that thins out
_BLACK_VALUE, _BLACK_CHROMA = 0.25, 0.08
_GREY_VALUE, _GREY_CHROMA = 0.60, 0.10  # the rim of black ink
_BAND_ROWS = 256


def find_pen(
    image: RgbArray, glass: FloatArray, um_per_px: float, token: CancellationToken | None = None
) -> BoolArray:
    """Return where marker ink lies, (rows, cols) bool.

    Seeds are pixels of a colour that no usual stain has: green to cyan, saturated pure blue, saturated bright
    red, and black; only seeds that hang together over at least :data:`MIN_INK_UM2` count. They grow into
    the paler ink around them and by :data:`MARGIN_UM`.

    Parameters
    ----------
    image : ndarray
        (rows, cols, 3) uint8 RGB.
    glass : ndarray
        RGB of the glass.
    um_per_px : float
        Side of a pixel in micrometres.
    token : CancellationToken, optional
        Asked at each band of rows.
    """
    ink = np.zeros(image.shape[:2], np.bool_)
    for seeds, rim in _candidates(image, glass, token):
        large = drop_small(seeds, MIN_INK_UM2 / um_per_px**2)
        if large.any():
            ink |= grow_within(large, rim | large)
    if not ink.any():
        return ink
    side = 2 * max(1, round(MARGIN_UM / um_per_px)) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(ink.astype(np.uint8), disk).astype(np.bool_)


def _candidates(
    image: RgbArray, glass: FloatArray, token: CancellationToken | None
) -> tuple[tuple[BoolArray, BoolArray], ...]:
    """Return seeds and rims of coloured and of black ink; by bands, to save memory."""
    coloured, coloured_rim, black, black_rim = (np.empty(image.shape[:2], np.bool_) for _ in range(4))
    for top in checked(range(0, len(image), _BAND_ROWS), token):
        band = slice(top, top + _BAND_ROWS)
        balanced = white_balance(image[band], glass)
        hsv = cv2.cvtColor(balanced, cv2.COLOR_RGB2HSV)
        lowest, highest = extremes(balanced)
        value, chroma = hsv[..., 2], highest - lowest
        coloured[band], coloured_rim[band] = _within(hsv, _INKS), _within(hsv, _RIM)
        black[band] = (value < _BLACK_VALUE) & (chroma < _BLACK_CHROMA)
        black_rim[band] = (value < _GREY_VALUE) & (chroma < _GREY_CHROMA)
    return (coloured, coloured_rim), (black, black_rim)


def _within(hsv: npt.NDArray[np.float32], bounds: tuple[tuple[float, float, float, float], ...]) -> BoolArray:
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    found = np.zeros(hue.shape, np.bool_)
    for low, high, least_saturation, least_value in bounds:
        found |= (hue >= low) & (hue < high) & (saturation > least_saturation) & (value > least_value)
    return found
