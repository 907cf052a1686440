"""Area averaging of pixels by whole factors."""

from __future__ import annotations

import cv2
import numpy as np

from napari_nic.slides.model import RgbArray


def halve(pixels: RgbArray) -> RgbArray:
    """Average 2 x 2 pixels, (rows, cols, 3) -> (ceil(rows / 2), ceil(cols / 2), 3).

    An odd last row or column is averaged with itself, that is over the pixels that are there.
    """
    return shrink(pixels, 2)


def shrink(pixels: RgbArray, factor: int) -> RgbArray:
    """Average blocks of `factor` x `factor` pixels; blocks cut by the edge repeat their last row or column.

    Returns
    -------
    ndarray
        (ceil(rows / factor), ceil(cols / factor), 3) uint8, rounded.
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape[:2]
    rows, cols = -(-height // factor), -(-width // factor)
    bottom, right = rows * factor - height, cols * factor - width
    if bottom or right:
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(cv2.resize(pixels, (cols, rows), interpolation=cv2.INTER_AREA))
