"""Small networks of all kinds with weights whose symbols are neither all zero nor all beyond their tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from napari_nic.recompression.neural.codec import NeuralCodec, freeze
from napari_nic.recompression.neural.elic import Elic
from napari_nic.recompression.neural.freezing import sample_pixels
from napari_nic.recompression.neural.nets import CompressionNet, FactorizedPrior, ScaleHyperprior
from napari_nic.recompression.neural.networks import NETWORKS, make_network

N, M = 8, 24
Y_STD, Z_STD = 3.0, 2.0


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All tests here run small networks."""


@pytest.fixture(scope="session", params=NETWORKS.names())
def name(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def make_net() -> Callable[..., CompressionNet]:
    """``make_net(name, filters=N, channels=M)``."""
    return sensible


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """(2, 128, 128, 3) uint8."""
    return sample_pixels(2, 128)


@pytest.fixture(scope="session")
def nets() -> dict[str, CompressionNet]:
    return {name: sensible(name) for name in NETWORKS}


@pytest.fixture
def net(name, nets) -> CompressionNet:
    return nets[name]


@pytest.fixture(scope="session")
def codecs(nets, pixels) -> dict[str, NeuralCodec]:
    return {name: freeze(net, pixels) for name, net in nets.items()}


@pytest.fixture
def codec(name, codecs) -> NeuralCodec:
    return codecs[name]


@torch.no_grad()
def sensible(name: str, filters: int = N, channels: int = M) -> CompressionNet:
    """A network with random weights, scaled as training would: y and z of a few symbols, tables that fit."""
    torch.manual_seed(3)
    net = make_network(name, filters, channels).eval()
    x = torch.from_numpy(sample_pixels(1, 128)).permute(0, 3, 1, 2).float() / 255
    # Attention that ends ELIC's analysis adds to what the convolution before it gives.
    last = net.g_a[-2] if isinstance(net, Elic) else net.g_a[-1]
    _spread(last, lambda: net.g_a(x), Y_STD)
    y = net.g_a(x)
    for matrix in net.bottleneck.matrices:
        matrix += 0.1 * torch.randn_like(matrix)
    net.bottleneck.quantiles[:, 0, 1] += torch.randn(net.bottleneck.channels)
    if isinstance(net, FactorizedPrior):
        return net
    h_a = net.h_a if isinstance(net, ScaleHyperprior) else net.latent_codec.hyper.h_a
    _spread(h_a[-1], lambda: net.hyper_analysis(y), Z_STD)
    if isinstance(net, Elic):
        _known(net.latent_codec.hyper.h_s[-1], torch.full((2 * channels,), 1.0))
        for group, size in enumerate(net.groups):
            wanted = torch.cat([torch.zeros(size), torch.full((size,), Y_STD)])
            _known(net.prior(group).entropy_parameters[-1], wanted)
    else:
        wanted = torch.full((channels,), Y_STD)
        _known(net.h_s[4], torch.cat([wanted, torch.zeros(channels)]) if net.has_means else wanted)
    return net


def _spread(layer: nn.Module, values: Callable[[], torch.Tensor], std: float) -> None:
    for _ in range(3):
        found = values()
        layer.bias -= found.mean((0, 2, 3))
        factor = std / found.std()
        layer.weight *= factor
        layer.bias *= factor


def _known(layer: nn.Module, middle: torch.Tensor) -> None:
    """Results around `middle`, that still depend on what goes in."""
    layer.weight *= 3
    layer.bias.copy_(middle)
