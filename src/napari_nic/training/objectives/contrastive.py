"""Contrastive training by pairs (Tellez et al. 2019, section 3.1).

Two patches of the same place, augmented twice, against two of different places: three quarters of those lie
side by side, a quarter in two slides. A siamese head tells which from both codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from napari_nic.patches import PairBatch, PatchSource
from napari_nic.training.objectives.base import Objective, ToInput, mlp_head, shares
from napari_nic.training.options import TrainOptions


class ContrastiveObjective(Objective):
    """Tell pairs of the same place from pairs of different places; one output of the appendix's head."""

    name = "contrastive"
    title = "Contrastive pairs"
    limits = "It learns what survives augmentation and tells neighbours apart; it does not know diagnoses."
    learning_rate = 1e-3
    augmentation = "strong"
    validates_views = True

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.head = mlp_head(2 * options.code_size, 1)

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> PairBatch:
        """Draw `count` pairs, evenly from all sources."""
        parts = [source.draw_pairs(part, rng) for source, part in shares(sources, count) if part]
        return PairBatch(
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.second for part in parts]),
            np.concatenate([part.same for part in parts]),
        )

    def loss(self, batch: PairBatch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Binary cross-entropy, and the share of pairs that are told right."""
        x = torch.cat([to_input(batch.first, salt=1), to_input(batch.second, salt=2)])
        first, second = self.encoder(x).chunk(2)
        logits = self.head(torch.cat([first, second], 1)).squeeze(1).float()
        same = torch.from_numpy(batch.same).to(logits.device)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, same.float())
        right = ((logits > 0) == same).float().mean()
        return loss, {"bce": float(loss.detach()), "accuracy": float(right)}
