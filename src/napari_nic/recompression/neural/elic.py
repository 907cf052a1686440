"""ELIC: groups of channels of uneven size, each known from those before it and from half of its own places.

After He, Yang, Peng, Ma, Qin and Wang, *ELIC: efficient learned image compression with unevenly grouped
space-channel contextual adaptive coding*, CVPR 2022, with the simplification that public weights have
(CompressAI's ``Elic2022Chandelier``): a group sees the first group and the one before it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import cast

import torch
from torch import nn

from napari_nic.recompression.neural.bottleneck import EntropyBottleneck, GaussianConditional, rounded
from napari_nic.recompression.neural.layers import (
    Attention,
    CheckerboardConv,
    ResidualBottleneck,
    conv,
    deconv,
)
from napari_nic.recompression.neural.nets import CompressionNet

_CONTEXT = (224, 128)
_LAST = 512


def groups_of(channels: int) -> tuple[int, ...]:
    """Channels of each group: 16, 16, 32, 64 and the rest, and in that proportion for small networks."""
    if channels > 128:
        return (16, 16, 32, 64, channels - 128)
    unit = max(1, channels // 20)
    return (unit, unit, 2 * unit, 4 * unit, channels - 8 * unit)


def is_anchor(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """(h, w) bool: the places of a checkerboard that are coded first, the upper left one among them."""
    row, column = torch.arange(height, device=device), torch.arange(width, device=device)
    return (row[:, None] + column) % 2 == 0


class GroupPrior(nn.Module):
    """What is known of one group: from its first half, from earlier groups and from z."""

    def __init__(self, size: int, channels: int, *, is_first: bool) -> None:
        super().__init__()
        inputs = 2 * size * (1 if is_first else 2) + 2 * channels
        self.context_prediction = CheckerboardConv(size, 2 * size)
        self.entropy_parameters = nn.Sequential(
            conv(inputs, 2 * channels, 1, 1),
            nn.ReLU(),
            conv(2 * channels, _LAST, 1, 1),
            nn.ReLU(),
            conv(_LAST, 2 * size, 1, 1),
        )

    def forward(self, anchors: torch.Tensor | None, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and scales, of what is known of earlier groups and z, and of anchors once they are."""
        seen = self.context_prediction.out_channels
        spatial = (
            known.new_zeros(len(known), seen, *known.shape[2:])
            if anchors is None
            else self.context_prediction(anchors)
        )
        means, scales = self.entropy_parameters(torch.cat([spatial, known], 1)).chunk(2, 1)
        return means, scales


class _Groups(nn.Module):
    """Modules of all groups, under CompressAI's names."""

    def __init__(self, groups: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.channel_context = nn.ModuleDict(
            {
                f"y{k}": nn.Sequential(
                    conv(groups[0] + (groups[k - 1] if k > 1 else 0), _CONTEXT[0], 5, 1),
                    nn.ReLU(),
                    conv(*_CONTEXT, 5, 1),
                    nn.ReLU(),
                    conv(_CONTEXT[1], 2 * groups[k], 5, 1),
                )
                for k in range(1, len(groups))
            }
        )
        self.latent_codec = nn.ModuleDict(
            {f"y{k}": GroupPrior(size, channels, is_first=k == 0) for k, size in enumerate(groups)}
        )


class _Hyper(nn.Module):
    def __init__(self, filters: int, channels: int) -> None:
        super().__init__()
        n, m = filters, channels
        self.entropy_bottleneck = EntropyBottleneck(n)
        self.h_a = nn.Sequential(conv(m, n, 3, 1), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))
        self.h_s = nn.Sequential(
            deconv(n, n),
            nn.ReLU(),
            deconv(n, n * 3 // 2),
            nn.ReLU(),
            conv(n * 3 // 2, 2 * m, 3, 1),
        )


class _LatentCodec(nn.Module):
    def __init__(self, filters: int, channels: int, groups: tuple[int, ...]) -> None:
        super().__init__()
        self.y, self.hyper = _Groups(groups, channels), _Hyper(filters, channels)


class Elic(CompressionNet):
    """elic2022: see the module."""

    name = "elic2022"
    factor = 64
    symbols = "groups"

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__(filters, channels)
        self.groups = groups_of(channels)
        self.g_a, self.g_s = _analysis(filters, channels), _synthesis(filters, channels)
        self.latent_codec = _LatentCodec(filters, channels, self.groups)
        self.gaussian = GaussianConditional()

    @property
    def bottleneck(self) -> EntropyBottleneck:
        """See the base class."""
        return self.latent_codec.hyper.entropy_bottleneck

    @property
    def bounds(self) -> tuple[int, ...]:
        """Where groups begin and end."""
        return tuple(accumulate(self.groups, initial=0))

    def prior(self, group: int) -> GroupPrior:
        """Return the modules of a group."""
        return cast(GroupPrior, self.latent_codec.y.latent_codec[f"y{group}"])

    def channel_context(self, group: int) -> nn.Sequential:
        """Return the network of a group, but the first, that sees earlier groups."""
        return cast(nn.Sequential, self.latent_codec.y.channel_context[f"y{group}"])

    def hyper_analysis(self, y: torch.Tensor) -> torch.Tensor:
        """Map y (B, M, h, w) to z (B, N, h/4, w/4)."""
        z: torch.Tensor = self.latent_codec.hyper.h_a(y)
        return z

    def code(self, y: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """See the base class; in training too y is rounded, with the gradient of doing nothing."""
        z = self.hyper_analysis(y)
        _, z_likelihood = self.bottleneck(z)
        medians = self.bottleneck.medians[:, None, None]
        hyper = self.latent_codec.hyper.h_s(rounded(z - medians) + medians)
        done: list[torch.Tensor] = []
        likelihoods = []
        for group, part in enumerate(y.split(self.groups, 1)):
            known = hyper
            if group:
                before = done[:1] if group == 1 else [done[0], done[-1]]
                known = torch.cat([self.channel_context(group)(torch.cat(before, 1)), hyper], 1)
            coded, likelihood = self._code_group(part, self.prior(group), known)
            done.append(coded)
            likelihoods.append(likelihood)
        return torch.cat(done, 1), {"y": torch.cat(likelihoods, 1), "z": z_likelihood}

    def _code_group(
        self, y: torch.Tensor, prior: GroupPrior, known: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        first = is_anchor(y.shape[2], y.shape[3], y.device)
        means, scales = prior(None, known)
        anchors = (rounded(y - means) + means) * first
        later_means, later_scales = prior(anchors, known)
        means, scales = torch.where(first, means, later_means), torch.where(first, scales, later_scales)
        _, likelihood = self.gaussian(y, scales, means)
        return rounded(y - means) + means, likelihood


def _blocks(channels: int) -> list[nn.Module]:
    return [ResidualBottleneck(channels) for _ in range(3)]


def _analysis(n: int, m: int) -> nn.Sequential:
    return nn.Sequential(
        conv(3, n),
        *_blocks(n),
        conv(n, n),
        *_blocks(n),
        Attention(n),
        conv(n, n),
        *_blocks(n),
        conv(n, m),
        Attention(m),
    )


def _synthesis(n: int, m: int) -> nn.Sequential:
    return nn.Sequential(
        Attention(m),
        deconv(m, n),
        *_blocks(n),
        deconv(n, n),
        Attention(n),
        *_blocks(n),
        deconv(n, n),
        *_blocks(n),
        deconv(n, 3),
    )
