"""VICReg: variance, invariance and covariance regularisation (Bardes, Ponce, LeCun, ICLR 2022).

A modern objective without labels and without negative pairs: two views of a patch shall have the same
projected code (invariance), while every dimension keeps its spread (variance) and says something that the
others do not (covariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.training.objectives.base import Batch, Objective, Settings, ToInput
from napari_nic.training.objectives.codes import principal_codes
from napari_nic.training.options import Schedule, TrainOptions


@dataclass(frozen=True)
class VicregSettings(Settings):
    """Settings of VICReg.

    Attributes
    ----------
    invariance, variance, covariance : float
        Weights of the three terms (the paper's).
    width : int
        Of the projection that the terms are taken of.
    principal : bool
        Whether the code becomes the principal components of the encoder's features when training ends. The
        layers next to the terms learn to forget what augmentation changes, and tasks want some of it back:
        the reason why the projection is thrown away (Chen et al. 2020, section 4.2) holds for the code too.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    width: int = 512
    principal: bool = True


class VicregObjective(Objective):
    """Codes of two views, projected by three layers, under the three terms."""

    name = "vicreg"
    title = "VICReg"
    citation = "Bardes, Ponce, LeCun: VICReg, ICLR 2022; in the frame of Tellez et al. 2019"
    limits = "It keeps what strong augmentation leaves alone; it does not know diagnoses."
    schedule: ClassVar[Schedule] = "cosine"
    augmentation = "strong"
    validates_views = True
    settings_type: ClassVar[type[Settings]] = VicregSettings
    settings: VicregSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.projection = make_projection(options.code_size, self.settings.width)

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the weighted sum of the terms of two views of every patch."""
        x = torch.cat([to_input(batch, salt=1), to_input(batch, salt=2)])
        first, second = self.projection(self.encoder(x)).float().chunk(2)
        return vicreg_loss(first, second, self.settings)

    def finish(self, patches: np.ndarray, token: CancellationToken | None = None) -> None:
        """Read the code off the features, where the settings say so, and bring it to mean 0 and spread 1."""
        if self.settings.principal:
            principal_codes(self.encoder, patches, token)
        super().finish(patches, token)


def make_projection(code_size: int, width: int) -> nn.Sequential:
    """Return three layers between the code and the terms, as in the paper."""
    return nn.Sequential(
        nn.BatchNorm1d(code_size),
        nn.Linear(code_size, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width),
    )


def vicreg_loss(
    first: torch.Tensor, second: torch.Tensor, settings: VicregSettings
) -> tuple[torch.Tensor, dict[str, float]]:
    """Eq. 1, 3 and 6 of the paper for two views (B, D) of the same patches.

    Returns
    -------
    loss : Tensor, scalar
    terms : dict
        ``invariance``, ``variance`` and ``covariance`` before they are weighted.
    """
    invariance = nn.functional.mse_loss(first, second)
    variance = sum((_hinge(view) for view in (first, second)), torch.zeros(())) / 2
    covariance = sum((_off_diagonal(view) for view in (first, second)), torch.zeros(()))
    loss = settings.invariance * invariance + settings.variance * variance + settings.covariance * covariance
    terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return loss, {name: float(value.detach()) for name, value in terms.items()}


def _hinge(view: torch.Tensor) -> torch.Tensor:
    """Mean over the dimensions of how far the standard deviation is below 1."""
    return torch.relu(1 - torch.sqrt(view.var(0) + 1e-4)).mean()


def _off_diagonal(view: torch.Tensor) -> torch.Tensor:
    """Sum of the squared covariances of different dimensions, over the number of dimensions."""
    covariance = torch.cov(view.T)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / view.shape[1]
