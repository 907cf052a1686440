"""Variational autoencoder (Tellez et al. 2019, section 3.1).

::

    patch x (B, 3, s, s) in [-1, 1]
      encoder features -> mean (B, C), log variance (B, C)
      code z = mean + exp(log variance / 2) * noise
      decoder: linear -> 4 x 4 -> n x [nearest x 2, conv 3 x 3, batch norm, LeakyReLU] -> conv, tanh
    loss = mean squared error + gamma * KL(N(mean, variance) || N(0, 1))

The KL term printed in the paper's Eq. 3 has the wrong sign for a minimisation; this is the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from napari_nic.encoders.nets import LEAK
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.training.objectives.base import Batch, Objective, Settings, ToInput
from napari_nic.training.objectives.metric import weigh_codes
from napari_nic.training.options import TrainOptions

FIRST_SIDE = 4
"""Side of the decoder's first feature map, px."""


@dataclass(frozen=True)
class VaeSettings(Settings):
    """Settings of the VAE.

    Attributes
    ----------
    gamma : float
        Weight of the KL term.
    decoder_width : int
        Channels of the decoder's first convolution; the appendix has 256, half of it trains four times
        faster.
    """

    gamma: float = 5e-5
    decoder_width: int = 128


class VaeObjective(Objective):
    """Encoder, code and decoder; see the module's diagram."""

    name = "vae"
    title = "Variational autoencoder"
    limits = "A reconstruction objective keeps colour and coarse texture first; it does not know diagnoses."
    settings_type: ClassVar[type[Settings]] = VaeSettings
    settings: VaeSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.log_variance = nn.Linear(self.encoder.code.in_features, options.code_size)
        self.decoder = make_decoder(options.code_size, self.input_size, self.settings.decoder_width)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (reconstruction (B, 3, s, s), mean (B, C), log variance (B, C))."""
        features = self.encoder.features(x)
        mean, log_variance = self.encoder.code(features), self.log_variance(features).clamp(-10, 5)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decoder(mean + torch.exp(log_variance / 2) * noise), mean, log_variance

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean squared error plus gamma times the divergence of the code from the prior."""
        x = to_input(batch)
        reconstruction, mean, log_variance = self(x)
        return vae_loss(x, reconstruction, mean, log_variance, self.settings.gamma)

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Decode the mean codes."""
        painted: torch.Tensor = self.decoder(self.encoder(x))
        return painted

    def finish(self, patches: np.ndarray, token: CancellationToken | None = None) -> None:
        """Weigh the codes by what the decoder paints with them."""
        weigh_codes(self.encoder, self.decoder, patches, token)


def vae_loss(
    x: torch.Tensor,
    reconstruction: torch.Tensor,
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    gamma: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean squared error plus gamma times the KL divergence of the code, summed over its dimensions."""
    error = torch.mean((reconstruction.float() - x.float()) ** 2)
    mean, log_variance = mean.float(), log_variance.float()
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    terms = {"mse": float(error.detach()), "kl": float(divergence.detach())}
    return error + gamma * divergence, terms


def make_decoder(code_size: int, side: int, width: int) -> nn.Sequential:
    """Return a network from codes (B, C) to pictures (B, 3, side, side) in [-1, 1].

    Parameters
    ----------
    code_size, side : int
    width : int
        Channels of the first convolution; halved at each of the steps that double the side.
    """
    channels = 2 * width
    layers: list[nn.Module] = [
        nn.Linear(code_size, channels * FIRST_SIDE**2),
        nn.Unflatten(1, (channels, FIRST_SIDE, FIRST_SIDE)),
    ]
    while side > FIRST_SIDE:
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.LeakyReLU(LEAK),
        ]
        channels, side = channels // 2, side // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())
