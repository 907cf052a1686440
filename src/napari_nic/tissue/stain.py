"""How much stain a pixel carries, against the colour of the slide's own glass."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.slides.model import RgbArray

FloatArray = npt.NDArray[np.float32]

GREY_WEIGHT = 0.4
"""Share of absorption that is equal in all channels. Below 1, since dust, shadows and rims of bubbles are
grey and stains are not; above 0, since dense nuclei and pigment are nearly grey too."""

_FILLER = 254  # scanners fill what they did not scan with pure white: that is not the colour of glass
_DARKEST_GLASS = 180
_GLASS_CHROMA = 20
_LEAST_GLASS = 0.01  # share of the picture


def glass_color(image: RgbArray) -> FloatArray:
    """Return the RGB of the slide's glass: the most frequent bright and colourless one; else white.

    Parameters
    ----------
    image : ndarray
        (rows, cols, 3) uint8.
    """
    brightness = image.mean(axis=2).astype(np.uint8)
    chroma = image.max(axis=2) - image.min(axis=2)
    could_be = (chroma < _GLASS_CHROMA) & (brightness >= _DARKEST_GLASS) & (brightness < _FILLER)
    if could_be.mean() < _LEAST_GLASS:
        return np.full(3, 255, np.float32)
    counts = np.convolve(np.bincount(brightness[could_be], minlength=256), [1, 1, 1], "same")
    peak = int(counts.argmax())
    near = could_be & (np.abs(brightness.astype(np.int16) - peak) <= 2)
    return np.median(image[near], axis=0).astype(np.float32)


def white_balance(image: RgbArray, glass: FloatArray) -> FloatArray:
    """Return (rows, cols, 3) float32 in [0, 1] with glass at 1."""
    balanced: FloatArray = np.clip(image.astype(np.float32) / glass, 1 / 255, 1)
    return balanced


def stain(white_balanced: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how much stain there is and how coloured it is, (rows, cols) float32 each.

    With the optical density ``D = -log10(I / I_glass)`` of each channel (Beer and Lambert; Ruifrok and
    Johnston 2001), colour is ``max D - min D`` and stain is colour + :data:`GREY_WEIGHT` * ``min D``. Unlike
    saturation, it does not run wild on dark pixels, and pale eosin (0.04) stands clear of glass (0.003).
    """
    density = -np.log10(white_balanced)
    lowest = density.min(axis=2)
    color = density.max(axis=2) - lowest
    return color + np.float32(GREY_WEIGHT) * lowest, color


def texture(white_balanced: FloatArray, ignore: npt.NDArray[np.bool_], sigma_px: float) -> FloatArray:
    """Return the local roughness of the pale parts, (rows, cols) float32, in optical density.

    The standard deviation of the high-passed density within a Gaussian window of `sigma_px`, over pixels
    outside `ignore` only, so that strong tissue casts no halo. Single dark specks are clipped, so that dust
    does not look like the fine net of fat.
    """
    density = -np.log10(white_balanced).mean(axis=2)
    density = cv2.GaussianBlur(density, (0, 0), _PRE_BLUR)
    weight = (~ignore).astype(np.float32)
    near = np.maximum(_blur(weight, sigma_px), np.float32(_LEAST_WEIGHT))
    high = np.clip(density - _blur(density * weight, sigma_px) / near, -_SPECK, _SPECK)
    rough: FloatArray = np.sqrt(_blur(high * high * weight, sigma_px) / near)
    return np.where(ignore, np.float32(0), rough)


_PRE_BLUR = 0.7  # px; takes the noise of single pixels
_SPECK = 0.02  # optical density; the walls of fat cells stay below it at 8 um/px
_LEAST_WEIGHT = 1e-3


def _blur(values: FloatArray, sigma_px: float) -> FloatArray:
    blurred: FloatArray = cv2.GaussianBlur(values, (0, 0), sigma_px)
    return blurred
