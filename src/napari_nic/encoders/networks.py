"""The networks as the papers draw them, in PyTorch; only imported when one is used."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import WeightsError

LEAK = 0.2
"""Negative slope of every LeakyReLU (authors' code)."""

KERAS_BN_EPS = 1e-3
"""Epsilon of the authors' batch normalisation, Keras' default."""


class NicEncoderNet(nn.Module):
    """The encoder that Tellez et al. published (BiGAN and multitask weights).

    ::

        (B, 3, 64, 64) in [-1, 1]
          4 x [ conv 3 x 3, 128, stride 2, valid -> LeakyReLU 0.2 -> batch norm ]     31, 15, 7, 3 px
          flatten in (row, column, channel) order                                    1152
          linear                                                                     C

    Parameters
    ----------
    code_size : int
        C.

    Notes
    -----
    The paper's appendix puts the batch normalisation before the activation; the published weights have it
    after, and so has this network.
    """

    def __init__(self, code_size: int = 128, *, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        channels = [3, *[width] * depth]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, eps=KERAS_BN_EPS) for _ in range(depth))
        self.code = nn.Linear(width * 3 * 3, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to (B, 1152), flattened in (row, column, channel) order."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(nn.functional.leaky_relu(conv(x), LEAK))
        return x.permute(0, 2, 3, 1).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to codes (B, C)."""
        codes: torch.Tensor = self.code(self.features(x))
        return codes


class FoldedNet(nn.Module):
    """The same function in fewer steps, for pixels that come as ``uint8 - 128``.

    Scaling to [-1, 1] and each batch normalisation are affine, and valid padding shows a convolution nothing
    but real pixels; so both fold exactly into the weights of the next layer. What is left is four
    convolutions with an activation and one linear layer.
    """

    def __init__(self, net: NicEncoderNet) -> None:
        super().__init__()
        scale: torch.Tensor = torch.full((3,), 1 / 127.5, dtype=torch.float64)
        shift: torch.Tensor = torch.full((3,), 0.5 / 127.5, dtype=torch.float64)
        convs = []
        for conv, norm in zip(net.convs, net.norms, strict=True):
            assert isinstance(conv, nn.Conv2d)  # noqa: S101  # for the type checker
            assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101
            convs.append(_absorb_conv(conv, scale, shift))
            scale, shift = _batch_norm_as_affine(norm)
        self.convs = nn.ModuleList(convs)
        self.code = _absorb_linear(net.code, scale, shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) of ``uint8 - 128`` to codes (B, C)."""
        for conv in self.convs:
            x = nn.functional.leaky_relu_(conv(x), LEAK)
        codes: torch.Tensor = self.code(x.permute(0, 2, 3, 1).flatten(1).to(self.code.weight.dtype))
        return codes

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the convolutions in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]


def _batch_norm_as_affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (scale, shift) of a batch norm in evaluation, in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise WeightsError("a batch normalisation has no running statistics")
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.detach().double() - norm.running_mean.double() * scale


def _absorb_conv(conv: nn.Conv2d, scale: torch.Tensor, shift: torch.Tensor) -> nn.Conv2d:
    """Return a convolution that does ``conv(x * scale + shift)``."""
    weight = conv.weight.detach().double()
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride=2)
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    folded.weight = nn.Parameter((weight * scale[None, :, None, None]).float())
    folded.bias = nn.Parameter((bias.double() + (weight.sum((2, 3)) * shift).sum(1)).float())
    return folded


def _absorb_linear(linear: nn.Linear, scale: torch.Tensor, shift: torch.Tensor) -> nn.Linear:
    """Return a linear layer that does ``linear(x * scale + shift)`` for channels repeated over space."""
    weight = linear.weight.detach().double()
    repeats = weight.shape[1] // len(scale)
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight = nn.Parameter((weight * scale.repeat(repeats)).float())
    folded.bias = nn.Parameter((linear.bias.detach().double() + weight @ shift.repeat(repeats)).float())
    return folded


NETWORKS: dict[str, Callable[[EncoderSpec], NicEncoderNet]] = {
    "nic-64": lambda spec: NicEncoderNet(spec.code_size),
}
"""Architectures by the name that a spec gives."""


def build_network(spec: EncoderSpec) -> NicEncoderNet:
    """Return the network of a spec with random weights.

    Raises
    ------
    WeightsError
        If the architecture is unknown.
    """
    if spec.architecture not in NETWORKS:
        raise WeightsError(
            f"encoder {spec.name!r} has an unknown architecture",
            expected=f"one of {', '.join(NETWORKS)}",
            found=spec.architecture,
            hint="it may need a newer napari-nic",
        )
    return NETWORKS[spec.architecture](spec)
