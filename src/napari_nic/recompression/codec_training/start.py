"""Weights to start the training of a codec from, instead of random ones: a linear transform that fits tissue.

Each of the four convolutions of the analysis starts as the principal components of blocks of 2 x 2 of what
goes in, so that together they are nearly the best orthogonal transform of blocks of 16 x 16 px; the
synthesis is its transpose. Symbols start with the spread that they have in the sample; where a hyper-prior
says the spread, it starts as the mean magnitude nearby. What is not used keeps random weights that nothing
reads, so that training can find a use for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.neural.bottleneck import EntropyBottleneck
from napari_nic.recompression.neural.layers import Gdn
from napari_nic.recompression.neural.nets import CompressionNet, FactorizedPrior, ScaleHyperprior

START_PIXELS = 1 << 21
"""Of the sample that a start is fitted to."""

_GAMMA = 1e-6
"""Of the normalisations: so small that they do nothing yet, and large enough to be learned."""

_LEVELS = 6.0
"""Symbols of a hyper-prior by which mean magnitude differs from none."""

_LEAST_SPREAD = 0.5
_TO_DEVIATION = 1.25
"""Standard deviation of a Gaussian over its mean magnitude."""

_FLAT = 1e-3
_TO_LOGISTIC = math.sqrt(3) / math.pi
_BLOCK = slice(2, 4)
"""Where in a kernel of 5 the block of 2 lies that a stride of 2 does not share."""


@torch.no_grad()
def start_from_components(
    net: CompressionNet, pixels: npt.NDArray[np.uint8], weight: float
) -> CompressionNet:
    """Give a network the weights of a linear transform.

    Parameters
    ----------
    net : CompressionNet
        bmshj2018-factorized or bmshj2018-hyperprior, with random weights; it is changed.
    pixels : ndarray of uint8, (n, h, w, 3)
        A sample of what it will be trained on, sides multiples of 64 px.
    weight : float
        Lambda, of the mean squared error: it says how fine the symbols are.

    Raises
    ------
    InvalidParameterError
        If the network is another one, or M is more than 4 N.
    """
    if type(net) not in (FactorizedPrior, ScaleHyperprior):
        raise InvalidParameterError(
            "there is no such start for this network",
            expected=f"{FactorizedPrior.name} or {ScaleHyperprior.name}",
            found=net.name,
            hint="start from random weights",
        )
    if net.channels > 4 * net.filters:
        raise InvalidParameterError(
            "such a start has no components for all channels",
            expected=f"M of at most 4 N, {4 * net.filters}",
            found=f"M {net.channels}",
        )
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    _set_transform(net, x, step_of(weight) / 255)
    y = net.g_a(x)
    spread = y.std((0, 2, 3))
    if isinstance(net, ScaleHyperprior):
        z = _magnitudes(net, y, spread)
        _fit(net.entropy_bottleneck, z.mean((0, 2, 3)), z.std((0, 2, 3)))
    else:
        _fit(net.bottleneck, y.mean((0, 2, 3)), spread)
    return net


def step_of(weight: float) -> float:
    """Return the step of symbols, grey levels, at which lambda x 255^2 x MSE + bits a pixel is least.

    Of an orthogonal transform of three channels whose every symbol has many levels: the error is
    step^2 / 12 then, and halving the step costs a bit a symbol.
    """
    return math.sqrt(18 / (math.log(2) * weight))


def _set_transform(net: CompressionNet, x: torch.Tensor, step: float) -> None:
    """Set analysis and synthesis to principal components of pixels (n, 3, h, w) in [0, 1]."""
    middle = x.mean((0, 2, 3))
    x = x - middle[:, None, None]
    before = torch.ones(3)
    pairs = list(zip(_convolutions(net.g_a), _convolutions(net.g_s)[::-1], strict=True))
    for number, (there, back) in enumerate(pairs):
        kernel = _components(x, there.out_channels)
        x = nn.functional.conv2d(x, kernel, stride=2)
        used, inputs = kernel.shape[:2]
        is_last = number == len(pairs) - 1
        # Inner channels of one spread: a step of training moves them all alike.
        after = torch.full((used,), step) if is_last else x.std((0, 2, 3)).clamp(min=_FLAT)
        ratio = (before / after[:, None])[..., None, None]
        there.weight[:used] = 0
        there.weight[:used, :inputs, _BLOCK, _BLOCK] = kernel * ratio
        back.weight[:, :inputs] = 0
        back.weight[:used, :inputs, _BLOCK, _BLOCK] = kernel / ratio
        _bias(there).zero_()
        _bias(back).zero_()
        before = after
        if number == 0:
            _bias(there)[:used] = -(kernel.sum((2, 3)) @ middle) / after
            _bias(back)[:] = middle
    for layer in net.modules():
        if isinstance(layer, Gdn):
            layer.beta.copy_(layer.beta_reparam.stored(torch.ones_like(layer.beta)))
            layer.gamma.copy_(layer.gamma_reparam.stored(torch.full_like(layer.gamma, _GAMMA)))


def _components(x: torch.Tensor, most: int) -> torch.Tensor:
    """Return the principal components of blocks of 2 x 2: (k, C, 2, 2), orthonormal, the largest first."""
    channels = x.shape[1]
    blocks = nn.functional.unfold(x, 2, stride=2).transpose(0, 1).flatten(1).double()
    _, vectors = torch.linalg.eigh(blocks @ blocks.T)
    return vectors.flip(1).T[:most].reshape(-1, channels, 2, 2).float()


def _magnitudes(net: ScaleHyperprior, y: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Let z be mean magnitudes of y, each of some channels, and scales what follows from them; return z."""
    first, second, third = _convolutions(net.h_a)
    one, two, last = _convolutions(net.h_s)
    count = min(net.filters, net.channels)
    group = torch.arange(net.channels) * count // net.channels
    size = torch.bincount(group, minlength=count)[group]
    known = spread.clamp(min=_LEAST_SPREAD)
    for layer in (first, second, third, one, two, last):
        layer.weight.zero_()
        cast(torch.Tensor, layer.bias).zero_()
    every, own = torch.arange(net.channels), torch.arange(net.filters)
    first.weight[group, every, 1, 1] = _LEVELS / (known * size)
    for layer, share in ((second, 0.25), (third, 0.25), (one, 1.0), (two, 1.0)):
        for row in (2, 3):
            for column in (2, 3):
                layer.weight[own, own, row, column] = share
    last.weight[every, group, 1, 1] = _TO_DEVIATION * known / _LEVELS
    return net.hyper_analysis(y)


def _fit(bottleneck: EntropyBottleneck, means: torch.Tensor, deviations: torch.Tensor) -> None:
    """Let a bottleneck start as logistic distributions."""
    scales = deviations.clamp(min=0.1) * _TO_LOGISTIC
    for bias, factor in zip(bottleneck.biases, [*bottleneck.factors, None], strict=True):
        bias.zero_()
        if factor is not None:
            factor.zero_()
    for number, matrix in enumerate(bottleneck.matrices):
        slope = torch.full_like(matrix, 1 / matrix.shape[2])
        if number == len(bottleneck.matrices) - 1:
            slope = slope / scales[:, None, None]
        matrix.copy_(torch.log(torch.expm1(slope)))
    bottleneck.biases[-1][:, 0, 0] = -means / scales
    bottleneck.find_quantiles()


def _convolutions(layers: nn.Module) -> list[nn.Conv2d]:
    found: Iterator[nn.Module] = layers.modules()
    return [cast(nn.Conv2d, one) for one in found if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]


def _bias(layer: nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None  # noqa: S101  # as all are built
    return layer.bias
