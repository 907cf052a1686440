"""The CNN on embeddings in PyTorch; only imported when a model is used."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.features import KERNEL
from napari_nic.slide_models.gridnet import BN_EPS, LEAK, GridNet


class SeparableBlock(nn.Module):
    """Depthwise then pointwise convolution, batch norm, LeakyReLU, spatial dropout; valid padding."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, KERNEL, stride=stride, groups=before, bias=False)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=BN_EPS)
        self.activation = nn.LeakyReLU(LEAK)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, before, h, w) to (B, after, h', w')."""
        y: torch.Tensor = self.dropout(self.activation(self.norm(self.pointwise(self.depthwise(x)))))
        return y


class SlideNet(GridNet):
    """The slide-level CNN of Tellez et al. 2019 (arXiv v2, appendix).

    ::

        (B, C, R, R) standardised codes
          8 x [ separable conv 3 x 3, 128, valid, stride 2 (layers 7, 8: 1) -> BN -> LeakyReLU -> dropout ]
          average over locations (one location at R = 400)
          dense 128 -> BN -> LeakyReLU
          linear, one output per target; sigmoid or softmax is left to the loss

    Parameters
    ----------
    config : SlideNetConfig
    """

    def __init__(self, config: SlideNetConfig) -> None:
        super().__init__(config)
        widths = [config.code_size, *[config.width] * len(config.strides)]
        self.blocks = nn.ModuleList(
            SeparableBlock(widths[i], widths[i + 1], stride, config.dropout)
            for i, stride in enumerate(config.strides)
        )
        self._add_head()

    def pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Map the last feature map (B, width, h, w) to outputs (B, outputs)."""
        return self.head(features.mean(dim=(2, 3)))

    def folded(self) -> Self:
        """Fold batch norms into the convolutions before them: the same function, fewer passes over maps."""
        for block in self.blocks:
            assert isinstance(block, SeparableBlock)  # noqa: S101 - tells the type checker what the list holds
            block.pointwise = fuse_conv_bn_eval(block.pointwise, block.norm)
            block.norm = nn.Identity()  # type: ignore[assignment]  # nothing is left to normalise
            block.activation.inplace = True
        return self
