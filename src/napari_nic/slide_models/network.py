"""The CNN on embeddings in PyTorch; only imported when a model is used."""

from __future__ import annotations

import torch
from torch import nn

from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.features import KERNEL

LEAK = 0.2
"""Negative slope of every LeakyReLU, as in the authors' encoders; the paper does not state it."""

BN_EPS = 1e-3
"""Keras' default, which the authors used."""


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


class SlideNet(nn.Module):
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
        super().__init__()
        self.config = config
        widths = [config.code_size, *[config.width] * len(config.strides)]
        self.blocks = nn.ModuleList(
            SeparableBlock(widths[i], widths[i + 1], stride, config.dropout)
            for i, stride in enumerate(config.strides)
        )
        self.dense = nn.Linear(config.width, config.width, bias=False)
        self.norm = nn.BatchNorm1d(config.width, eps=BN_EPS)
        self.activation = nn.LeakyReLU(LEAK)
        self.output = nn.Linear(config.width, config.outputs)

    def features(self, x: torch.Tensor, *, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Run the blocks ``first`` up to (not including) ``last``: (B, c, h, w) to (B, width, h', w')."""
        for block in self.blocks[first:last]:
            x = block(x)
        return x

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map feature vectors (N, width) to outputs (N, outputs)."""
        y: torch.Tensor = self.output(self.activation(self.norm(self.dense(vectors))))
        return y

    def pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Map the last feature map (B, width, h, w) to outputs (B, outputs)."""
        return self.head(features.mean(dim=(2, 3)))

    def at_locations(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the head at every location: (B, width, h, w) to (B, h, w, outputs)."""
        vectors = features.permute(0, 2, 3, 1)
        return self.head(vectors.flatten(0, 2)).reshape(*vectors.shape[:3], -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map standardised codes (B, C, rows, cols) to outputs (B, outputs)."""
        return self.pooled(self.features(x))
