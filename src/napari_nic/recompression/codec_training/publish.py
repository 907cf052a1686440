"""A trained network as a folder: frozen to whole numbers, its weights, its description, its card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from napari_nic.disk import replacing
from napari_nic.errors import WeightsError
from napari_nic.jobs import CancellationToken
from napari_nic.recompression.codec_training.objective import CodecObjective
from napari_nic.recompression.codec_training.recipe import CodecRecipe, LoadedPatches
from napari_nic.recompression.learned import (
    CARD_FILE,
    DECODER_FILE,
    ENCODER_FILE,
    LIGHT_FILE,
    SPEC_FILE,
    CodecSpec,
    read_codec,
    spec_text,
)
from napari_nic.recompression.neural.codec import freeze
from napari_nic.recompression.neural.nets import CompressionNet
from napari_nic.recompression.neural.store import save_codec
from napari_nic.training.checkpoint import read_record

SAMPLES = 16
"""Crops by which the ranges of whole-number networks are fixed."""


def publish(
    objective: CodecObjective,
    recipe: CodecRecipe,
    patches: LoadedPatches,
    facts: Mapping[str, Any],
    *,
    token: CancellationToken | None = None,
) -> CodecSpec:
    """Write the codec's folder; its description comes last."""
    token = token or CancellationToken()
    token.checkpoint()
    counters = read_record(recipe.checkpoint)["counters"]
    net = cast("CompressionNet", objective.net).cpu().eval()
    net.bottleneck.find_quantiles()  # the auxiliary steps brought them near
    codec = freeze(net, samples_of(patches, SAMPLES, recipe.options.seed))
    token.checkpoint()
    recipe.out.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(recipe.out)
    (recipe.out / SPEC_FILE).unlink(missing_ok=True)  # without it there is no codec here
    save_codec(codec, recipe.out)
    keeps_light = earlier is not None and earlier.decoder_sha256 == _sha256(recipe.out / DECODER_FILE)
    if not keeps_light:
        (recipe.out / LIGHT_FILE).unlink(missing_ok=True)
    training = {
        "steps": counters["step"],
        "batch_size": recipe.options.batch_size,
        "crop_px": recipe.size,
        "minutes": round(counters["seconds"] / 60, 1),
        **facts,
        "validation": {name: round(value, 4) for name, value in counters["validation"].items()},
        "best_validation_loss": round(counters["best"], 4) if np.isfinite(counters["best"]) else None,
    }
    spec = CodecSpec(
        recipe.name,
        recipe.network,
        codec.description.filters,
        codec.description.channels,
        recipe.loss,
        recipe.lam,
        _sha256(recipe.out / ENCODER_FILE),
        _sha256(recipe.out / DECODER_FILE),
        licence=recipe.card.get("licence") or "unspecified",
        summary=recipe.card.get("summary") or f"{recipe.network} for tissue, quality {recipe.quality}.",
        citation=objective.citation,
        training=training,
    )
    if earlier is not None and keeps_light:
        spec = replace(spec, light_sha256=earlier.light_sha256, light_training=earlier.light_training)
    write_description(recipe.out, spec, recipe.card.get("data", ""), objective.limits)
    return spec


def _earlier(folder: Path) -> CodecSpec | None:
    """Return what the folder held; None if it is no codec, or a damaged one."""
    try:
        return read_codec(folder) if (folder / SPEC_FILE).is_file() else None
    except WeightsError:
        return None


def write_description(folder: Path, spec: CodecSpec, data: str, limits: str) -> None:
    """Write the card, then the description, which makes the folder a codec."""
    for name, text in ((CARD_FILE, card_of(spec, data, limits)), (SPEC_FILE, spec_text(spec))):
        with replacing(folder / name) as temporary:
            temporary.write_text(text, "utf-8")


def add_light(
    folder: Path, spec: CodecSpec, light: bytes, training: Mapping[str, Any], limits: str
) -> CodecSpec:
    """Add a light decoder to a codec's folder."""
    with replacing(folder / LIGHT_FILE) as temporary:
        temporary.write_bytes(light)
    spec = replace(spec, light_sha256=hashlib.sha256(light).hexdigest(), light_training=dict(training))
    write_description(folder, spec, _data_of(folder), limits)
    return spec


def card_of(spec: CodecSpec, data: str, limits: str) -> str:
    """Return the model card in Markdown."""
    facts = "\n".join(_lines(spec.training))
    light = "\n".join(_lines(spec.light_training)) or "There is none."
    return f"""# {spec.name}

{spec.summary}
{spec.network}, N = {spec.filters}, M = {spec.channels}, trained for {spec.loss} with lambda {spec.weight:g}.

Licence of the weights: {spec.licence}

## Data
{data or "Not stated."}

## Training and result
{facts}

The validation is on slides or patients that training never saw, where the data hold more than one.

## Light decoder
{light}

## Limits
{limits}
Research use only; not for diagnosis. Method: {spec.citation}.
"""


def _lines(facts: Mapping[str, Any]) -> list[str]:
    return [
        f"- {name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, dict | list) else value}"
        for name, value in facts.items()
    ]


def _data_of(folder: Path) -> str:
    """Return what the card says of the data."""
    card = folder / CARD_FILE
    _, _, rest = (card.read_text("utf-8") if card.is_file() else "").partition("## Data\n")
    return rest.partition("\n\n## ")[0]


def samples_of(patches: LoadedPatches, count: int, seed: int) -> np.ndarray:
    """Return about `count` crops of what is trained on: (n, s, s, 3) uint8."""
    rng = np.random.default_rng((seed, count))
    share = max(1, count // len(patches.train))
    return np.concatenate([source.draw(share, rng).images for source in patches.train])


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
