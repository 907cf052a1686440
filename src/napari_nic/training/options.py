"""What a training run is asked to do, and what it reports; no PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from napari_nic.jobs import Progress

Schedule = Literal["plateau", "cosine", "constant"]


@dataclass(frozen=True)
class TrainOptions:
    """How any encoder is trained.

    Attributes
    ----------
    code_size : int
        Length C of the embedding.
    architecture : str
        Of the encoder, see :data:`napari_nic.encoders.networks.NETWORKS`.
    steps, batch_size : int
        Most steps that are done, and patches (or pairs) in each.
    learning_rate : float or None
        At the start; None is the objective's own.
    final_learning_rate : float
        The run ends when the plateau schedule goes below it.
    schedule : {'plateau', 'cosine', 'constant'} or None
        ``plateau`` divides the rate by 10 when the validation loss has not improved for `patience`
        validations (the paper's appendix); ``cosine`` falls from the rate to zero over the steps. None is the
        objective's own.
    patience : int
    validate_every : int
        Steps between validations; 0 switches validation off.
    validation_patches : int
        Drawn once from the held-out tiles; always the same.
    checkpoint_every : int
        Steps.
    seed : int
    augmentation : str
        Name of a preset of :mod:`napari_nic.training.augmentation`; empty is the objective's own.
    settings : mapping of str to float
        The objective's own settings that differ from its defaults.
    teachers : sequence of str
        Encoders that are learned from, where the objective learns from some: names, folders, or model files.
    """

    code_size: int = 128
    architecture: str = "nic-64"
    steps: int = 20000
    batch_size: int = 64
    learning_rate: float | None = None
    final_learning_rate: float = 1e-5
    schedule: Schedule | None = None
    patience: int = 8
    validate_every: int = 250
    validation_patches: int = 512
    checkpoint_every: int = 250
    seed: int = 0
    augmentation: str = ""
    settings: Mapping[str, float] = field(default_factory=dict)
    teachers: Sequence[str] = ()


RESUMABLE = frozenset({"steps", "checkpoint_every", "patience", "final_learning_rate"})
"""Options that may differ when a run goes on from its checkpoint."""


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """One training step.

    Attributes
    ----------
    loss : float
        Smoothed over the last steps.
    terms : mapping of str to float
        The parts of this step's loss, and the learning rate.
    validation : mapping of str to float
        Measures of the last validation, ``loss`` among them; empty before the first.
    patches_per_second : float
        Over the steps of this run, validation not counted.
    waiting : float
        Share of that time spent waiting for patches to be drawn, 0 to 1.
    """

    unit: str = "steps"
    loss: float = float("nan")
    terms: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    patches_per_second: float = 0.0
    waiting: float = 0.0
