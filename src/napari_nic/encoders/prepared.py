"""Encoder networks prepared for use: normalisations folded away, convolutions narrowed to bfloat16."""

from __future__ import annotations

import copy
from typing import ClassVar, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from napari_nic.encoders.nets import (
    LEAK,
    EncoderNet,
    Nic128EncoderNet,
    NicEncoderNet,
    PooledEncoderNet,
    space_statistics,
)
from napari_nic.encoders.rounding import round_to_bfloat16
from napari_nic.errors import WeightsError

WIDE_LAYERS, WIDE_BATCH = 2, 16
"""On a CPU the first layers, whose maps are large, take this many patches at a time."""


class PreparedNet(nn.Module):
    """An encoder for use: pixels as ``uint8 - 128``, convolutions in a chosen precision, codes in float32.

    Attributes
    ----------
    convs : ModuleList of Conv2d
        Each followed by a LeakyReLU.
    head : Linear
        The layer that sees the convolutions' output.
    EXACT : int
        How many of the last convolutions stay in float32 when the others are narrowed.
    """

    EXACT: ClassVar[int] = 0
    convs: nn.ModuleList
    head: nn.Linear

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the convolutions in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def narrow_convolutions(self) -> list[nn.Conv2d]:
        """Return those that may be computed in bfloat16."""
        convs = self.convolutions()
        return convs[: len(convs) - self.EXACT]

    def round_to_bfloat16(self) -> None:
        """Make their weights numbers of bfloat16, see :mod:`napari_nic.encoders.rounding`."""
        self.undo(round_to_bfloat16(self.narrow_convolutions()))

    def narrow(self) -> None:
        """Compute in bfloat16 what may be; to be called after rounding."""
        for conv in self.narrow_convolutions():
            conv.to(torch.bfloat16)

    def undo(self, factors: list[torch.Tensor]) -> None:
        """Divide the rescaling of each convolution's channels out of the layers that see them."""
        last = factors[-1].repeat(self.head.in_features // len(factors[-1]))
        with torch.no_grad():
            self.head.weight.copy_(self.head.weight.double() * last)

    def flat(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, s, s) of ``uint8 - 128`` to the flattened last feature map, in float32.

        On a CPU the wide first maps are made for a few patches at a time: as fast, and memory of a quarter
        of the size, which the C library keeps at hand instead of asking the system for it again each time.
        """
        if x.device.type == "cpu":
            x = torch.cat([self._activated(part, 0, WIDE_LAYERS) for part in x.split(WIDE_BATCH)])
        else:
            x = self._activated(x, 0, WIDE_LAYERS)
        x = self._activated(x, WIDE_LAYERS, len(self.convs))
        return x.permute(0, 2, 3, 1).flatten(1).to(self.head.weight.dtype)

    def _activated(self, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
        for conv in self.convs[first:last]:
            x = activated(conv, x)
        return x


def activated(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return LeakyReLU(conv(x)), computed in the precision of the convolution's weights."""
    assert isinstance(conv, nn.Conv2d)  # noqa: S101  # for the type checker
    return nn.functional.leaky_relu_(conv(x.to(conv.weight.dtype)), LEAK)


class FoldedNet(PreparedNet):
    """The same function in fewer steps, for pixels that come as ``uint8 - 128``.

    Scaling to [-1, 1] and each batch normalisation are affine, and valid padding shows a convolution nothing
    but real pixels; so both fold exactly into the weights of the next layer. What is left is four
    convolutions with an activation and one linear layer.
    """

    def __init__(self, net: EncoderNet) -> None:
        super().__init__()
        net = cast(NicEncoderNet, net)
        self.convs, scale, shift = _fold_convolutions(net)
        self.head = _absorb_linear(net.code, scale, shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) of ``uint8 - 128`` to codes (B, C)."""
        codes: torch.Tensor = self.head(self.flat(x))
        return codes


class Folded128Net(PreparedNet):
    """:class:`Nic128EncoderNet` with every batch normalisation folded into the layer before it."""

    def __init__(self, net: EncoderNet) -> None:
        super().__init__()
        net = cast(Nic128EncoderNet, net).eval()
        fused = [
            fuse_conv_bn_eval(conv, norm)
            for conv, norm in zip(net.convs, net.norms, strict=True)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        ]
        fused[0] = _absorb_conv(
            fused[0],
            torch.full((3,), 1 / 127.5, dtype=torch.float64),
            torch.full((3,), 0.5 / 127.5, dtype=torch.float64),
            padding=1,
        )
        self.convs = nn.ModuleList(fused)
        self.head = fuse_linear_bn_eval(net.dense, net.dense_norm)
        self.code = copy.deepcopy(net.code)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 128, 128) of ``uint8 - 128`` to codes (B, C)."""
        codes: torch.Tensor = self.code(nn.functional.leaky_relu(self.head(self.flat(x)), LEAK))
        return codes


class FoldedPooledNet(PreparedNet):
    """:class:`PooledEncoderNet` with every batch normalisation folded into the layer after it.

    The last convolution, a fortieth of the arithmetic, stays in float32: its statistics are of nine places
    only, so that roundings do not average out in them.
    """

    EXACT = 1

    def __init__(self, net: EncoderNet) -> None:
        super().__init__()
        net = cast(PooledEncoderNet, net)
        self.convs, _, _ = _fold_convolutions(net)
        self.pooled, self.floor = net.POOLED, net.FLOOR
        scale, shift = _batch_norm_as_affine(net.statistics_norm)
        self.head = _absorb_linear(net.code, scale, shift)

    def undo(self, factors: list[torch.Tensor]) -> None:
        """Mean and deviation of each pooled channel carry its factor; an exact layer sees the last ones."""
        exact = self.convolutions()[len(factors) :]
        ones = [torch.ones(conv.out_channels, dtype=torch.float64) for conv in exact]
        every = [*factors, *ones][-self.pooled :]
        with torch.no_grad():
            for conv in exact[:1]:
                conv.weight.copy_(conv.weight.double() * factors[-1][None, :, None, None])
            self.head.weight.copy_(self.head.weight.double() * torch.cat([one.repeat(2) for one in every]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) of ``uint8 - 128`` to codes (B, C)."""
        parts = x.split(WIDE_BATCH) if x.device.type == "cpu" else (x,)
        wide = [self._read(part, 0, WIDE_LAYERS) for part in parts]
        x, early = (torch.cat(both) for both in zip(*wide, strict=True))
        _, late = self._read(x, WIDE_LAYERS, len(self.convs))
        codes: torch.Tensor = self.head(torch.cat([early, late], 1))
        return codes

    def _read(self, x: torch.Tensor, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the activations of convolution `last - 1`, and the statistics of those that are pooled."""
        found = []
        for index in range(first, last):
            x = activated(self.convs[index], x)
            if index >= len(self.convs) - self.pooled:
                found.append(space_statistics(x, self.floor))
        return x, torch.cat(found, 1)


class FoldedSlimNet(FoldedPooledNet):
    """The same for networks whose last convolution is a quarter of the arithmetic: it is narrowed too.

    That adds a thirtieth to the error of a code (of random weights; rms).
    """

    EXACT = 0


def _fold_convolutions(net: NicEncoderNet) -> tuple[nn.ModuleList, torch.Tensor, torch.Tensor]:
    """Return the convolutions for ``uint8 - 128``, and the (scale, shift) that follows the last one."""
    scale: torch.Tensor = torch.full((3,), 1 / 127.5, dtype=torch.float64)
    shift: torch.Tensor = torch.full((3,), 0.5 / 127.5, dtype=torch.float64)
    convs = []
    for index, conv in enumerate(net.convs):
        assert isinstance(conv, nn.Conv2d)  # noqa: S101  # for the type checker
        convs.append(_absorb_conv(conv, scale, shift))
        if index < len(net.norms):
            norm = net.norms[index]
            assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101
            scale, shift = _batch_norm_as_affine(norm)
    return nn.ModuleList(convs), scale, shift


def _batch_norm_as_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (scale, shift) of a batch norm in evaluation, in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise WeightsError("a batch normalisation has no running statistics")
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.detach().double() - norm.running_mean.double() * scale


def _absorb_conv(conv: nn.Conv2d, scale: torch.Tensor, shift: torch.Tensor, *, padding: int = 0) -> nn.Conv2d:
    """Return a convolution that does ``conv(x * scale + shift)``."""
    weight = conv.weight.detach().double()
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride=2, padding=padding)
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
