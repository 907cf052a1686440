"""A tissue U-Net as the training loop sees it: Dice loss on tissue, glass left out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn

from napari_nic.patches import PatchSource
from napari_nic.tissue.unet.net import TissueUnet
from napari_nic.training.objectives.base import Batch, Objective, ToInput
from napari_nic.training.options import Schedule
from napari_nic.training.tissue.recipe import CITATION, UnetRecipe
from napari_nic.training.tissue.tiles import UNKNOWN, MaskedBatch, TissueTiles

SMOOTHING = 1.0
"""Pixels that both areas have in common in any case: no division by nothing where all is glass."""


class TissueObjective(Objective):
    """The network and its loss.

    Parameters
    ----------
    recipe : UnetRecipe
    """

    name = "tissue-unet"
    title = "tissue U-Net"
    citation = CITATION
    limits = (
        "Bright-field slides only. It knows the stains and faults that it was shown: look at the mask before "
        "anything is removed by it."
    )
    learning_rate: ClassVar[float] = 1e-4
    schedule: ClassVar[Schedule] = "plateau"
    augmentation: ClassVar[str] = "none"

    def __init__(self, recipe: UnetRecipe) -> None:
        nn.Module.__init__(self)  # no encoder: that of the class above is not made
        self.net = TissueUnet(recipe.widths)
        self.input_size = recipe.size
        self.cross_entropy = recipe.cross_entropy

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """AdamW, as published."""
        return [torch.optim.AdamW(self.parameters(), lr=rate)]

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Batch:
        """Draw crops with their masks of the one source there is."""
        return cast("TissueTiles", sources[0]).draw(count, rng)

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """1 - Dice of the whole batch, and the cross entropy where it has a weight."""
        crops: MaskedBatch = batch
        logits = self.net(to_input(crops.images)).float()
        masks = torch.from_numpy(crops.masks).to(logits.device)
        judged, wanted = masks != UNKNOWN, (masks == 1).float()
        share = torch.sigmoid(logits) * judged
        wanted = wanted * judged
        dice = (2 * (share * wanted).sum() + SMOOTHING) / (share.sum() + wanted.sum() + SMOOTHING)
        loss = 1 - dice
        terms: dict[str, Any] = {"dice": float(dice.detach())}
        if self.cross_entropy:
            every = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            entropy = (every * judged).sum() / judged.sum().clamp(min=1)
            loss = loss + self.cross_entropy * entropy
            terms["cross_entropy"] = float(entropy.detach())
        return loss, terms
