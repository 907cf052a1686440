"""From a trained network to an encoder that can be used, shared and cited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.torch import save

from napari_nic.disk import replacing
from napari_nic.encoders import EncoderSpec
from napari_nic.encoders.nets import EncoderNet
from napari_nic.encoders.store import CARD_FILE, SPEC_FILE, WEIGHTS_FILE, spec_text
from napari_nic.jobs import CancellationToken, checked
from napari_nic.training.checkpoint import read_record
from napari_nic.training.log import STEPS_FILE, read_log
from napari_nic.training.loop import Sources
from napari_nic.training.objectives.base import Objective
from napari_nic.training.pictures import reconstruct
from napari_nic.training.recipe import EVALUATION_PATCHES, TrainRecipe, draw_plain, encoder_spec

LEAST_ERROR = 1e-4
"""Squared grey levels: below it patches are alike, and their ratio to noise (88 dB) says no more."""

if TYPE_CHECKING:
    from numpy.typing import NDArray


def publish(
    objective: Objective,
    recipe: TrainRecipe,
    sources: Sources,
    facts: Mapping[str, Any],
    *,
    token: CancellationToken | None = None,
) -> EncoderSpec:
    """Scale the codes, measure, and write the encoder with its model card.

    Parameters
    ----------
    objective : Objective
        Trained.
    recipe : TrainRecipe
    sources : Sources
    facts : mapping
        What is known of data and machine; the training's own numbers are added.
    token : CancellationToken, optional
        Asked at each batch; nothing is written before the last one. The checkpoint is kept: the same
        training, run again, goes on here.
    """
    token = token or CancellationToken()
    token.checkpoint()
    objective.eval()
    counters = read_record(recipe.checkpoint)["counters"]
    patches = draw_plain(
        objective, sources.held_out or sources.train, EVALUATION_PATCHES, seed=recipe.options.seed + 1
    )
    measured = reconstruction_quality(objective, patches, token=token)
    token.checkpoint()
    objective.finish(draw_plain(objective, sources.train, EVALUATION_PATCHES, recipe.options.seed + 2), token)
    token.checkpoint()
    training = {
        "method": objective.title,
        "steps": counters["step"],
        "batch_size": recipe.options.batch_size,
        "minutes": round(counters["seconds"] / 60, 1),
        **_speed(recipe),
        **facts,
        "validation": {name: round(value, 4) for name, value in counters["validation"].items()},
        **measured,
    }
    spec = encoder_spec(recipe, objective.title, objective.citation)
    card = write_card(recipe, spec, training, objective.limits)
    return save_encoder(objective.encoder.cpu(), spec, recipe.folder, card=card, training=training)


def _speed(recipe: TrainRecipe) -> dict[str, float]:
    """Return how fast the last run was, by its log."""
    rows = read_log(recipe.checkpoint / STEPS_FILE)
    if not rows:
        return {}
    return {"patches_per_second": round(rows[-1]["patches_per_second"]), "waiting": rows[-1]["waiting"]}


def reconstruction_quality(
    objective: Objective, patches: NDArray[np.uint8], *, token: CancellationToken | None = None
) -> dict[str, float]:
    """Peak signal-to-noise ratio, dB, of reconstructions, each patch's mean colour and the mean patch.

    Parameters
    ----------
    objective : Objective
    patches : ndarray of uint8, (n, s, s, 3)
    token : CancellationToken, optional
        Asked at each batch.

    Returns
    -------
    dict
        Empty for an objective that reconstructs nothing.
    """
    errors = []
    for start in checked(range(0, len(patches), 256), token):
        part = patches[start : start + 256]
        painted = reconstruct(objective, part)
        if painted is None:
            return {}
        errors.append(_squared_error(painted, part))
    plain = _squared_error(patches.mean((1, 2), keepdims=True), patches)
    mean_patch = _squared_error(patches.mean(0, keepdims=True), patches)
    return {
        "psnr_db": _psnr(float(np.concatenate(errors).mean())),
        "psnr_of_mean_colour_db": _psnr(float(plain.mean())),
        "psnr_of_mean_patch_db": _psnr(float(mean_patch.mean())),
    }


def _squared_error(one: np.ndarray, other: np.ndarray) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = ((one.astype(np.float32) - other) ** 2).mean(
        (1, 2, 3), dtype=np.float64
    )
    return difference


def _psnr(error: float) -> float:
    return round(10 * float(np.log10(255**2 / max(error, LEAST_ERROR))), 2)


def save_encoder(
    net: EncoderNet, spec: EncoderSpec, folder: Path, *, card: str, training: Mapping[str, Any]
) -> EncoderSpec:
    """Write ``encoder.json``, ``weights.safetensors`` and ``CARD.md``; return the spec with its checksum."""
    state = {
        name: value.contiguous() for name, value in net.state_dict().items() if value.ndim
    }  # the batch counters of the normalisations are no weights
    weights = save(state)
    spec = replace(spec, weights_sha256=hashlib.sha256(weights).hexdigest(), training=dict(training))
    # The description names the weights' checksum and comes last: without it the folder holds no encoder.
    parts = {WEIGHTS_FILE: weights, CARD_FILE: card.encode(), SPEC_FILE: spec_text(spec).encode()}
    for name, content in parts.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    return spec


def write_card(recipe: TrainRecipe, spec: EncoderSpec, training: Mapping[str, Any], limits: str) -> str:
    """Return the encoder's model card in Markdown."""
    facts = "\n".join(f"- {name.replace('_', ' ')}: {_readable(value)}" for name, value in training.items())
    return f"""# {spec.name}

{spec.summary}
C = {spec.code_size}, patches of {spec.patch_size} px at {spec.mpp} um/px, averaged to {spec.input_size} px.

Licence of the weights: {spec.licence}

## Data
{recipe.card.get("data") or "Not stated."}

## Training and result
{facts}

Measured on slides or patients that training never saw, where the data hold more than one.

## Limits
{limits}
Research use only; not for diagnosis. Method: {spec.citation}.
"""


def _readable(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
