"""The training loop in PyTorch; only imported when a model is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_nic.encoders.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.card import BundleCard
from napari_nic.slide_models.inputs import (
    TURNS,
    LabelledSlide,
    Standardiser,
    crop_odds,
    draw_corner,
    frame,
    judging_corners,
    turned,
)
from napari_nic.slide_models.metrics import mean_class_auc, spearman
from napari_nic.slide_models.network import SlideNet
from napari_nic.slide_models.predict import scores_of
from napari_nic.slide_models.train import EpochDone, TrainingSettings

_RATE_FACTOR = 0.1
_VALIDATION_CROPS = 4
"""Crops a validation slide, unturned: enough to rank epochs, a twentieth of a prediction's cost."""


class TrainingLoop:
    """State of one training; see :func:`napari_nic.slide_models.train.train`."""

    def __init__(
        self,
        card: BundleCard,
        slides: Sequence[LabelledSlide],
        validation: Sequence[LabelledSlide],
        settings: TrainingSettings,
        *,
        device: str,
    ) -> None:
        self.card, self.settings = card, settings
        self.slides, self.validation = slides, validation
        self.device = torch.device(choose_device(device))
        self.standardiser = Standardiser.fit([(slide.codes, slide.mask) for slide in slides])
        self._odds = [crop_odds(slide.mask) for slide in slides]
        self._groups = _groups(card, slides)
        self._rng = np.random.default_rng(settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.net = SlideNet(card.network).to(self.device).to(memory_format=torch.channels_last)
            self._torch_state = torch.get_rng_state()
        self._optimiser = _adam(self.net, settings)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimiser, factor=_RATE_FACTOR, patience=settings.patience, min_lr=settings.least_rate
        )

    def run(self, token: CancellationToken) -> Iterator[EpochDone]:
        """Train, one report an epoch."""
        best: ModelBundle | None = None
        best_key = (-math.inf, -math.inf)
        idle = 0
        for epoch in range(1, self.settings.epochs + 1):
            rate = self._optimiser.param_groups[0]["lr"]
            loss = self._epoch(token)
            validation_loss, metric = self._validate(token)
            self._plateau.step(validation_loss)
            key = (-math.inf if math.isnan(metric) else metric, -validation_loss)
            is_best = best is None or key > best_key
            if is_best:
                best, best_key = self._bundle(epoch, validation_loss, metric), key
            idle = 0 if is_best else idle + 1
            yield EpochDone(
                epoch,
                self.settings.epochs,
                "training",
                "epochs",
                loss=loss,
                validation_loss=validation_loss,
                metric=metric,
                rate=rate,
                is_best=is_best,
                best=best,
            )
            if rate <= self.settings.least_rate and idle > self.settings.patience:
                return

    def _epoch(self, token: CancellationToken) -> float:
        """Run one epoch; the caller's random numbers are left as they were."""
        steps = self.settings.steps or math.ceil(len(self.slides) / self.settings.batch_size)
        losses = []
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._torch_state)
            self.net.train()
            for _ in range(steps):
                token.checkpoint()
                losses.append(self._step())
            self._torch_state = torch.get_rng_state()
        return float(np.mean(losses))

    def _step(self) -> float:
        crops, labels = self._batch()
        self._optimiser.zero_grad(set_to_none=True)
        outputs = self.net(self._tensor(crops))
        loss = _loss(outputs, torch.from_numpy(labels).to(self.device), self.card)
        loss.backward()
        self._optimiser.step()
        return float(loss.detach())

    def _batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw crops (B, R, R, C) and labels (B,): a class, then a slide of it, then a place."""
        side, crops, labels = self.card.crop_size, [], []
        for _ in range(self.settings.batch_size):
            group = self._groups[int(self._rng.integers(len(self._groups)))]
            index = int(group[int(self._rng.integers(len(group)))])
            slide = self.slides[index]
            at = draw_corner(self._odds[index], side, self._rng)
            codes, mask = (frame(a, *at, (side, side)) for a in (slide.codes, slide.mask))
            crop = self.standardiser.apply(codes, mask)
            crops.append(turned(crop, int(self._rng.integers(TURNS))))
            labels.append(slide.label)
        return np.stack(crops), np.array(labels, np.float32)

    def _validate(self, token: CancellationToken) -> tuple[float, float]:
        """Return loss and metric on the validation slides, each judged by its mean output."""
        self.net.eval()
        outputs = []
        for slide in self.validation:
            token.checkpoint()
            outputs.append(self._judge(slide))
        stacked = np.stack(outputs)
        labels = np.array([slide.label for slide in self.validation], np.float32)
        loss = float(_loss(torch.from_numpy(stacked), torch.from_numpy(labels), self.card))
        scores = scores_of(stacked, self.card)
        if self.card.task == "regression":
            return loss, spearman(scores[:, 0], labels)
        return loss, mean_class_auc(scores, labels)

    def _judge(self, slide: LabelledSlide) -> np.ndarray:
        side = self.card.crop_size
        values = self.standardiser.apply(slide.codes, slide.mask)
        corners = judging_corners(slide.mask, side, _VALIDATION_CROPS)
        with torch.inference_mode():
            each = [
                self.net(self._tensor(frame(values, *corner, (side, side))[None])).cpu().numpy()[0]
                for corner in corners
            ]
        return np.asarray(np.mean(each, axis=0), np.float32)

    def _tensor(self, windows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(windows)).permute(0, 3, 1, 2).to(self.device)

    def _bundle(self, epoch: int, validation_loss: float, metric: float) -> ModelBundle:
        weights = {name: value.detach().cpu().numpy().copy() for name, value in self.net.state_dict().items()}
        name = "spearman" if self.card.task == "regression" else "auc"
        validation = {
            "slides": len(self.validation),
            "loss": validation_loss,
            name: None if math.isnan(metric) else metric,
            "note": "chose the epoch; not a test result",
        }
        training = {"slides": len(self.slides), "epoch": epoch, "settings": asdict(self.settings)}
        card = replace(
            self.card,
            training=dict(self.card.training) | training,
            metrics=dict(self.card.metrics) | {"validation": validation},
        )
        return ModelBundle(card, weights, self.standardiser)


def _groups(card: BundleCard, slides: Sequence[LabelledSlide]) -> list[np.ndarray]:
    """Indices of the slides of each class; all in one group for regression."""
    labels = np.array([slide.label for slide in slides])
    if card.task == "regression":
        return [np.arange(len(slides))]
    return [np.flatnonzero(labels == number) for number in range(len(card.class_names))]


def _adam(net: SlideNet, settings: TrainingSettings) -> torch.optim.Adam:
    weights = [value for value in net.parameters() if value.ndim > 1]
    others = [value for value in net.parameters() if value.ndim <= 1]
    # Adam's weight decay adds factor * w to the gradient; the gradient of l2 * w**2 is 2 * l2 * w.
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 2 * settings.l2}, {"params": others}]
    return torch.optim.Adam(groups, lr=settings.rate)


def _loss(outputs: torch.Tensor, labels: torch.Tensor, card: BundleCard) -> torch.Tensor:
    """Return the mean loss of outputs (B, outputs) against labels (B,) float32."""
    if card.task == "regression":
        return nn.functional.mse_loss(outputs[:, 0], labels)
    if outputs.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels)
    return nn.functional.cross_entropy(outputs, labels.long())
