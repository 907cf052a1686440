"""The augmentation of the published training: blur, jitter of colours and mirroring, each at one half."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Rng = np.random.Generator

BLUR_SIGMA = 1.5
"""Largest, px."""

BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.2
"""Factors lie within 1 -+ these."""

HUE = 8.0
"""Largest turn in OpenCV's 180 steps."""

CHANCE = 0.5


def augment(image: npt.NDArray[np.uint8], rng: Rng) -> npt.NDArray[np.uint8]:
    """Change a crop as another slide and scanner would have made it.

    Parameters
    ----------
    image : ndarray of uint8, (s, s, 3)
    rng : Generator
        The same one gives the same result.
    """
    for axis in (0, 1):
        if rng.random() < CHANCE:
            image = np.flip(image, axis)
    image = np.ascontiguousarray(image)
    if rng.random() < CHANCE:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.1, BLUR_SIGMA)))
    return _jittered(image, rng) if rng.random() < CHANCE else image


def _jittered(image: npt.NDArray[np.uint8], rng: Rng) -> npt.NDArray[np.uint8]:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-HUE, HUE)) % 180
    hsv[..., 1] *= rng.uniform(1 - SATURATION, 1 + SATURATION)
    turned = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    mean = float(turned.mean())
    turned = (turned - mean) * rng.uniform(1 - CONTRAST, 1 + CONTRAST) + mean
    turned *= rng.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS)
    return np.clip(np.rint(turned), 0, 255).astype(np.uint8)
