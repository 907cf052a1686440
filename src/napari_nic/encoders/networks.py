"""The networks as the papers draw them, in PyTorch; only imported when one is used."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from napari_nic.encoders.rounding import round_to_bfloat16
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import WeightsError

LEAK = 0.2
"""Negative slope of every LeakyReLU (authors' code)."""

KERAS_BN_EPS = 1e-3
"""Epsilon of the authors' batch normalisation, Keras' default."""

WIDE_LAYERS, WIDE_BATCH = 2, 16
"""On a CPU the first layers, whose maps are large, take this many patches at a time."""


class EncoderNet(nn.Module):
    """A network that ends in one linear layer, the code.

    Attributes
    ----------
    code : Linear
        From features to codes.
    """

    code: nn.Linear

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, s, s) in [-1, 1] to (B, F), what the code is computed from."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, s, s) in [-1, 1] to codes (B, C)."""
        codes: torch.Tensor = self.code(self.features(x))
        return codes


class PreparedNet(nn.Module):
    """An encoder for use: pixels as ``uint8 - 128``, convolutions in a chosen precision, codes in float32.

    Attributes
    ----------
    convs : ModuleList of Conv2d
        Each followed by a LeakyReLU.
    head : Linear
        The layer that sees the convolutions' output.
    """

    convs: nn.ModuleList
    head: nn.Linear

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the convolutions in order."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv2d)]

    def round_to_bfloat16(self) -> None:
        """Make the convolutions' weights numbers of bfloat16, see :mod:`napari_nic.encoders.rounding`."""
        self.undo(round_to_bfloat16(self.convolutions()))

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
            x = nn.functional.leaky_relu_(conv(x), LEAK)
        return x


class NicEncoderNet(EncoderNet):
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

    WIDTH = 128
    DEPTH = 4

    def __init__(self, code_size: int = 128) -> None:
        super().__init__()
        channels = [3, *[self.WIDTH] * self.DEPTH]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(self.WIDTH, eps=KERAS_BN_EPS) for _ in range(self.DEPTH))
        self.code = nn.Linear(self.WIDTH * 3 * 3, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to (B, 1152), flattened in (row, column, channel) order."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(nn.functional.leaky_relu(conv(x), LEAK))
        return x.permute(0, 2, 3, 1).flatten(1)


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


class Nic128EncoderNet(EncoderNet):
    """The encoder of the paper's appendix (VAE, contrastive and supervised training).

    ::

        (B, 3, 128, 128) in [-1, 1]
          5 x [ conv 3 x 3, 32/64/128/256/512, stride 2 -> batch norm -> LeakyReLU 0.2 ]   64 ... 4 px
          flatten in (row, column, channel) order                                         8192
          linear 512 -> batch norm -> LeakyReLU 0.2
          linear                                                                          C

    Parameters
    ----------
    code_size : int
        C.

    Notes
    -----
    The picture is padded with the grey of the pixel value 128, which is 0 in ``uint8 - 128``: so the first
    layer can be folded exactly. Appendix of Tellez et al. 2019.
    """

    WIDTHS = (32, 64, 128, 256, 512)
    DENSE = 512
    GREY = 128 / 127.5 - 1

    def __init__(self, code_size: int = 128) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1 if before > 3 else 0, bias=False)
            for before, after in pairwise((3, *self.WIDTHS))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in self.WIDTHS)
        self.dense = nn.Linear(self.WIDTHS[-1] * 4 * 4, self.DENSE, bias=False)
        self.dense_norm = nn.BatchNorm1d(self.DENSE)
        self.code = nn.Linear(self.DENSE, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 128, 128) in [-1, 1] to (B, 512)."""
        x = nn.functional.pad(x, (1, 1, 1, 1), value=self.GREY)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(conv(x)), LEAK)
        flat = x.permute(0, 2, 3, 1).flatten(1)
        return nn.functional.leaky_relu(self.dense_norm(self.dense(flat)), LEAK)


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


class PooledEncoderNet(NicEncoderNet):
    """The published convolutions, read at three scales: a code of textures rather than of places.

    ::

        (B, 3, 64, 64) in [-1, 1]
          the convolutions of NicEncoderNet          31, 15, 7, 3 px
          mean and standard deviation over space of the activations of the last three   6 x 128
          batch norm
          linear                                                                       C

    What a patch of tissue is does not depend on where in it a nucleus lies; statistics over space say so
    from the start, where a layer over all places must learn it. Costs as much as the published network.

    Parameters
    ----------
    code_size : int
        C.
    """

    POOLED = 3
    FLOOR = 1e-4
    """Added to the variance, so that its root can be differentiated everywhere."""

    def __init__(self, code_size: int = 128) -> None:
        super().__init__(code_size)
        del self.norms[-1]  # nothing comes after the last activation but the statistics
        features = 2 * self.POOLED * self.WIDTH
        self.statistics_norm = nn.BatchNorm1d(features)
        self.code = nn.Linear(features, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to (B, 768) normalised statistics, in float32."""
        found = []
        for index, conv in enumerate(self.convs):
            x = nn.functional.leaky_relu(conv(x), LEAK)
            if index >= len(self.convs) - self.POOLED:
                found.append(space_statistics(x, self.FLOOR))
            if index < len(self.norms):
                x = self.norms[index](x)
        with torch.autocast(x.device.type, enabled=False):
            normal: torch.Tensor = self.statistics_norm(torch.cat(found, 1))
        return normal


def space_statistics(x: torch.Tensor, floor: float) -> torch.Tensor:
    """Map (B, K, h, w) to mean and standard deviation of each channel over space, (B, 2 K) float32."""
    flat = x.permute(0, 2, 3, 1).flatten(1, 2).float()
    mean = flat.mean(1)
    variance = (flat.square().mean(1) - mean.square()).clamp(min=0)
    return torch.cat([mean, (variance + floor).sqrt()], 1)


class FoldedPooledNet(FoldedNet):
    """:class:`PooledEncoderNet` with every batch normalisation folded into the layer after it."""

    def __init__(self, net: EncoderNet) -> None:
        PreparedNet.__init__(self)
        net = cast(PooledEncoderNet, net)
        self.convs, _, _ = _fold_convolutions(net)
        self.pooled, self.floor = net.POOLED, net.FLOOR
        scale, shift = _batch_norm_as_affine(net.statistics_norm)
        self.head = _absorb_linear(net.code, scale, shift)

    def undo(self, factors: list[torch.Tensor]) -> None:
        """Mean and standard deviation of each pooled channel carry its factor."""
        every = torch.cat([factor.repeat(2) for factor in factors[-self.pooled :]])
        with torch.no_grad():
            self.head.weight.copy_(self.head.weight.double() * every)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) of ``uint8 - 128`` to codes (B, C)."""
        found = []
        for index, conv in enumerate(self.convs):
            x = nn.functional.leaky_relu_(conv(x), LEAK)
            if index >= len(self.convs) - self.pooled:
                found.append(space_statistics(x, self.floor))
        codes: torch.Tensor = self.head(torch.cat(found, 1))
        return codes


@dataclass(frozen=True)
class Architecture:
    """A family of encoder networks.

    Attributes
    ----------
    input_size : int
        Side of the network's input, px.
    input_mpp : float
        Resolution of the input, um/px.
    patch_size, mpp : int, float
        Of the slide's patch that the input is averaged from.
    build : callable
        Maps a code size to a network with random weights.
    prepare : callable
        Maps a trained network to one that gives the same codes faster, for pixels as ``uint8 - 128``.
    """

    input_size: int
    input_mpp: float
    patch_size: int
    mpp: float
    build: Callable[[int], EncoderNet]
    prepare: Callable[[EncoderNet], PreparedNet]


NETWORKS: dict[str, Architecture] = {
    "nic-64": Architecture(64, 1.0, 128, 0.5, NicEncoderNet, FoldedNet),
    "nic-64-pooled": Architecture(64, 1.0, 128, 0.5, PooledEncoderNet, FoldedPooledNet),
    "nic-128": Architecture(128, 0.5, 128, 0.5, Nic128EncoderNet, Folded128Net),
}
"""Architectures by the name that a spec gives."""


def get_architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises
    ------
    WeightsError
        If it is unknown.
    """
    if name not in NETWORKS:
        raise WeightsError(
            "unknown encoder architecture",
            expected=f"one of {', '.join(NETWORKS)}",
            found=name,
            hint="it may need a newer napari-nic",
        )
    return NETWORKS[name]


def build_network(spec: EncoderSpec) -> EncoderNet:
    """Return the network of a spec with random weights.

    Raises
    ------
    WeightsError
        If the architecture is unknown.
    """
    return get_architecture(spec.architecture).build(spec.code_size)
