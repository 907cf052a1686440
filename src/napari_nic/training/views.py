"""From drawn patches to what the network sees: augmented in training, plain or fixed in validation."""

from __future__ import annotations

import numpy as np
import torch

from napari_nic.training.augmentation import PRESETS, Augmenter


class Views:
    """Make network input of one step's patches; see ``ToInput``.

    Parameters
    ----------
    preset : str
        Of augmentation; ``"none"`` only crops to the network's size.
    size : int
        Side of the network's input, px.
    device : str
    seed : int
        Of the step; the same seed and salt give the same view.
    """

    def __init__(self, preset: str, *, size: int, device: str, seed: int) -> None:
        self._augmenter = Augmenter(PRESETS[preset], device=device)
        self._size = size
        self._device = device
        self._seed = seed

    def __call__(self, images: np.ndarray, salt: int = 0) -> torch.Tensor:
        """Map (B, s, s, 3) uint8 to (B, 3, size, size) in [-1, 1]."""
        seed = int(np.random.SeedSequence((self._seed, salt)).generate_state(1)[0])
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self._device)
        return self._augmenter(pixels, seed=seed, size=self._size)
