"""What a training remembers from epoch to epoch, and whether a checkpoint belongs to it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from napari_nic import identity as encoder_identity
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models.heads import Head
from napari_nic.slide_models.settings import TrainingSettings
from napari_nic.slide_models.sources import TrainingSlide

if TYPE_CHECKING:
    import torch

FREE_SETTINGS = frozenset({"epochs"})
"""Settings that may change when a training goes on."""


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Epochs that are done, and the best network so far.

    Attributes
    ----------
    history : tuple of mapping
        Of each epoch its ``epoch`` (from 1), ``loss``, ``validation_loss``, ``metric``,
        ``learning_rate`` and ``is_best``.
    best : mapping of str to Tensor
        Weights after the best epoch.
    """

    history: tuple[Mapping[str, Any], ...] = ()
    best: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Count the epochs that are done."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch; 0 where none is done."""
        return max((done["epoch"] for done in self.history if done["is_best"]), default=0)

    @property
    def idle(self) -> int:
        """Count the epochs since the best one."""
        return self.epoch - self.best_epoch

    def after(self, done: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Self:
        """Add an epoch; `weights` are copied if it is the best: highest metric, then lowest loss."""
        is_best = not self.history or _merit(done) > _merit(self.history[self.best_epoch - 1])
        kept = {name: w.detach().cpu().clone() for name, w in weights.items()} if is_best else self.best
        return type(self)((*self.history, {**done, "is_best": is_best}), kept)


def _merit(done: Mapping[str, Any]) -> tuple[float, float]:
    metric = float(done["metric"])
    return (-math.inf if math.isnan(metric) else metric, -float(done["validation_loss"]))


def identity_of(
    heads: Sequence[Head],
    slides: Sequence[TrainingSlide],
    validation: Sequence[TrainingSlide],
    settings: TrainingSettings,
) -> dict[str, Any]:
    """Describe what determines a training's result, as JSON gives it back."""
    card, further = heads[0].card, heads[1:]
    identity = {
        "task": [card.task, *card.class_names],
        "encoder": list(encoder_identity.identity(card.encoder).values()),
        "network": card.network.to_dict(),
        "settings": {k: v for k, v in asdict(settings).items() if k not in FREE_SETTINGS},
        "training slides": [_about(slide) for slide in slides],
        "validation slides": [_about(slide) for slide in validation],
    }
    if further:
        identity["further heads"] = [_about_head(head, [*slides, *validation]) for head in further]
    return dict(json.loads(json.dumps(identity)))


def check_same(stored: Mapping[str, Any], identity: Mapping[str, Any], file: Path) -> None:
    """Raise :class:`InvalidParameterError` unless a checkpoint belongs to a training of this identity."""
    different = [name for name in {**identity, **stored} if stored.get(name) != identity.get(name)]
    if different:
        raise InvalidParameterError(
            "the checkpoint is that of another training",
            path=file,
            expected=f"the same {', '.join(different)}",
            found="; ".join(f"{name}: {_short(stored.get(name))}" for name in different),
            hint="train into another folder, or delete the checkpoint to start anew",
        )


def _about(slide: TrainingSlide) -> list[Any]:
    return [slide.name, float(slide.label), bool(slide.event), list(slide.mask.shape), int(slide.mask.sum())]


def _about_head(head: Head, slides: Sequence[TrainingSlide]) -> list[Any]:
    known = [None if outcome is None else [outcome.label, outcome.event] for outcome in head.of(slides)]
    return [head.card.name, head.card.task, *head.card.class_names, head.weight, known]


def _short(value: Any) -> str:
    text = json.dumps(value)
    limit = 120
    return text if len(text) <= limit else f"{text[:limit]}..."
