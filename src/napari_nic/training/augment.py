"""Augmentation of batches of patches: the eight symmetries of the square and stain variation.

Ranges after METHOD facts of Tellez et al.: light haematoxylin-eosin-DAB (HED) jitter of 0.05, brightness
and contrast. Colours are perturbed in optical density, where stains add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.color.colorconv import hed_from_rgb, rgb_from_hed


@dataclass(frozen=True)
class AugmentOptions:
    """Strengths; 0 switches an augmentation off.

    Attributes
    ----------
    hed : float
        Largest relative change of a stain's strength, and largest offset of its density.
    brightness, contrast : float
        Largest relative change.
    """

    hed: float = 0.05
    brightness: float = 0.1
    contrast: float = 0.1


def augment(batch: np.ndarray, rng: np.random.Generator, options: AugmentOptions) -> np.ndarray:
    """Return a changed copy of `batch`, (B, s, s, 3) uint8; every patch is changed by itself."""
    turned = np.stack([_turn(patch, int(rng.integers(8))) for patch in batch])
    return _recolour(turned, rng, options)


def _turn(patch: np.ndarray, symmetry: int) -> np.ndarray:
    turned = np.rot90(patch, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def _recolour(batch: np.ndarray, rng: np.random.Generator, options: AugmentOptions) -> np.ndarray:
    count = len(batch)

    def uniform(limit: float, size: int = 3) -> np.ndarray:
        return rng.uniform(-limit, limit, (count, 1, 1, size)).astype(np.float32)

    density = -np.log((batch.astype(np.float32) + 1) / 256)
    # One 3 x 3 matrix per patch does RGB -> HED -> scale -> RGB at once; the offset goes through likewise.
    scale = 1 + uniform(options.hed)[:, 0, 0]
    matrix = np.einsum("ij,nj,jk->nik", hed_from_rgb, scale, rgb_from_hed).astype(np.float32)
    offset = uniform(options.hed)[:, 0, 0] @ rgb_from_hed.astype(np.float32)
    changed = density.reshape(count, -1, 3) @ matrix + offset[:, None]
    pixels = 256 * np.exp(-changed.reshape(batch.shape)) - 1
    mean = pixels.mean((1, 2), keepdims=True)
    pixels = (pixels - mean) * (1 + uniform(options.contrast, 1)) + mean * (
        1 + uniform(options.brightness, 1)
    )
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
