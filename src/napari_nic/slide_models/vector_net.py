"""Networks on one vector a slide in PyTorch; only imported when a model is used."""

from __future__ import annotations

import torch
from torch import nn

from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.gridnet import LEAK, GridNet


class VectorNet(GridNet):
    """A linear model, or a perceptron with one hidden layer, on the vector of a slide.

    ::

        (B, D, 1, 1) standardised vector
          linear:  linear, one output per target
          mlp:     dense `width` -> LeakyReLU -> dropout -> linear

    A vector is a grid of one cell, so that training and checkpoints are those of the other models. The
    linear model with Adam's L2 penalty is logistic, ridge or Cox regression.

    Parameters
    ----------
    config : SlideNetConfig
        Of kind ``"linear"`` or ``"mlp"``.
    """

    def __init__(self, config: SlideNetConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList([nn.Identity()])
        before = config.code_size
        self.hidden = nn.Sequential()
        if config.kind == "mlp":
            self.hidden = nn.Sequential(
                nn.Linear(before, config.width), nn.LeakyReLU(LEAK), nn.Dropout(config.dropout)
            )
            before = config.width
        self.output = nn.Linear(before, config.outputs)

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map vectors (N, D) to outputs (N, outputs)."""
        y: torch.Tensor = self.output(self.hidden(vectors))
        return y

    def pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Map the one cell (B, D, 1, 1) to outputs (B, outputs)."""
        return self.head(features.mean(dim=(2, 3)))
