"""The training loop: draw, augment, step, validate, follow the learning rate, keep checkpoints and a log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.training.checkpoint import load_best, load_checkpoint, save_best, save_checkpoint
from napari_nic.training.log import TrainingLog
from napari_nic.training.objectives.base import Batch, Objective
from napari_nic.training.options import Schedule, TrainingProgress, TrainOptions
from napari_nic.training.pictures import write_pictures
from napari_nic.training.views import Views

LOG_EVERY = 20
SMOOTHING = 0.98
LEAST_GAIN = 1e-3
"""A validation loss has improved when it fell by this share."""

WARM_UP = 100
"""Steps over which the cosine schedule's rate rises."""

VALIDATION_SALT = 2**32


@dataclass(frozen=True)
class Sources:
    """Where patches come from.

    Attributes
    ----------
    train : sequence of PatchSource
        One per labelled task; objectives without labels draw from all evenly.
    held_out : sequence of PatchSource
        Of slides that training never sees, in the same order; empty for no validation.
    """

    train: Sequence[PatchSource]
    held_out: Sequence[PatchSource] = ()


def run_training(
    objective: Objective,
    sources: Sources,
    folder: Path,
    options: TrainOptions,
    *,
    device: str = "cpu",
    precision: str = "float32",
    token: CancellationToken | None = None,
) -> Iterator[TrainingProgress]:
    """Train, with checkpoints and logs in `folder`; a checkpoint that is there is gone on from.

    Parameters
    ----------
    objective : Objective
        Holds the trained weights when the generator ends: those of the best validation, or the last.
    sources : Sources
    folder : Path
        Made when missing.
    options : TrainOptions
    device, precision : str
        As resolved by :mod:`napari_nic.device`; the precision of a checkpoint, where there is one, stays.
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress
        After every step; a checkpoint has been written when the generator ends or is closed.

    Raises
    ------
    CancelledError
    WeightsError
        If the checkpoint was made with other options.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(objective, sources, folder, options, device, precision)
    trainer.resume()
    yield from _steps(trainer, token or CancellationToken())
    trainer.keep_best()


def _steps(trainer: _Trainer, token: CancellationToken) -> Iterator[TrainingProgress]:
    """Do what steps are left; however it ends, a checkpoint is written."""
    with _Drawer(trainer) as drawer:
        try:
            while trainer.step < trainer.options.steps and not trainer.finished:
                token.checkpoint()
                trainer.advance(drawer)
                yield trainer.report()
        finally:
            trainer.save()


class _Drawer:
    """Draws the next step's patches in a thread of its own while the network is busy."""

    def __init__(self, trainer: _Trainer) -> None:
        self._trainer = trainer
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="patches")
        self._next: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> _Drawer:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def get(self, step: int) -> Batch:
        """Return the patches of a step, and begin with the next one's."""
        ahead = self._next
        future = ahead[1] if ahead and ahead[0] == step else self._submit(step)
        batch = future.result()
        self._next = (step + 1, self._submit(step + 1))
        return batch

    def _submit(self, step: int) -> Future[Batch]:
        trainer = self._trainer
        rng = np.random.default_rng((trainer.options.seed, step))
        return self._pool.submit(
            trainer.objective.draw, trainer.sources.train, trainer.options.batch_size, rng
        )


class _Trainer:
    """Network, optimisers and counters of a run."""

    COUNTERS = (
        *("step", "smoothed", "best", "bad_validations", "plateau_rate", "seconds", "validation"),
        "precision",  # what was quicker when the run began; going on in another would be another run
    )

    def __init__(
        self,
        objective: Objective,
        sources: Sources,
        folder: Path,
        options: TrainOptions,
        device: str,
        precision: str,
    ) -> None:
        self.objective = objective.to(device).to(memory_format=torch.channels_last)
        self.sources, self.folder, self.options = sources, folder, options
        self.device, self.precision = device, precision
        self.schedule: Schedule = options.schedule or objective.schedule
        self.preset = options.augmentation or objective.augmentation
        self.rate_at_start = options.learning_rate or objective.learning_rate
        self.optimisers = objective.optimisers(self.rate_at_start)
        self.step, self.smoothed, self.seconds = 0, float("nan"), 0.0
        self.best, self.bad_validations, self.plateau_rate = float("inf"), 0, self.rate_at_start
        self.validation: dict[str, float] = {}
        self.terms: dict[str, float] = {}
        self.run_seconds, self.run_waiting, self.run_steps = 0.0, 0.0, 0
        self.log = TrainingLog(folder)

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        if self.schedule == "constant":
            return self.rate_at_start
        if self.schedule == "plateau":
            return self.plateau_rate
        warm = min(1.0, (self.step + 1) / min(WARM_UP, max(1, self.options.steps // 10)))
        return self.rate_at_start * warm * (1 + math.cos(math.pi * self.step / self.options.steps)) / 2

    @property
    def finished(self) -> bool:
        """Whether the validation loss stopped falling at the smallest learning rate too."""
        return self.schedule == "plateau" and self.plateau_rate < self.options.final_learning_rate * 0.99

    def advance(self, drawer: _Drawer) -> None:
        """Do one step, and what is due after it."""
        started = time.monotonic()
        batch = drawer.get(self.step)
        waited = time.monotonic() - started
        loss = self._train_step(batch)
        self.smoothed = (
            loss if math.isnan(self.smoothed) else SMOOTHING * self.smoothed + (1 - SMOOTHING) * loss
        )
        self.step += 1
        spent = time.monotonic() - started
        self.seconds += spent
        self.run_seconds, self.run_waiting = self.run_seconds + spent, self.run_waiting + waited
        self.run_steps += 1
        options = self.options
        if options.validate_every and self.step % options.validate_every == 0 and self.sources.held_out:
            self._validate()
        if self.step % LOG_EVERY == 0 or self.step in (1, options.steps):
            self.log.step(self.report())
        if self.step % options.checkpoint_every == 0:
            self.save()

    def _train_step(self, batch: Batch) -> float:
        torch.manual_seed(self.options.seed + 1 + self.step)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.rate
        self.objective.train()
        views = self._views(self.preset, self.step)
        with self._autocast():
            loss, self.terms = self.objective.train_step(batch, views, self.optimisers)
        return loss

    def _views(self, preset: str, number: int) -> Views:
        seed = self.options.seed * VALIDATION_SALT + number
        return Views(preset, size=self.objective.input_size, device=self.device, seed=seed)

    def _autocast(self) -> torch.autocast:
        kind = self.device.partition(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16")

    def _validate(self) -> None:
        """Measure on patches that are the same every time; keep the best weights; follow the plateau."""
        rng = np.random.default_rng((self.options.seed, VALIDATION_SALT))
        count = min(self.options.validation_patches, 8 * self.options.batch_size)
        batch = self.objective.draw(self.sources.held_out, count, rng)
        self.objective.eval()
        preset = self.preset if self.objective.validates_views else "none"
        with torch.inference_mode(), self._autocast():
            loss, terms = self.objective.loss(batch, self._views(preset, VALIDATION_SALT))
        self.validation = {"loss": float(loss)} | terms
        self.log.validation(self.step, self.validation)
        write_pictures(self.objective, batch, self.folder)
        if self.best == float("inf") or self.validation["loss"] < self.best - LEAST_GAIN * abs(self.best):
            self.best, self.bad_validations = self.validation["loss"], 0
            save_best(self.folder, self.objective)
            return
        self.bad_validations += 1
        if self.bad_validations >= self.options.patience:
            self.bad_validations, self.plateau_rate = 0, self.plateau_rate / 10

    def report(self) -> TrainingProgress:
        """Return where the run stands."""
        patches = self.run_steps * self.options.batch_size
        return TrainingProgress(
            self.step,
            self.options.steps,
            f"training: {self.objective.title}",
            loss=self.smoothed,
            terms=self.terms | {"learning_rate": self.rate},
            validation=self.validation,
            patches_per_second=patches / self.run_seconds if self.run_seconds else 0.0,
            waiting=self.run_waiting / self.run_seconds if self.run_seconds else 0.0,
        )

    def save(self) -> None:
        """Write a checkpoint."""
        counters: dict[str, Any] = {name: getattr(self, name) for name in self.COUNTERS}
        save_checkpoint(self.folder, self.objective, self.optimisers, self.options, counters)

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        for name, value in load_checkpoint(
            self.folder, self.objective, self.optimisers, self.options
        ).items():
            setattr(self, name, value)
        self.log.rewind(self.step)

    def keep_best(self) -> None:
        """Put the weights of the best validation in place, where the objective keeps those."""
        if self.objective.keeps_best and self.best < float("inf"):
            load_best(self.folder, self.objective)
        self.objective.eval()
