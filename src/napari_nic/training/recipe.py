"""What a training of an encoder is: patch sets, method, name and options, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nic import old_names
from napari_nic.encoders import EncoderSpec
from napari_nic.encoders.store import user_encoders_folder
from napari_nic.patches import PatchSource
from napari_nic.training.options import TrainOptions
from napari_nic.training.sets import TrainingSet

if TYPE_CHECKING:
    from napari_nic.training.objectives.base import Objective

MARGIN = 1.25
"""Patches are drawn so much larger than the network's input: zoom and rotation then show real pixels."""

EVALUATION_PATCHES = 4096


@dataclass(frozen=True)
class TrainRecipe:
    """What to train on and what to call the result.

    Attributes
    ----------
    name : str
        Of the encoder.
    method : str
        One of :data:`napari_nic.training.objectives.OBJECTIVES`.
    sets : sequence of TrainingSet
        One per labelled task.
    out : Path, optional
        Folder of the encoder; the user's encoders folder by default.
    card : mapping of str to str
        ``data`` (what the patches are), ``licence`` (of the weights) and ``summary``, for the model card.
    device : str
    options : TrainOptions
    """

    name: str
    method: str
    sets: Sequence[TrainingSet]
    out: Path | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    options: TrainOptions = field(default_factory=TrainOptions)

    @property
    def folder(self) -> Path:
        """Where the encoder, and while it is trained its checkpoint, is written."""
        return self.out or user_encoders_folder() / self.name

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints, logs and pictures lie, beside the encoder."""
        return self.folder.with_name(f"{self.folder.name}.training")


def encoder_spec(recipe: TrainRecipe, title: str, citation: str) -> EncoderSpec:
    """Return the description of the recipe's encoder, without weights."""
    from napari_nic.encoders.networks import get_architecture

    architecture = get_architecture(recipe.options.architecture)
    return EncoderSpec(
        name=recipe.name,
        code_size=recipe.options.code_size,
        patch_size=architecture.patch_size,
        mpp=architecture.mpp,
        input_size=architecture.input_size,
        architecture=recipe.options.architecture,
        licence=recipe.card.get("licence", "unspecified"),
        summary=recipe.card.get("summary") or f"{title}, trained on {_sets_text(len(recipe.sets))}.",
        citation=citation,
    )


def _sets_text(count: int) -> str:
    return "one set of patches" if count == 1 else f"{count} sets of patches"


def draw_plain(objective: Objective, sources: Sequence[PatchSource], count: int, seed: int) -> np.ndarray:
    """Draw patches evenly from all sources and cut what the encoder sees: (count, s, s, 3) uint8."""
    size = objective.input_size
    images = objective.draw_near(sources, count, np.random.default_rng(seed))
    start = (images.shape[1] - size) // 2
    return np.ascontiguousarray(images[:, start : start + size, start : start + size])


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
