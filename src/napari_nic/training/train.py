"""The whole way from named patch sets to an encoder that is ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from napari_nic.device import choose_device, choose_precision
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.patches import PatchSource
from napari_nic.training.objectives import OBJECTIVES
from napari_nic.training.options import TrainingProgress
from napari_nic.training.recipe import TrainRecipe
from napari_nic.training.sets import LoadedSet, Wanted


def train_encoder(
    recipe: TrainRecipe, *, token: CancellationToken | None = None
) -> Iterator[TrainingProgress]:
    """Load the sets, train (going on from a checkpoint), scale the codes and save the encoder.

    Slides or patients are held out of every set; the measures in its model card are of those.

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
    from napari_nic.training.checkpoint import read_record
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
        "precision": read_record(recipe.checkpoint)["counters"]["precision"],
        "sets": [dict(part.facts) for part in loaded],
    }
    if objective.learned_from():
        facts["teachers"] = objective.learned_from()
    publish(objective, recipe, sources, facts, token=token)


def load_sets(recipe: TrainRecipe, *, token: CancellationToken | None = None) -> list[LoadedSet]:
    """Read the recipe's sets at the resolution of its architecture, or the finer one of its teachers.

    Raises
    ------
    InvalidParameterError
    """
    if not recipe.sets:
        raise InvalidParameterError("nothing to train on", expected="at least one set of patches")
    size, mpp = OBJECTIVES.get(recipe.method).wanted(recipe.options)
    wanted = Wanted(size, mpp, seed=recipe.options.seed)
    return [one.load(wanted, token=token) for one in checked(recipe.sets, token)]


def _all_or_none(sources: Sequence[PatchSource | None]) -> list[Any]:
    """Hold patches out of every set, or of none: tasks and their heads go by position."""
    return [] if any(source is None for source in sources) else list(sources)
