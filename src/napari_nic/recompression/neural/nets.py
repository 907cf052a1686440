"""The networks, in PyTorch, with CompressAI's names of parameters, so that its published weights load.

After Balle, Minnen, Singh, Hwang and Johnston, *Variational image compression with a scale hyperprior*, ICLR
2018, and Minnen, Balle and Toderici, *Joint autoregressive and hierarchical priors for learned image
compression*, NeurIPS 2018; written anew from the papers and the names. Learning minimises rate plus
distortion: the rate is the sum of -log2 of the likelihoods that :meth:`CompressionNet.forward` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple, cast

import torch
from torch import nn

from napari_nic.recompression.neural.bottleneck import EntropyBottleneck, GaussianConditional
from napari_nic.recompression.neural.layers import Gdn, conv, deconv

STEP = 16
"""Pixels along a side that one symbol of a channel stands for."""


class Coded(NamedTuple):
    """What a network makes of pixels.

    Attributes
    ----------
    pixels : Tensor, (B, 3, h, w)
        About [0, 1], not clipped.
    likelihoods : dict of str to Tensor
        By bottleneck (``"y"``, ``"z"``): how probable each symbol is.
    """

    pixels: torch.Tensor
    likelihoods: dict[str, torch.Tensor]


class CompressionNet(nn.Module):
    """What all networks of learned codecs offer.

    Parameters
    ----------
    filters, channels : int
        N and M of the papers.

    Attributes
    ----------
    name : str
        CompressAI's name of the architecture.
    factor : int
        Sides of pictures must be multiples of it.
    symbols : str
        Kind of the model of its symbols: ``"factorized"``, ``"hyper"`` or ``"groups"``.
    has_means : bool
        Whether z says the means of y too.
    g_a, g_s : Module
        Analysis and synthesis: pixels (B, 3, h, w) in [0, 1] to y (B, M, h/16, w/16) and back.
    """

    name: ClassVar[str]
    factor: ClassVar[int]
    symbols: ClassVar[str] = "hyper"
    has_means: ClassVar[bool] = True
    g_a: nn.Module
    g_s: nn.Module

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__()
        self.filters, self.channels = filters, channels

    @property
    def bottleneck(self) -> EntropyBottleneck:
        """The bottleneck whose symbols have a table for each channel."""
        return cast(EntropyBottleneck, self.get_submodule("entropy_bottleneck"))

    def hyper_analysis(self, y: torch.Tensor) -> torch.Tensor:
        """Map y (B, M, h, w) to z (B, N, h/4, w/4), where the network has one."""
        raise NotImplementedError

    def code(self, y: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return what stands for y once coded, and likelihoods; with noise in training, rounded otherwise."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> Coded:
        """Map pixels (B, 3, h, w) in [0, 1] to what comes back, and to likelihoods."""
        y_hat, likelihoods = self.code(self.g_a(x))
        return Coded(self.g_s(y_hat), likelihoods)

    def latents(self, x: torch.Tensor) -> torch.Tensor:
        """What the synthesis is given of pixels: y (B, M, h/16, w/16), rounded (in evaluation mode)."""
        return self.code(self.g_a(x))[0]

    def aux_loss(self) -> torch.Tensor:
        """Loss of the bottleneck's quantiles alone: an optimiser of its own minimises it."""
        return self.bottleneck.aux_loss()


class FactorizedPrior(CompressionNet):
    """bmshj2018-factorized: four convolutions, and symbols that know nothing of each other."""

    name = "bmshj2018-factorized"
    factor = 16
    symbols = "factorized"
    has_means = False

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__(filters, channels)
        self.entropy_bottleneck = EntropyBottleneck(channels)
        self.g_a, self.g_s = _analysis(filters, channels), _synthesis(filters, channels)

    def code(self, y: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See the base class."""
        y_hat, likelihood = self.entropy_bottleneck(y)
        return y_hat, {"y": likelihood}


class ScaleHyperprior(CompressionNet):
    """bmshj2018-hyperprior: Gaussians around 0, whose scales follow from coarser symbols z."""

    name = "bmshj2018-hyperprior"
    factor = 64
    has_means = False

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__(filters, channels)
        self.entropy_bottleneck = EntropyBottleneck(filters)
        self.gaussian_conditional = GaussianConditional()
        self.g_a, self.g_s = _analysis(filters, channels), _synthesis(filters, channels)
        n, m = filters, channels
        self.h_a = nn.Sequential(conv(m, n, 3, 1), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))
        self.h_s = nn.Sequential(
            deconv(n, n), nn.ReLU(), deconv(n, n), nn.ReLU(), conv(n, m, 3, 1), nn.ReLU()
        )

    def hyper_analysis(self, y: torch.Tensor) -> torch.Tensor:
        """Map y (B, M, h, w) to z (B, N, h/4, w/4)."""
        z: torch.Tensor = self.h_a(y.abs())
        return z

    def code(self, y: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See the base class."""
        z_hat, z_likelihood = self.entropy_bottleneck(self.hyper_analysis(y))
        y_hat, likelihood = self.gaussian_conditional(y, self.h_s(z_hat))
        return y_hat, {"y": likelihood, "z": z_likelihood}


class MeanScaleHyperprior(ScaleHyperprior):
    """mbt2018-mean: the means of the Gaussians follow from z too."""

    name = "mbt2018-mean"
    has_means = True

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__(filters, channels)
        n, m = filters, channels
        self.h_a = nn.Sequential(conv(m, n, 3, 1), nn.LeakyReLU(), conv(n, n), nn.LeakyReLU(), conv(n, n))
        self.h_s = nn.Sequential(
            deconv(n, m),
            nn.LeakyReLU(),
            deconv(m, m * 3 // 2),
            nn.LeakyReLU(),
            conv(m * 3 // 2, m * 2, 3, 1),
        )

    def hyper_analysis(self, y: torch.Tensor) -> torch.Tensor:
        """Map y (B, M, h, w) to z (B, N, h/4, w/4)."""
        z: torch.Tensor = self.h_a(y)
        return z

    def code(self, y: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See the base class."""
        z_hat, z_likelihood = self.entropy_bottleneck(self.hyper_analysis(y))
        scales, means = self.h_s(z_hat).chunk(2, 1)
        y_hat, likelihood = self.gaussian_conditional(y, scales, means)
        return y_hat, {"y": likelihood, "z": z_likelihood}


def _analysis(filters: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_layers([3, filters, filters, filters, channels], inverse=False))


def _synthesis(filters: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_layers([channels, filters, filters, filters, 3], inverse=True))


def _layers(widths: Sequence[int], *, inverse: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        if number:
            layers.append(Gdn(inputs, inverse=inverse))
        layers.append(deconv(inputs, outputs) if inverse else conv(inputs, outputs))
    return layers
