"""Tissue that shines on black: fluorescence."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.slides import RgbArray
from napari_nic.tissue.stain import extremes

BoolArray = npt.NDArray[np.bool_]

LEAST_CONTRAST = 6
"""Grey levels by which tissue must be brighter than the background: less is noise of the camera."""

_DARK = 60  # median brightness of a picture that is mostly black
_GLASS, _GLASS_CHROMA, _LEAST_GLASS = 180, 20, 0.01
_EVERY = 4  # px: a sample is enough to tell
_BLUR_UM = 10.0


def is_bright_on_black(image: RgbArray) -> bool:
    """Whether a picture is mostly black and has no glass: a composite of fluorescence."""
    lowest, highest = extremes(np.ascontiguousarray(image[::_EVERY, ::_EVERY]))
    glass = (lowest >= _GLASS) & (highest - lowest < _GLASS_CHROMA)
    return float(np.median(highest)) < _DARK and float(glass.mean()) < _LEAST_GLASS


def find_bright(image: RgbArray, um_per_px: float) -> tuple[BoolArray, float]:
    """Return what shines, (rows, cols) bool, and the threshold on the brightest channel, in grey levels.

    Otsu's threshold on the logarithm of brightness, since tissue spans decades; at least
    :data:`LEAST_CONTRAST` above the most frequent level, which is the background's.
    """
    brightness = cv2.GaussianBlur(extremes(image)[1], (0, 0), max(_BLUR_UM / um_per_px, 0.5))
    counts = np.bincount(brightness.ravel(), minlength=256)
    background = int(counts[: counts.size // 2].argmax())
    table = np.rint(np.log1p(np.arange(256)) / np.log(256) * 255).astype(np.uint8)
    level, _ = cv2.threshold(cv2.LUT(brightness, table), 0, 255, cv2.THRESH_OTSU)
    threshold = max(float(np.flatnonzero(table <= level)[-1]), float(background + LEAST_CONTRAST))
    return brightness > threshold, threshold
