"""The patch-level classifier of Tellez et al. 2019 on frozen codes (appendix, "patch classification")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_nic.evaluation.classifiers import CodeTable

HIDDEN = 256
BATCH = 64
RATE, LEAST_RATE, FACTOR = 1e-2, 1e-5, 0.1
PATIENCE = 4
"""Epochs without a better validation before the learning rate falls."""

EPOCHS = 100
LEAST_BATCH = 2
"""Batch normalisation cannot train on a single code."""

_RATE_SLACK = 0.5
"""The lowest rate is met within rounding of tenths."""


def train_mlp(
    train: CodeTable, fit: np.ndarray, check: np.ndarray, *, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Train the paper's MLP: dense 256, batch normalisation, LeakyReLU, output.

    Adam with a learning rate of 1e-2 that falls to a tenth when validation does not get better, until 1e-5;
    the state of the best validation is kept. Two classes have two outputs, which equals one sigmoid.

    Parameters
    ----------
    train : CodeTable
    fit, check : ndarray of int
        Which of them the weights are fitted to, and which validate.
    seed : int
        Of initial weights and batches.

    Returns
    -------
    callable
        Codes (m, C) to probabilities (m, classes).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(train.codes.shape[1], HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.LeakyReLU(),
            nn.Linear(HIDDEN, train.classes),
        )
        codes = torch.from_numpy(np.ascontiguousarray(train.codes, np.float32))
        labels = torch.from_numpy(train.labels)
        weights = _class_weights(labels[fit], train.classes)
        _fit(net, (codes[fit], labels[fit]), (codes[check], labels[check]), weights)
    net.eval()

    def predict(wanted: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = net(torch.from_numpy(np.ascontiguousarray(wanted, np.float32)))
            probabilities: np.ndarray = logits.softmax(dim=1).numpy()
        return probabilities

    return predict


Pair = tuple[torch.Tensor, torch.Tensor]


def _fit(net: nn.Module, data: Pair, validation: Pair, weights: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode="max", factor=FACTOR, patience=PATIENCE, threshold=0
    )
    best, kept = (-1.0, float("-inf")), _copy(net)
    for _ in range(EPOCHS):
        _epoch(net, optimiser, data, weights)
        score = _validate(net, validation)
        if score > best:
            best, kept = score, _copy(net)
        schedule.step(score[0])
        if optimiser.param_groups[0]["lr"] < _RATE_SLACK * LEAST_RATE:
            break
    net.load_state_dict(kept)


def _epoch(net: nn.Module, optimiser: torch.optim.Optimizer, data: Pair, weights: torch.Tensor) -> None:
    net.train()
    codes, labels = data
    for batch in torch.randperm(len(labels)).split(BATCH):
        if len(batch) < LEAST_BATCH:
            continue
        optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(net(codes[batch]), labels[batch], weight=weights).backward()
        optimiser.step()


def _validate(net: nn.Module, validation: Pair) -> tuple[float, float]:
    """Return (balanced accuracy, minus loss): the second decides between equal ones."""
    net.eval()
    codes, labels = validation
    with torch.inference_mode():
        logits = net(codes)
        right = (logits.argmax(dim=1) == labels).float()
        recalls = [right[labels == label].mean() for label in labels.unique()]
        loss = functional.cross_entropy(logits, labels)
    return float(torch.stack(recalls).mean()), -float(loss)


def _class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts.float())


def _copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}
