"""The whole way from tiles to a learned codec that is ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from napari_nic.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.recompression.codec_training.publish import publish, samples_of
from napari_nic.recompression.codec_training.recipe import CodecRecipe, LoadedPatches, Patches
from napari_nic.recompression.neural.nets import CompressionNet
from napari_nic.recompression.neural.networks import channels_of, make_network
from napari_nic.training import TrainingProgress
from napari_nic.training.loop import Sources, run_training


def train_codec(
    recipe: CodecRecipe, patches: LoadedPatches, *, token: CancellationToken | None = None
) -> Iterator[TrainingProgress]:
    """Train (going on from a checkpoint), keep the weights of the best validation, and save the codec.

    Parameters
    ----------
    recipe : CodecRecipe
    patches : LoadedPatches
        Of slides or patients, some of which are held out.
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress

    Raises
    ------
    WeightsError
        If the checkpoint was made with other options.
    CancelledError
        The checkpoint is kept; run again to go on.
    """
    from napari_nic.recompression.codec_training.objective import CodecObjective

    filters, channels = sizes_of(recipe)
    objective = CodecObjective(_started(recipe, patches), recipe)
    device = choose_device(recipe.device)
    options = recipe.training_options(filters, channels)
    yield from run_training(
        objective, sources_of(patches), recipe.checkpoint, options, device=device, token=token
    )
    facts: dict[str, Any] = {"device": device, "sets": [dict(one) for one in patches.facts]}
    publish(objective, recipe, patches, facts, token=token)


def _started(recipe: CodecRecipe, patches: LoadedPatches) -> CompressionNet:
    """Return the network as it is before the first step."""
    import torch

    from napari_nic.recompression.codec_training.start import START_PIXELS, start_from_components

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(recipe.options.seed)
        net = make_network(recipe.network, *sizes_of(recipe))
    if recipe.start == "components":
        count = -(-START_PIXELS // recipe.size**2)
        sample = samples_of(patches, count, recipe.options.seed)
        start_from_components(net, sample, recipe.squared_error_weight)
    return net


def sizes_of(recipe: CodecRecipe) -> tuple[int, int]:
    """Return N and M: as asked, or as published for the quality."""
    filters, channels = channels_of(recipe.network, recipe.quality)
    return recipe.filters or filters, recipe.channels or channels


def sources_of(patches: LoadedPatches) -> Sources:
    """Return crops as the training loop takes them: it hands them to ``draw`` and does nothing else."""

    def cast_all(found: Sequence[Patches]) -> Sequence[PatchSource]:
        return cast("Sequence[PatchSource]", found)

    return Sources(cast_all(patches.train), cast_all(patches.held_out))
