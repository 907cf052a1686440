"""The training loop in PyTorch; only imported when a model is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nic.encoders.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.architectures import build_network
from napari_nic.slide_models.batches import CropBatch, CropSampler
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.card import BundleCard
from napari_nic.slide_models.checkpoint import Checkpoint, optimiser_tensors, restore_optimiser
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.inputs import Standardiser, judging_corners
from napari_nic.slide_models.losses import LabelScale, loss_of
from napari_nic.slide_models.metrics import METRIC_NAMES, ranking
from napari_nic.slide_models.predict import scores_of
from napari_nic.slide_models.resume import TrainingState, check_same, identity_of
from napari_nic.slide_models.sources import Cells, TrainingSlide
from napari_nic.slide_models.train import EpochDone, TrainingSettings

_RATE_FACTOR = 0.1
_VALIDATION_CROPS = 4
"""Crops a validation slide, unturned: enough to rank epochs, a twentieth of a prediction's cost."""

_SEEDS = 2**62


class TrainingLoop:
    """One training; see :func:`napari_nic.slide_models.train.train`."""

    def __init__(
        self,
        card: BundleCard,
        slides: Sequence[TrainingSlide],
        validation: Sequence[TrainingSlide],
        settings: TrainingSettings,
        *,
        device: str,
        checkpoint: Path | None = None,
    ) -> None:
        self.card, self.settings = card, settings
        self.slides, self.validation = slides, validation
        self.device = torch.device(choose_device(device))
        self.sampler = CropSampler(card, slides, settings.batch_size)
        self.standardiser = Standardiser.fit(strip for slide in slides for strip in slide.strips())
        self._scaling = tuple(
            torch.from_numpy(a).to(self.device) for a in (self.standardiser.mean, self.standardiser.std)
        )
        self._scale = LabelScale.of(card.task, [slide.label for slide in slides])
        self._loss = loss_of(card.task)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            net = build_network(card.network)
        self.net: GridNet = net.to(self.device).to(memory_format=torch.channels_last)
        self._optimiser = _adam(self.net, settings)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimiser, factor=_RATE_FACTOR, patience=settings.patience, min_lr=settings.least_rate
        )
        self._checkpoint = checkpoint
        self._identity = identity_of(card, slides, validation, settings)

    def run(self, token: CancellationToken) -> Iterator[EpochDone]:
        """Train, one report an epoch; the epochs of a checkpoint are reported again first."""
        state = self._resumed()
        best = self._bundle(state) if state.history else None
        for past in state.history:
            yield self._report(past, best)
        while state.epoch < self.settings.epochs and not self._finished(state):
            state = self._epoch(state, token)
            if self._checkpoint is not None:
                self._save(state, self._checkpoint)
            if state.history[-1]["is_best"] or best is None:
                best = self._bundle(state)
            yield self._report(state.history[-1], best)

    def _finished(self, state: TrainingState) -> bool:
        """Whether the rate has reached its least and nothing has improved since."""
        rate = state.history[-1]["rate"] if state.history else self.settings.rate
        return bool(rate <= self.settings.least_rate and state.idle > self.settings.patience)

    def _epoch(self, state: TrainingState, token: CancellationToken) -> TrainingState:
        """Run one epoch; everything random in it comes from the seed and its number."""
        epoch = state.epoch + 1
        rate = float(self._optimiser.param_groups[0]["lr"])
        loss = self._learn(epoch, token)
        validation_loss, metric = self._validate(token)
        self._plateau.step(validation_loss)
        done = {
            "epoch": epoch,
            "loss": loss,
            "validation_loss": validation_loss,
            "metric": metric,
            "rate": rate,
        }
        return state.after(done, self.net.state_dict())

    def _learn(self, epoch: int, token: CancellationToken) -> float:
        """Take the epoch's steps; the caller's random numbers are left as they were."""
        steps = self.settings.steps or math.ceil(len(self.slides) / self.settings.batch_size)
        rng = np.random.default_rng((self.settings.seed, epoch))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(_SEEDS)))
            losses = [self._step(batch) for batch in self.sampler.batches(steps, rng, token)]
        return float(np.mean(losses))

    def _step(self, batch: CropBatch) -> float:
        self.net.train()
        self._optimiser.zero_grad(set_to_none=True)
        labels = self._scale.shrink(torch.from_numpy(batch.labels)).to(self.device)
        events = torch.from_numpy(batch.events).to(self.device)
        loss = self._loss(self._outputs((batch.codes, batch.mask)), labels, events)
        loss.backward()
        self._optimiser.step()
        return float(loss.detach())

    def _outputs(self, cells: Cells) -> torch.Tensor:
        """Judge crops (B, R, R, C) and their masks: Tensor of float32, (B, outputs)."""
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            outputs: torch.Tensor = self.net(self._standardised(*cells))
        return outputs.float()

    def _standardised(self, codes: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        """Do what :meth:`Standardiser.apply` does on the device, so that half the bytes go there."""
        values = torch.from_numpy(np.ascontiguousarray(codes)).to(self.device).float()
        values.sub_(self._scaling[0]).div_(self._scaling[1])
        values.masked_fill_(~torch.from_numpy(np.ascontiguousarray(mask)).to(self.device)[..., None], 0)
        return values.permute(0, 3, 1, 2)

    def _validate(self, token: CancellationToken) -> tuple[float, float]:
        """Return loss and metric on the validation slides, each judged by its mean output."""
        self.net.eval()
        outputs = []
        with torch.inference_mode():
            for slide in self.validation:
                token.checkpoint()
                outputs.append(self._judge(slide))
        stacked = np.stack(outputs)
        labels = np.array([slide.label for slide in self.validation], np.float32)
        events = np.array([slide.event for slide in self.validation], bool)
        targets = self._scale.shrink(torch.from_numpy(labels))
        loss = float(self._loss(torch.from_numpy(stacked), targets, torch.from_numpy(events)))
        return loss, ranking(self.card.task, scores_of(stacked, self.card), labels, events)

    def _judge(self, slide: TrainingSlide) -> np.ndarray:
        side = self.card.crop_size
        each = []
        for top, left in judging_corners(slide.mask, side, _VALIDATION_CROPS):
            codes, mask = slide.crop(top, left, side)
            each.append(self._outputs((codes[None], mask[None])).cpu().numpy()[0])
        return np.asarray(np.mean(each, axis=0), np.float32)

    def _save(self, state: TrainingState, file: Path) -> None:
        tensors = {
            "net": self.net.state_dict(),
            "optimiser": optimiser_tensors(self._optimiser),
            "best": state.best,
        }
        record = {
            "identity": self._identity,
            "history": list(state.history),
            "plateau": self._plateau.state_dict(),
            "rate": self._optimiser.param_groups[0]["lr"],
        }
        Checkpoint(tensors, record).save(file)

    def _resumed(self) -> TrainingState:
        """Go back to the checkpoint, if there is one."""
        checkpoint = Checkpoint.load(self._checkpoint) if self._checkpoint else None
        if checkpoint is None or self._checkpoint is None:
            return TrainingState()
        tensors, record = checkpoint.tensors, checkpoint.record
        check_same(record["identity"], self._identity, self._checkpoint)
        self.net.load_state_dict(dict(tensors["net"]))
        restore_optimiser(self._optimiser, tensors["optimiser"], record["rate"])
        self._plateau.load_state_dict(record["plateau"])
        return TrainingState(tuple(record["history"]), tensors["best"])

    def _report(self, done: Mapping[str, Any], best: ModelBundle | None) -> EpochDone:
        numbers = {name: float(done[name]) for name in ("loss", "validation_loss", "metric", "rate")}
        total = self.settings.epochs
        return EpochDone(
            done["epoch"], total, "training", "epochs", is_best=done["is_best"], best=best, **numbers
        )

    def _bundle(self, state: TrainingState) -> ModelBundle:
        """Make the bundle of the best epoch so far."""
        weights = {name: value.numpy().copy() for name, value in self._scale.grow(state.best).items()}
        done = state.history[state.best_epoch - 1]
        validation = {
            "slides": len(self.validation),
            "loss": done["validation_loss"],
            METRIC_NAMES[self.card.task]: None if math.isnan(done["metric"]) else done["metric"],
            "note": "chose the epoch; not a test result",
        }
        settings = asdict(self.settings)
        training = {"slides": len(self.slides), "epoch": state.best_epoch, "settings": settings}
        card = replace(
            self.card,
            training=dict(self.card.training) | training,
            metrics=dict(self.card.metrics) | {"validation": validation},
        )
        return ModelBundle(card, weights, self.standardiser)


def _adam(net: GridNet, settings: TrainingSettings) -> torch.optim.Adam:
    weights = [value for value in net.parameters() if value.ndim > 1]
    others = [value for value in net.parameters() if value.ndim <= 1]
    # Adam's weight decay adds factor * w to the gradient; the gradient of l2 * w**2 is 2 * l2 * w.
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 2 * settings.l2}, {"params": others}]
    return torch.optim.Adam(groups, lr=settings.rate)
