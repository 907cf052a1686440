"""The small encoder for patches of 9 px, in PyTorch; only imported when one is trained or used."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from napari_nic.encoders.nets import LEAK, EncoderNet
from napari_nic.encoders.networks import NETWORKS, Architecture
from napari_nic.encoders.prepared import PreparedNet
from napari_nic_experiments.digits.glyphs import GLYPH
from napari_nic_experiments.digits.patches import NOMINAL_MPP

ARCHITECTURE = "digits-9"
LAST_SIDE = 3
"""Side of the last feature map: 9 -> 5 -> 3 px."""

_HALF_RANGE, _OFFSET = 127.5, 0.5


class DigitEncoderNet(EncoderNet):
    """The encoder of the synthetic experiment (METHOD of Tellez et al. 2019, appendix).

    ::

        (B, 3, 9, 9) in [-1, 1]
          2 x [ conv 3 x 3, 32/64, stride 2 -> batch norm -> LeakyReLU 0.2 ]   5, 3 px
          flatten in (row, column, channel) order                             576
          linear 64 -> batch norm -> LeakyReLU 0.2
          linear                                                              C

    Parameters
    ----------
    code_size : int
        C.
    """

    WIDTHS = (32, 64)
    DENSE = 64

    def __init__(self, code_size: int = 16) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            for before, after in pairwise((3, *self.WIDTHS))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in self.WIDTHS)
        self.dense = nn.Linear(self.WIDTHS[-1] * LAST_SIDE**2, self.DENSE, bias=False)
        self.dense_norm = nn.BatchNorm1d(self.DENSE)
        self.code = nn.Linear(self.DENSE, code_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 9, 9) in [-1, 1] to (B, 64)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(conv(x)), LEAK)
        flat = x.permute(0, 2, 3, 1).flatten(1)
        return nn.functional.leaky_relu(self.dense_norm(self.dense(flat)), LEAK)


class PreparedDigitNet(PreparedNet):
    """:class:`DigitEncoderNet` with every batch normalisation folded into the layer before it."""

    def __init__(self, net: EncoderNet) -> None:
        super().__init__()
        net = cast(DigitEncoderNet, net).eval()
        self.convs = nn.ModuleList(
            fuse_conv_bn_eval(conv, norm)
            for conv, norm in zip(net.convs, net.norms, strict=True)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        )
        self.head = fuse_linear_bn_eval(net.dense, net.dense_norm)
        self.code = net.code

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, 9, 9) of ``uint8 - 128`` to codes (B, C)."""
        flat = self.flat((x + _OFFSET) / _HALF_RANGE)
        codes: torch.Tensor = self.code(nn.functional.leaky_relu(self.head(flat), LEAK))
        return codes


NETWORKS[ARCHITECTURE] = Architecture(
    GLYPH, NOMINAL_MPP, GLYPH, NOMINAL_MPP, DigitEncoderNet, PreparedDigitNet
)
