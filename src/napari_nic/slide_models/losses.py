"""What training lessens; only imported when a model is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch.nn import functional

from napari_nic.slide_models.card import Task

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Outputs (N, outputs), labels float32 (N,) and events bool (N,) to one number."""


@dataclass(frozen=True)
class LabelScale:
    """Regressed values have any unit; a network learns best what has mean 0 and spread 1.

    Attributes
    ----------
    mean, std : float
        Of the training slides' labels; 0 and 1 for other tasks.
    """

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, task: Task, labels: Sequence[float]) -> Self:
        """Measure the labels of a regression."""
        if task != "regression":
            return cls()
        return cls(float(np.mean(labels)), float(np.std(labels)) or 1.0)

    def shrink(self, labels: torch.Tensor) -> torch.Tensor:
        """Bring labels (N,) to the network's scale."""
        return (labels - self.mean) / self.std

    def grow(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Change the output layer so that the network gives values in the labels' own unit."""
        changed = dict(weights)
        changed["output.weight"] = weights["output.weight"] * self.std
        changed["output.bias"] = weights["output.bias"] * self.std + self.mean
        return changed


def loss_of(task: Task) -> Loss:
    """Return the loss of a task: cross-entropy, squared error, or Cox's partial likelihood."""
    return {"classification": _classes, "regression": _values, "survival": _survival}[task]


def cox_loss(risks: torch.Tensor, times: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
    """Negative partial log-likelihood of Cox's model per event, ties by Efron's approximation.

    Parameters
    ----------
    risks : Tensor of float, (N,)
        Logarithms of the hazards, up to a constant.
    times : Tensor of float, (N,)
        Until the event, or until the end of the observation.
    events : Tensor of bool, (N,)
        Whether the event was observed.

    Returns
    -------
    Tensor
        0 where there is no event.

    Notes
    -----
    The risk set of case i is all j with ``times[j] >= times[i]``, i itself included. Of d events at the same
    time, the l-th (from 0) has the others' part of its risk set reduced by l / d of the tied hazards (Efron
    1977); without ties this is the exact partial likelihood (Cox 1972).
    """
    if not events.any():
        return risks.sum() * 0
    mine, at = risks[events], times[events]
    log_set = _masked_logsumexp(risks, times[None] >= at[:, None])
    tied = at[None] == at[:, None]
    log_tied = _masked_logsumexp(mine, tied)
    share = tied.tril(-1).sum(dim=1).to(risks.dtype) / tied.sum(dim=1)
    # log(exp(set) - share exp(tied)): the tied are part of the set, so the exponent is never positive.
    log_reduced = log_set + torch.log1p(-share * torch.exp(log_tied - log_set))
    return (log_reduced - mine).mean()


def _masked_logsumexp(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Sum exponentials of the chosen values of each row: (N,), bool (E, N) to (E,)."""
    return torch.logsumexp(values[None].masked_fill(~chosen, -torch.inf), dim=1)


def _classes(outputs: torch.Tensor, labels: torch.Tensor, _events: torch.Tensor) -> torch.Tensor:
    if outputs.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], labels)
    return functional.cross_entropy(outputs, labels.long())


def _values(outputs: torch.Tensor, labels: torch.Tensor, _events: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs[:, 0], labels)


def _survival(outputs: torch.Tensor, labels: torch.Tensor, events: torch.Tensor) -> torch.Tensor:
    return cox_loss(outputs[:, 0], labels, events)
