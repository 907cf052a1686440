"""Rounding a network's weights to bfloat16 so that the errors cancel instead of adding up.

A bfloat16 has 8 significant bits. Rounded to nearest, the weights of one 3 x 3 kernel err by a sum that
does not vanish, and neighbouring pixels, being alike, all multiply that sum: most of the error of a code
comes from there. Two exact rewritings avoid it, and cost nothing when encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def round_to_bfloat16(convs: Sequence[nn.Conv2d]) -> list[torch.Tensor]:
    """Prepare convolutions for bfloat16, in place; their values stay float32.

    Parameters
    ----------
    convs : sequence of Conv2d
        Each followed by a LeakyReLU; on return their weights and biases are numbers of bfloat16.

    Returns
    -------
    list of Tensor, float64, (channels,)
        For each convolution, what its channels' activations must be multiplied by to be as before; whatever
        sees them but the next convolution has to.

    Notes
    -----
    LeakyReLU(c x) = c LeakyReLU(x) for c > 0, so each channel may be scaled by a factor near 1 at which its
    bias is a bfloat16, if the next layer's weights are divided by it.
    """
    undo = torch.ones(convs[0].in_channels, dtype=torch.float64)
    factors = []
    with torch.no_grad():
        for conv in convs:
            assert conv.bias is not None  # noqa: S101  # for the type checker
            bias = conv.bias.double()
            rounded = bias.bfloat16().double()
            scale = torch.where(rounded == 0, 1.0, rounded / bias)
            weight = conv.weight.double() * undo[None, :, None, None] * scale[:, None, None, None]
            conv.weight.copy_(_round_kernels(weight))
            conv.bias.copy_(rounded)
            undo = 1 / scale
            factors.append(undo)
    return factors


def _round_kernels(weight: torch.Tensor) -> torch.Tensor:
    """Round (out, in, h, w) to bfloat16, handing each weight's error on to the next of its kernel.

    The largest weights come first, so that the last and smallest takes up what is left.
    """
    flat = weight.flatten(2)
    order = flat.abs().argsort(dim=2, descending=True, stable=True)
    wanted = flat.gather(2, order)
    error = torch.zeros_like(wanted[..., 0])
    rounded = torch.empty_like(wanted)
    for index in range(wanted.shape[2]):
        corrected = wanted[..., index] + error
        rounded[..., index] = corrected.bfloat16().double()
        error = corrected - rounded[..., index]
    return torch.empty_like(flat).scatter_(2, order, rounded).view_as(weight)
