"""What every network on an embedding array offers, and the head they share; imported when one is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import nn

from napari_nic.slide_models.config import SlideNetConfig

LEAK = 0.2
"""Negative slope of every LeakyReLU, as in the authors' encoders; the paper does not state it."""

BN_EPS = 1e-3
"""Keras' default, which the authors used."""


class GridNet(nn.Module, ABC):
    """A network from standardised codes to outputs: blocks that keep the grid, a pooling, a head.

    Prediction and saliency use it by these parts: features of a block lie on the cells as
    ``config.features(block)`` says.

    Parameters
    ----------
    config : SlideNetConfig
    """

    blocks: nn.ModuleList

    def __init__(self, config: SlideNetConfig) -> None:
        super().__init__()
        self.config = config

    def _add_head(self) -> None:
        """Make the dense layer and the output; called last, so that random weights are drawn in order."""
        width = self.config.width
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width, eps=BN_EPS)
        self.activation = nn.LeakyReLU(LEAK)
        self.output = nn.Linear(width, self.config.outputs)

    def features(self, x: torch.Tensor, *, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Run the blocks ``first`` up to (not including) ``last``: (B, c, h, w) to (B, width, h', w')."""
        for block in self.blocks[first:last]:
            x = block(x)
        return x

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map feature vectors (N, width) to outputs (N, outputs)."""
        y: torch.Tensor = self.output(self.activation(self.norm(self.dense(vectors))))
        return y

    @abstractmethod
    def pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Map the last feature map (B, width, h, w) to outputs (B, outputs)."""

    def at_locations(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the head at every location: (B, width, h, w) to (B, h, w, outputs)."""
        vectors = features.permute(0, 2, 3, 1)
        return self.head(vectors.flatten(0, 2)).reshape(*vectors.shape[:3], -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map standardised codes (B, C, rows, cols) to outputs (B, outputs)."""
        return self.pooled(self.features(x))

    def folded(self) -> Self:
        """Become the same function in fewer operations, for prediction only; returns itself."""
        return self
