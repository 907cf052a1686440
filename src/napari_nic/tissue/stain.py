"""How much stain a pixel carries, against the colour of the slide's own glass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken, checked
from napari_nic.slides import RgbArray

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

GREY_WEIGHT = 0.4
"""Share of absorption that is equal in all channels. Below 1, since dust, shadows and rims of bubbles are
grey and stains are not; above 0, since dense nuclei and pigment are nearly grey too."""

_FILLER = 254  # scanners fill what they did not scan with pure white: that is not the colour of glass
_DARKEST_GLASS = 180
_GLASS_CHROMA = 20
_LEAST_GLASS = 0.01  # share of the picture
_GLASS_SAMPLE = 1_000_000  # pixels
_BAND_ROWS = 256  # rows worked on at a time, so that three float planes are never held whole


def glass_color(image: RgbArray, unscanned: BoolArray | None = None) -> FloatArray:
    """Return the RGB of the slide's glass: the most frequent bright and colourless one; else white.

    Parameters
    ----------
    image : ndarray
        (rows, cols, 3) uint8.
    unscanned : ndarray, optional
        (rows, cols) bool, pixels that say nothing of glass; unless there is no other glass.
    """
    every = max(1, math.isqrt(image.shape[0] * image.shape[1] // _GLASS_SAMPLE))
    image = image[::every, ::every]
    red, green, blue = cv2.split(image)
    brightness = ((red.astype(np.uint16) + green + blue) // 3).astype(np.uint8)
    lowest, highest = extremes(image)
    chroma = highest - lowest
    could_be = (chroma < _GLASS_CHROMA) & (brightness >= _DARKEST_GLASS) & (brightness < _FILLER)
    if unscanned is not None:
        scanned = could_be & ~unscanned[::every, ::every]
        could_be = scanned if scanned.mean() >= _LEAST_GLASS else could_be
    if could_be.mean() < _LEAST_GLASS:
        return np.full(3, 255, np.float32)
    counts = np.convolve(np.bincount(brightness[could_be], minlength=256), [1, 1, 1], "same")
    peak = int(counts.argmax())
    near = could_be & (np.abs(brightness.astype(np.int16) - peak) <= 2)
    return np.median(image[near], axis=0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Stain:
    """Optical density of a picture, taken apart; (rows, cols) float32 each.

    Attributes
    ----------
    amount : ndarray
        How much stain there is: `color` + :data:`GREY_WEIGHT` * the lowest density of the three channels.
    color : ndarray
        How coloured it is: the highest less the lowest density.
    """

    amount: FloatArray
    color: FloatArray


def measure_stain(image: RgbArray, glass: FloatArray) -> Stain:
    """Take the stain of a picture (rows, cols, 3) uint8.

    The optical density of a channel is ``D = -log10(I / I_glass)`` (Beer and Lambert; Ruifrok and Johnston
    2001), 0 where a pixel is brighter than glass. Unlike saturation, its differences do not run wild on dark
    pixels, and pale eosin (0.04) stands clear of glass (0.003).
    """
    table = _density_table(glass)
    amount = np.empty(image.shape[:2], np.float32)
    color = np.empty(image.shape[:2], np.float32)
    for top in range(0, len(image), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        lowest, highest = extremes(cv2.LUT(image[band], table))
        np.subtract(highest, lowest, out=color[band])
        np.add(color[band], np.float32(GREY_WEIGHT) * lowest, out=amount[band])
    return Stain(amount, color)


def _density_table(glass: FloatArray) -> FloatArray:
    """Density of each grey level of each channel, (1, 256, 3)."""
    levels = np.arange(256, dtype=np.float32)[:, None]
    return -np.log10(np.clip(levels / glass, 1 / 255, 1)).astype(np.float32)[None]


def extremes(image: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the lowest and the highest channel of each pixel.

    By whole planes: NumPy's own ``min(axis=2)`` takes fifty times as long over an axis of three.

    Parameters
    ----------
    image : ndarray of uint8 or float32, (rows, cols, 3)

    Returns
    -------
    lowest, highest : ndarray, (rows, cols), of the same dtype
    """
    red, green, blue = cv2.split(image)
    lowest = np.minimum(np.minimum(red, green), blue)
    return lowest, np.maximum(np.maximum(red, green), blue)


def white_balance(image: RgbArray, glass: FloatArray) -> FloatArray:
    """Return (rows, cols, 3) float32 in [0, 1] with glass at 1."""
    balanced: FloatArray = np.clip(image.astype(np.float32) / glass, 0, 1)
    return balanced


def texture(
    image: RgbArray,
    glass: FloatArray,
    ignore: BoolArray,
    sigma_px: float,
    token: CancellationToken | None = None,
) -> FloatArray:
    """Return the local roughness of the pale parts, (rows, cols) float32, in optical density.

    The standard deviation of the high-passed density within a Gaussian window of `sigma_px`, over pixels
    outside `ignore` only, so that strong tissue casts no halo. Single dark specks are clipped, so that dust
    does not look like the fine net of fat. `token` is asked at each band of rows.
    """
    rough = np.empty(image.shape[:2], np.float32)
    # Each band is seen with what three blurs one after the other reach, so that it comes out as in the whole.
    reach = 2 * (math.ceil(_KERNEL_SD * sigma_px) + 1) + math.ceil(_KERNEL_SD * _PRE_BLUR) + 1
    for top in checked(range(0, len(image), _BAND_ROWS), token):
        first = max(0, top - reach)
        seen = slice(first, top + _BAND_ROWS + reach)
        band = _texture(image[seen], glass, ignore[seen], sigma_px)
        rough[top : top + _BAND_ROWS] = band[top - first :][:_BAND_ROWS]
    return rough


def _texture(image: RgbArray, glass: FloatArray, ignore: BoolArray, sigma_px: float) -> FloatArray:
    red, green, blue = cv2.split(cv2.LUT(image, _density_table(glass)))
    density = (red + green + blue) / np.float32(3)
    density = cv2.GaussianBlur(density, (0, 0), _PRE_BLUR)
    weight = (~ignore).astype(np.float32)
    near = np.maximum(_blur(weight, sigma_px), np.float32(_LEAST_WEIGHT))
    high = np.clip(density - _blur(density * weight, sigma_px) / near, -_SPECK, _SPECK)
    rough: FloatArray = np.sqrt(_blur(high * high * weight, sigma_px) / near)
    return np.where(ignore, np.float32(0), rough)


_KERNEL_SD = 4  # standard deviations that OpenCV's kernel of floats spans
_PRE_BLUR = 0.7  # px; takes the noise of single pixels
_SPECK = 0.02  # optical density; the walls of fat cells stay below it at 16 um/px
_LEAST_WEIGHT = 1e-3


def _blur(values: FloatArray, sigma_px: float) -> FloatArray:
    blurred: FloatArray = cv2.GaussianBlur(values, (0, 0), sigma_px)
    return blurred
