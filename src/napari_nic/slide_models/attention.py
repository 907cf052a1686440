"""Gated attention over the grid in PyTorch; only imported when a model is used."""

from __future__ import annotations

import torch
from torch import nn

from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.gridnet import LEAK, GridNet


class CellBlock(nn.Module):
    """The same dense layer for every cell; background, which is all zeros, stays zero."""

    def __init__(self, before: int, after: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Conv2d(before, after, 1)
        self.activation = nn.LeakyReLU(LEAK)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, before, h, w) to (B, after, h, w)."""
        y: torch.Tensor = self.dropout(self.activation(self.dense(x)))
        return y * _present(x)


class AttentionNet(GridNet):
    """Gated attention pooling over the cells of a crop (Ilse et al. 2018, Eq. 9).

    ::

        (B, C, R, R) standardised codes
          dense `width` at every cell -> LeakyReLU -> dropout of whole features       h_k
          weights a_k = softmax over the cells of tissue of  w' (tanh(V h_k) * sigmoid(U h_k))
          sum of a_k h_k
          dense -> BN -> LeakyReLU -> linear, the head of the CNN

    Where cells lie does not matter to it, and a crop may have any size. Background takes no part.

    Parameters
    ----------
    config : SlideNetConfig
        Of kind ``"attention"``.
    """

    def __init__(self, config: SlideNetConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList([CellBlock(config.code_size, config.width, config.dropout)])
        self.content = nn.Conv2d(config.width, config.width, 1)
        self.gate = nn.Conv2d(config.width, config.width, 1)
        self.weight = nn.Conv2d(config.width, 1, 1)
        self._add_head()

    def attention(self, features: torch.Tensor) -> torch.Tensor:
        """Weigh the cells: (B, width, h, w) to (B, 1, h, w), which sums to 1 over the tissue."""
        scores = self.weight(torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features)))
        # The least number, not minus infinity: a crop without tissue must not become not-a-number.
        scores = scores.masked_fill(~_present(features), torch.finfo(scores.dtype).min)
        weights: torch.Tensor = torch.softmax(scores.flatten(1), dim=1)
        return weights.reshape(scores.shape)

    def pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Map features of cells (B, width, h, w) to outputs (B, outputs)."""
        return self.head((self.attention(features) * features).sum(dim=(2, 3)))


def _present(values: torch.Tensor) -> torch.Tensor:
    """Tell cells of tissue from background, which is exactly zero: (B, c, h, w) to bool (B, 1, h, w)."""
    return (values != 0).any(dim=1, keepdim=True)
