"""The training loop in PyTorch; only imported when a model is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nic import old_names
from napari_nic.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.metrics import METRIC_NAMES
from napari_nic.slide_models.architectures import build_network
from napari_nic.slide_models.batches import CropBatch, CropSampler
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.checkpoint import Checkpoint, optimiser_tensors, restore_optimiser, resuming
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.heads import Head, joint_network
from napari_nic.slide_models.inputs import Standardiser, prediction_corners
from napari_nic.slide_models.resume import TrainingState, check_same, identity_of
from napari_nic.slide_models.settings import EpochDone, TrainingSettings
from napari_nic.slide_models.sources import Cells, TrainingSlide
from napari_nic.slide_models.targets import Target, card_of, joint_loss, make_targets

_RATE_FACTOR = 0.1
_VALIDATION_CROPS = 4
"""Crops a validation slide, unturned: enough to rank epochs, a twentieth of a prediction's cost."""

_SEEDS = 2**62


class TrainingLoop:
    """One training; see :func:`napari_nic.slide_models.train.train_together`."""

    def __init__(
        self,
        heads: Sequence[Head],
        slides: Sequence[TrainingSlide],
        validation: Sequence[TrainingSlide],
        settings: TrainingSettings,
        *,
        device: str,
        checkpoint: Path | None = None,
    ) -> None:
        self.card, self.settings = heads[0].card, settings
        self.slides, self.validation = slides, validation
        self.device = torch.device(choose_device(device))
        self.sampler = CropSampler(self.card, slides, settings.batch_size)
        self.standardiser = Standardiser.fit(strip for slide in slides for strip in slide.strips())
        self._scaling = tuple(
            torch.from_numpy(a).to(self.device) for a in (self.standardiser.mean, self.standardiser.std)
        )
        self.targets = make_targets(heads, slides, validation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            net = build_network(joint_network(heads))
        self.net: GridNet = net.to(self.device).to(memory_format=torch.channels_last)
        self._optimiser = _adam(self.net, settings)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimiser,
            factor=_RATE_FACTOR,
            patience=settings.patience,
            min_lr=settings.final_learning_rate,
        )
        self._checkpoint = checkpoint
        self._identity = identity_of(heads, slides, validation, settings)

    def run(self, token: CancellationToken) -> Iterator[EpochDone]:
        """Train, one report an epoch; the epochs of a checkpoint are reported again first."""
        state = self._resumed()
        best = self._bundles(state) if state.history else None
        for past in state.history:
            yield self._report(past, best)
        while state.epoch < self.settings.epochs and not self._finished(state):
            state = self._epoch(state, token)
            if self._checkpoint is not None:
                self._save(state, self._checkpoint)
            if state.history[-1]["is_best"] or best is None:
                best = self._bundles(state)
            yield self._report(state.history[-1], best)

    def _finished(self, state: TrainingState) -> bool:
        """Whether the learning rate has reached its final value and nothing has improved since."""
        rate = state.history[-1]["learning_rate"] if state.history else self.settings.learning_rate
        return bool(rate <= self.settings.final_learning_rate and state.idle > self.settings.patience)

    def _epoch(self, state: TrainingState, token: CancellationToken) -> TrainingState:
        """Run one epoch; everything random in it comes from the seed and its number."""
        epoch = state.epoch + 1
        rate = float(self._optimiser.param_groups[0]["lr"])
        loss = self._learn(epoch, token)
        validation_loss, metrics = self._validate(token)
        self._plateau.step(validation_loss)
        done = {
            "epoch": epoch,
            "loss": loss,
            "validation_loss": validation_loss,
            "metric": metrics[0],
            "further_metrics": metrics[1:],
            "learning_rate": rate,
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
        indices = torch.from_numpy(batch.slides)
        labels = [target.training.pick(indices) for target in self.targets]
        loss = joint_loss(self.targets, self._outputs((batch.codes, batch.mask)), labels)
        loss.backward()
        self._optimiser.step()
        return float(loss.detach())

    def _outputs(self, cells: Cells) -> torch.Tensor:
        """Predict crops (B, R, R, C) and their masks: Tensor of float32, (B, outputs)."""
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            outputs: torch.Tensor = self.net(self._standardised(*cells))
        return outputs.float()

    def _standardised(self, codes: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        """Do what :meth:`Standardiser.apply` does on the device, so that half the bytes go there."""
        moved = torch.from_numpy(np.ascontiguousarray(codes)).to(self.device)
        # A copy also of what is float32 already: it may be the slide's own, and is changed in place.
        values = moved.to(torch.float32, copy=True)
        values.sub_(self._scaling[0]).div_(self._scaling[1])
        values.masked_fill_(~torch.from_numpy(np.ascontiguousarray(mask)).to(self.device)[..., None], 0)
        return values.permute(0, 3, 1, 2)

    def _validate(self, token: CancellationToken) -> tuple[float, list[float]]:
        """Return loss and each task's metric on the validation slides, each by its mean output."""
        self.net.eval()
        outputs = []
        with torch.inference_mode():
            for slide in self.validation:
                token.checkpoint()
                outputs.append(self._predict(slide))
        stacked = np.stack(outputs)
        labels = [target.validation for target in self.targets]
        loss = float(joint_loss(self.targets, torch.from_numpy(stacked), labels))
        return loss, [target.metric(stacked) for target in self.targets]

    def _predict(self, slide: TrainingSlide) -> np.ndarray:
        side = self.card.crop_size
        each = []
        for top, left in prediction_corners(slide.mask, side, _VALIDATION_CROPS):
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
            "learning_rate": self._optimiser.param_groups[0]["lr"],
        }
        Checkpoint(tensors, record).save(file)

    def _resumed(self) -> TrainingState:
        """Go back to the checkpoint, if there is one."""
        checkpoint = Checkpoint.load(self._checkpoint) if self._checkpoint else None
        if checkpoint is None or self._checkpoint is None:
            return TrainingState()
        tensors = checkpoint.tensors
        with resuming(self._checkpoint):
            record = old_names.training_record(checkpoint.record)
            check_same(record["identity"], self._identity, self._checkpoint)
            self.net.load_state_dict(dict(tensors["net"]))
            restore_optimiser(self._optimiser, tensors["optimiser"], record["learning_rate"])
            self._plateau.load_state_dict(record["plateau"])
            state = TrainingState(tuple(record["history"]), tensors["best"])
            _ = state.best_epoch, state.idle  # its entries are there
        return state

    def _report(self, done: Mapping[str, Any], best: Sequence[ModelBundle] | None) -> EpochDone:
        numbers = {name: float(done[name]) for name in ("loss", "validation_loss", "metric", "learning_rate")}
        main, *further = best or (None,)
        return EpochDone(
            done["epoch"],
            self.settings.epochs,
            "training",
            "epochs",
            is_best=done["is_best"],
            best=main,
            further=tuple(bundle for bundle in further if bundle is not None),
            **numbers,
        )

    def _bundles(self, state: TrainingState) -> list[ModelBundle]:
        """Make the bundle of each task from the best epoch so far, that of the first task first."""
        done = state.history[state.best_epoch - 1]
        metrics = [done["metric"], *done.get("further_metrics", ())]
        return [
            self._bundle(state, target, metric) for target, metric in zip(self.targets, metrics, strict=True)
        ]

    def _bundle(self, state: TrainingState, target: Target, metric: float) -> ModelBundle:
        done = state.history[state.best_epoch - 1]
        weights = {name: value.numpy().copy() for name, value in target.weights(state.best).items()}
        validation = {
            "slides": int(target.validation.known.sum()),
            "loss": done["validation_loss"],
            METRIC_NAMES[target.card.task]: None if math.isnan(metric) else metric,
            "note": "chose the epoch; not a test result",
        }
        training: dict[str, Any] = {
            "slides": int(target.training.known.sum()),
            "epoch": state.best_epoch,
            "settings": asdict(self.settings),
        }
        if len(self.targets) > 1:
            training["together_with"] = [t.card.name for t in self.targets if t is not target]
        return ModelBundle(card_of(target, training, validation), weights, self.standardiser)


def _adam(net: GridNet, settings: TrainingSettings) -> torch.optim.Adam:
    weights = [value for value in net.parameters() if value.ndim > 1]
    others = [value for value in net.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others},
    ]
    return torch.optim.Adam(groups, lr=settings.learning_rate)
