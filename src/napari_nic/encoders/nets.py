"""The encoder networks as the papers draw them, in PyTorch; only imported when one is used."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

LEAK = 0.2
"""Negative slope of every LeakyReLU (authors' code)."""

KERAS_BN_EPS = 1e-3
"""Epsilon of the authors' batch normalisation, Keras' default."""


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

    WIDTHS: ClassVar[tuple[int, ...]] = (128, 128, 128, 128)
    LAST_SIDE = 3
    """Side of what the last convolution returns, px."""

    def __init__(self, code_size: int = 128) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2) for before, after in pairwise((3, *self.WIDTHS))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, eps=KERAS_BN_EPS) for width in self.WIDTHS)
        self.code = nn.Linear(self.WIDTHS[-1] * self.LAST_SIDE**2, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to (B, 1152), flattened in (row, column, channel) order."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(nn.functional.leaky_relu(conv(x), LEAK))
        return x.permute(0, 2, 3, 1).flatten(1)


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
        features = 2 * sum(self.WIDTHS[-self.POOLED :])
        self.statistics_norm = nn.BatchNorm1d(features)
        self.code = nn.Linear(features, code_size)

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (B, 3, 64, 64) in [-1, 1] to the last three activations, (B, width, side, side) each."""
        found = []
        for index, conv in enumerate(self.convs):
            x = nn.functional.leaky_relu(conv(x), LEAK)
            if index >= len(self.convs) - self.POOLED:
                found.append(x)
            if index < len(self.norms):
                x = self.norms[index](x)
        return found

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 64, 64) in [-1, 1] to (B, F) normalised statistics, in float32; F is 768 here."""
        found = [space_statistics(seen, self.FLOOR) for seen in self.activations(x)]
        with torch.autocast(x.device.type, enabled=False):
            normal: torch.Tensor = self.statistics_norm(torch.cat(found, 1))
        return normal


class SlimEncoderNet(PooledEncoderNet):
    """:class:`PooledEncoderNet` with narrow early and wide deep convolutions: half its cost.

    ::

        (B, 3, 64, 64) in [-1, 1]
          convolutions of 32, 96, 192 and 384 channels    31, 15, 7, 3 px
          mean and standard deviation of the last three   1344
          batch norm, linear                              C

    What a convolution costs goes by its places, and there are a hundred times as many in the first as in the
    last: channels are cheap where the maps are small, and it is there that they know tissue.
    """

    WIDTHS = (32, 96, 192, 384)


class TinyEncoderNet(PooledEncoderNet):
    """:class:`PooledEncoderNet` with 32, 64, 128 and 256 channels: a quarter of its cost."""

    WIDTHS = (32, 64, 128, 256)


def space_statistics(x: torch.Tensor, floor: float) -> torch.Tensor:
    """Map (B, K, h, w) to mean and standard deviation of each channel over space, (B, 2 K) float32."""
    flat = x.permute(0, 2, 3, 1).flatten(1, 2).float()
    mean = flat.mean(1)
    variance = (flat.square().mean(1) - mean.square()).clamp(min=0)
    return torch.cat([mean, (variance + floor).sqrt()], 1)
