"""Sharpness of patches: Gaussian blur and noise, in units of their own for every patch."""

from __future__ import annotations

import torch
from torch.nn import functional

WIDTHS = 2.5
"""The kernel reaches as many sigmas from its middle; 1 % of the Gaussian lies beyond."""


def blur(images: torch.Tensor, sigma: torch.Tensor, *, largest: float) -> torch.Tensor:
    """Blur along y and x; edge pixels are repeated beyond the edge.

    Parameters
    ----------
    images : tensor of float32, (B, 3, h, w)
    sigma : tensor, (B,)
        In px.
    largest : float
        Largest sigma that may come, which decides the kernel's reach.
    """
    reach = max(1, round(WIDTHS * largest))
    steps = torch.arange(reach + 1, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / (2 * kernel.sum(1, keepdim=True) - kernel[:, :1])
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    return _along(_along(padded, kernel, 2), kernel, 3)


def _along(padded: torch.Tensor, kernel: torch.Tensor, axis: int) -> torch.Tensor:
    """Weigh neighbours along an axis, which becomes shorter by the kernel's reach at either end."""
    reach = kernel.shape[1] - 1
    length = padded.shape[axis] - 2 * reach
    weights = kernel.view(*kernel.shape, 1, 1, 1)
    result = padded.narrow(axis, reach, length) * weights[:, 0]
    for step in range(1, reach + 1):
        pair = padded.narrow(axis, reach - step, length) + padded.narrow(axis, reach + step, length)
        result.addcmul_(pair, weights[:, step])
    return result


def add_noise(images: torch.Tensor, sigma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add Gaussian noise to every value by itself, and clip to [0, 1].

    Parameters
    ----------
    images : tensor of float32, (B, 3, h, w)
    sigma : tensor, (B,)
    generator : torch.Generator
        Of the images' device.
    """
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return torch.addcmul(images, noise, sigma.view(-1, 1, 1, 1)).clamp_(0, 1)
