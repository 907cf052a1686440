"""What the outputs of a network are held against, task by task; only imported when a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from napari_nic.metrics import ranking
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.heads import Head, Outcome
from napari_nic.slide_models.losses import LabelScale, loss_of
from napari_nic.slide_models.predict import scores_of
from napari_nic.slide_models.sources import TrainingSlide


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of slides for one task.

    Attributes
    ----------
    labels : Tensor of float32, (N,)
        In their own unit; of no meaning where nothing is known.
    events : Tensor of bool, (N,)
    known : Tensor of bool, (N,)
    """

    labels: torch.Tensor
    events: torch.Tensor
    known: torch.Tensor

    @classmethod
    def of(cls, outcomes: Sequence[Outcome | None]) -> Self:
        """Gather what is known of slides."""
        filled = [outcome or Outcome(0.0) for outcome in outcomes]
        return cls(
            torch.tensor([outcome.label for outcome in filled], dtype=torch.float32),
            torch.tensor([outcome.event for outcome in filled], dtype=torch.bool),
            torch.tensor([outcome is not None for outcome in outcomes], dtype=torch.bool),
        )

    def pick(self, indices: torch.Tensor) -> Self:
        """Take some slides, by their numbers (n,)."""
        return type(self)(self.labels[indices], self.events[indices], self.known[indices])


@dataclass(frozen=True, eq=False)
class Target:
    """One task of a training.

    Attributes
    ----------
    card : ModelCard
    columns : slice
        Of the network's outputs.
    weight : float
        Of its loss.
    training, validation : Labels
        Of the slides of either part.
    scale : LabelScale
        Of the training slides' labels.
    """

    card: ModelCard
    columns: slice
    weight: float
    training: Labels
    validation: Labels
    scale: LabelScale

    def loss(self, outputs: torch.Tensor, labels: Labels) -> torch.Tensor:
        """Weigh the loss over the slides of which something is known; 0 where that is none.

        Parameters
        ----------
        outputs : Tensor of float, (N, all outputs)
        labels : Labels
            Of these N.
        """
        mine = outputs[:, self.columns]
        if not labels.known.any():
            return mine.sum() * 0
        known = labels.known.to(mine.device)
        goals = self.scale.shrink(labels.labels).to(mine.device)[known]
        loss: torch.Tensor = loss_of(self.card.task)(mine[known], goals, labels.events.to(mine.device)[known])
        return self.weight * loss

    def metric(self, outputs: np.ndarray) -> float:
        """Measure the validation slides' outputs (N, all outputs), see :func:`ranking`."""
        known = self.validation.known.numpy()
        if not known.any():
            return float("nan")
        scores = scores_of(outputs[known, self.columns], self.card)
        labels, events = self.validation.labels.numpy(), self.validation.events.numpy()
        return ranking(self.card.task, scores, labels[known], events[known])

    def weights(self, shared: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Cut this task's outputs from the weights of the network, in the labels' own unit."""
        mine = {name: shared[name][self.columns] for name in ("output.weight", "output.bias")}
        return self.scale.grow(dict(shared) | mine)


def make_targets(
    heads: Sequence[Head], slides: Sequence[TrainingSlide], validation: Sequence[TrainingSlide]
) -> tuple[Target, ...]:
    """Lay out the tasks of a training; their outputs lie side by side in the order of the heads."""
    targets: list[Target] = []
    first = 0
    for head in heads:
        columns = slice(first, first + head.card.network.outputs)
        learned = head.of(slides)
        scale = LabelScale.of(head.card.task, [outcome.label for outcome in learned if outcome is not None])
        validated = Labels.of(head.of(validation))
        targets.append(Target(head.card, columns, head.weight, Labels.of(learned), validated, scale))
        first = columns.stop
    return tuple(targets)


def joint_loss(targets: Sequence[Target], outputs: torch.Tensor, labels: Sequence[Labels]) -> torch.Tensor:
    """Add up the losses of all tasks over the same slides."""
    losses = [target.loss(outputs, part) for target, part in zip(targets, labels, strict=True)]
    return torch.stack(losses).sum()


def card_of(target: Target, training: Mapping[str, object], metrics: Mapping[str, object]) -> ModelCard:
    """Add what was trained and measured to a task's model card."""
    card = target.card
    return replace(
        card,
        training=dict(card.training) | dict(training),
        metrics=dict(card.metrics) | {"validation": dict(metrics)},
    )
