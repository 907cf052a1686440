"""The whole way from named patch sets to an encoder that is ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.encoders.device import choose_device, choose_precision
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import user_encoders_folder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.patches import PatchSource
from napari_nic.training.objectives import OBJECTIVES
from napari_nic.training.options import TrainingProgress, TrainOptions
from napari_nic.training.sets import LoadedSet, TrainingSet, Wanted

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
        ``data`` (what the patches are), ``licence`` (of the weights) and ``summary``, for the card.
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


def train_encoder(
    recipe: TrainRecipe, *, token: CancellationToken | None = None
) -> Iterator[TrainingProgress]:
    """Load the sets, train (going on from a checkpoint), scale the codes and save the encoder with its card.

    Slides or patients are held out of every set; the card's measures are of those.

    Yields
    ------
    TrainingProgress

    Raises
    ------
    InvalidParameterError
        If no patch can be used, or labels are missing that the method needs.
    CancelledError
        The checkpoint is kept; run again to go on.
    """
    from napari_nic.training.loop import Sources, run_training
    from napari_nic.training.publish import publish

    kind = OBJECTIVES.get(recipe.method)
    loaded = load_sets(recipe, token=token)
    sources = Sources([part.train for part in loaded], _all_or_none([part.held_out for part in loaded]))
    device = choose_device(recipe.device)
    precision = choose_precision("auto", device)
    objective = kind(recipe.options, sources.train)
    yield from run_training(
        objective, sources, recipe.checkpoint, recipe.options, device=device, precision=precision, token=token
    )
    facts: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "sets": [dict(part.facts) for part in loaded],
    }
    publish(objective, recipe, sources, facts)


def load_sets(recipe: TrainRecipe, *, token: CancellationToken | None = None) -> list[LoadedSet]:
    """Read the recipe's sets at the resolution of its architecture.

    Raises
    ------
    InvalidParameterError
    """
    from napari_nic.encoders.networks import get_architecture

    architecture = get_architecture(recipe.options.architecture)
    if not recipe.sets:
        raise InvalidParameterError("nothing to train on", expected="at least one set of patches")
    size = round(MARGIN * architecture.input_size)
    wanted = Wanted(size, architecture.input_mpp, seed=recipe.options.seed)
    return [one.load(wanted) for one in checked(recipe.sets, token)]


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


def draw_plain(sources: Sequence[PatchSource], count: int, size: int, seed: int) -> np.ndarray:
    """Draw patches evenly from all sources and cut their middle: (count, size, size, 3) uint8."""
    from napari_nic.training.objectives.base import mixed_images

    images = mixed_images(sources, count, np.random.default_rng(seed))
    start = (images.shape[1] - size) // 2
    return np.ascontiguousarray(images[:, start : start + size, start : start + size])


def _all_or_none(sources: Sequence[PatchSource | None]) -> list[Any]:
    """Hold patches out of every set, or of none: tasks and their heads go by position."""
    return [] if any(source is None for source in sources) else list(sources)
