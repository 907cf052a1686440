"""The augmentation of the published tissue segmentation, lines on glass among it."""

from __future__ import annotations

import cv2
import numpy as np

Rng = np.random.Generator

BLUR_SIGMA = 1.5
POOLING = 4
"""Largest kernel of average pooling, px."""

BRIGHTNESS, ADDED = (0.75, 1.2), 15.0
HUE, SATURATION = 8.0, (0.7, 1.4)
"""Turn in OpenCV's 180 steps, and factor."""

GRID, GRID_SHARE, GRID_FACTOR = 30, 0.04, 0.4
"""Rows and columns of the grid, the share of each that becomes a line, and what is left of its light."""


def augment(image: np.ndarray, mask: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Change a crop as another slide and scanner would have made it.

    Parameters
    ----------
    image : ndarray of uint8, (s, s, 3)
    mask : ndarray of uint8, (s, s)
        Moves with the picture.
    rng : Generator
        The same one gives the same result.
    """
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, mask = np.flip(image, axis), np.flip(mask, axis)
    image = np.ascontiguousarray(image)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, BLUR_SIGMA))
    if rng.random() < 0.15:
        image = _pool(image, int(rng.integers(2, POOLING + 1)))
    if rng.random() < 0.5:
        image = _shift_hue(image, rng)
    if rng.random() < 0.5:
        added = rng.uniform(-ADDED, ADDED)
        image = cv2.convertScaleAbs(np.maximum(image * rng.uniform(*BRIGHTNESS) + added, 0))
    if not mask.any() and rng.random() < 0.5:
        image = _draw_lines(image, rng)
    return image, np.ascontiguousarray(mask)


def _pool(image: np.ndarray, kernel: int) -> np.ndarray:
    """Average blocks, and show each as a square."""
    rows, cols = image.shape[:2]
    small = cv2.resize(image, (-(-cols // kernel), -(-rows // kernel)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (cols, rows), interpolation=cv2.INTER_NEAREST))


def _shift_hue(image: np.ndarray, rng: Rng) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-HUE, HUE)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(*SATURATION), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB))


def _draw_lines(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Darken some rows and columns of a grid over glass."""
    light = np.ones(image.shape[:2], np.float32)
    for axis in (0, 1):
        chosen = rng.random(GRID) < GRID_SHARE
        lines = np.repeat(chosen, -(-image.shape[axis] // GRID))[: image.shape[axis]]
        light[np.expand_dims(lines, 1 - axis).repeat(image.shape[1 - axis], 1 - axis)] = GRID_FACTOR
    return (image * light[..., None]).astype(np.uint8)
