"""MS-SSIM of batches in PyTorch, to learn by: that of :func:`napari_nic.recompression.quality.ms_ssim`."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_nic.recompression.quality.metrics import SIGMA, WEIGHTS, WINDOW

_K1, _K2 = 0.01, 0.03


def ms_ssim(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the multi-scale structural similarity, the mean over pictures and channels.

    Parameters
    ----------
    one, other : Tensor, (B, 3, h, w)
        In [0, 1]; sides of at least 176 px.
    """
    parts = []
    for number, weight in enumerate(WEIGHTS):
        whole, contrast = _terms(one, other)
        term = whole if number == len(WEIGHTS) - 1 else contrast
        parts.append(term.clamp(min=1e-6) ** weight)
        one, other = (functional.avg_pool2d(x, 2) for x in (one, other))
    return torch.stack(parts).prod(0).mean()


def _terms(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return SSIM, and its contrast and structure alone, (B, 3) each."""
    mean_x, mean_y = _window(one), _window(other)
    variances = _window(one * one + other * other) - mean_x**2 - mean_y**2
    both = _window(one * other) - mean_x * mean_y
    contrast = (2 * both + _K2**2) / (variances + _K2**2)
    luminance = (2 * mean_x * mean_y + _K1**2) / (mean_x**2 + mean_y**2 + _K1**2)
    return (luminance * contrast).mean((2, 3)), contrast.mean((2, 3))


def _window(x: torch.Tensor) -> torch.Tensor:
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    line = torch.exp(-(at**2) / (2 * SIGMA**2))
    line = line / line.sum()
    channels = x.shape[1]
    x = functional.conv2d(x, line[None, None, :, None].expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(x, line[None, None, None, :].expand(channels, 1, 1, -1), groups=channels)
