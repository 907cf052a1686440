"""The whole way from pictures with masks to a tissue U-Net that is ready for use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from safetensors.torch import save

from napari_nic.device import choose_device, choose_precision
from napari_nic.disk import replacing
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.tissue.unet import CARD_FILE, SPEC_FILE, WEIGHTS_FILE, UnetSpec, spec_text
from napari_nic.training.checkpoint import read_record
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.options import TrainingProgress
from napari_nic.training.tissue.objective import TissueObjective
from napari_nic.training.tissue.recipe import UnetRecipe
from napari_nic.training.tissue.tiles import MaskedPicture, TissueTiles, split_pictures


def train_unet(
    recipe: UnetRecipe, pictures: Sequence[MaskedPicture], *, token: CancellationToken | None = None
) -> Iterator[TrainingProgress]:
    """Train (going on from a checkpoint), keep the weights of the best validation, and save the network.

    Parameters
    ----------
    recipe : UnetRecipe
    pictures : sequence of MaskedPicture
        Whole slides of them are held out for validation.
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress

    Raises
    ------
    InvalidParameterError
        If there are no pictures.
    WeightsError
        If the checkpoint was made with other options.
    CancelledError
        The checkpoint is kept; run again to go on.
    """
    kept, away = split_pictures(pictures, held_out=recipe.held_out, seed=recipe.options.seed)
    tiles = TissueTiles(kept, recipe.size, augmented=True)
    held_out = [TissueTiles(away, recipe.size, augmented=False)] if away else []
    # The loop hands sources to the objective's `draw` and does nothing else with them.
    sources = Sources(cast("Sequence[PatchSource]", [tiles]), cast("Sequence[PatchSource]", held_out))
    device = choose_device(recipe.device)
    precision = choose_precision("auto", device)
    objective, options = _objective(recipe), recipe.training_options
    yield from run_training(
        objective, sources, recipe.checkpoint, options, device=device, precision=precision, token=token
    )
    facts = {
        "device": device,
        "precision": read_record(recipe.checkpoint)["counters"]["precision"],
        "pictures": len(kept),
        "pictures_held_out": len(away),
        "um_per_px": list(tiles.magnifications),
    }
    publish(objective, recipe, facts)


def _objective(recipe: UnetRecipe) -> TissueObjective:
    import torch

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(recipe.options.seed)
        return TissueObjective(recipe)


def publish(objective: TissueObjective, recipe: UnetRecipe, facts: Mapping[str, Any]) -> UnetSpec:
    """Write the network's folder; its description comes last."""
    counters = read_record(recipe.checkpoint)["counters"]
    weights = save({name: value.cpu().contiguous() for name, value in objective.net.state_dict().items()})
    training = {
        "steps": counters["step"],
        "batch_size": recipe.options.batch_size,
        "crop_px": recipe.size,
        "minutes": round(counters["seconds"] / 60, 1),
        **facts,
        "validation": {name: round(value, 4) for name, value in counters["validation"].items()},
        "best_validation_loss": round(counters["best"], 4),
    }
    spec = replace(recipe.spec, weights_sha256=hashlib.sha256(weights).hexdigest(), training=training)
    parts = {
        WEIGHTS_FILE: weights,
        CARD_FILE: card_of(recipe, spec).encode(),
        SPEC_FILE: spec_text(spec).encode(),
    }
    recipe.folder.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        with replacing(recipe.folder / name) as temporary:
            temporary.write_bytes(content)
    return spec


def card_of(recipe: UnetRecipe, spec: UnetSpec) -> str:
    """Return the model card in Markdown."""
    facts = "\n".join(
        f"- {name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, dict | list) else value}"
        for name, value in spec.training.items()
    )
    widths = ", ".join(str(width) for width in spec.widths)
    return f"""# {spec.name}

{spec.summary}
U-Net with {widths} filters; looks for tissue at {spec.mpp:g} um/px.

Licence of the weights: {spec.licence}

## Data
{recipe.card.get("data") or "Not stated."}

## Training and result
{facts}

The validation is on slides that training never saw, where the data hold more than one.

## Limits
{TissueObjective.limits}
Research use only; not for diagnosis. Method: {spec.citation}.
"""
