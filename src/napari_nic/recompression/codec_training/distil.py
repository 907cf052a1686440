"""A light decoder for a codec that is there, and how it compares with the full one."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nic.device import choose_device, one_kernel_thread
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.codec_training.objective import DistilObjective
from napari_nic.recompression.codec_training.publish import add_light, samples_of
from napari_nic.recompression.codec_training.recipe import DistilRecipe, LoadedPatches
from napari_nic.recompression.codec_training.start import START_PIXELS
from napari_nic.recompression.codec_training.train import sources_of
from napari_nic.recompression.learned import LIGHT_FILE, read_codec, read_part
from napari_nic.recompression.learned.decoding import light_for_looking, synthesis_macs
from napari_nic.recompression.learned.light import LightDecoder, pack_light
from napari_nic.recompression.neural.codec import NeuralCodec
from napari_nic.recompression.neural.store import load_codec
from napari_nic.recompression.quality import psnr, ssim
from napari_nic.training import TrainingProgress
from napari_nic.training.checkpoint import WEIGHTS_FILE, read_record
from napari_nic.training.loop import run_training

COMPARED = 32
"""Held-out crops by which decoders are compared."""

TIMED_SECONDS = 1.0
TOGETHER = 16
"""Crops that are encoded at once."""


@dataclass(frozen=True)
class Compared:
    """How a decoder does.

    Attributes
    ----------
    name : str
    psnr, ssim : float
        Means over held-out crops, against the source.
    kmacs : float
        Thousands of multiplications a pixel, of the synthesis.
    tiles_per_second : float
        Crops a second, streams decoded too, on one core.
    """

    name: str
    psnr: float
    ssim: float
    kmacs: float
    tiles_per_second: float


def distil(
    recipe: DistilRecipe, patches: LoadedPatches, *, token: CancellationToken | None = None
) -> Iterator[TrainingProgress]:
    """Train a light decoder (going on from a checkpoint), and add it to the codec's folder.

    Parameters
    ----------
    recipe : DistilRecipe
    patches : LoadedPatches
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress

    Raises
    ------
    WeightsError
        If the codec is damaged, or the checkpoint was made with other options.
    CancelledError
        The checkpoint is kept; run again to go on.
    """
    spec = read_codec(recipe.codec)
    codec = load_codec(recipe.codec)
    device = choose_device(recipe.device)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(recipe.options.seed)
        light = LightDecoder(spec.channels, recipe.width, recipe.blocks)
    if not (recipe.checkpoint / WEIGHTS_FILE).is_file():
        count = -(-START_PIXELS // recipe.size**2)
        crops = torch.from_numpy(samples_of(patches, count, recipe.options.seed))
        pixels = crops.permute(0, 3, 1, 2).float() / 255
        light.start_from(latents_of(codec, pixels), pixels)
    objective = DistilObjective(codec.trained_net().to(device), light, recipe.options, recipe.size)
    yield from run_training(
        objective,
        sources_of(patches),
        recipe.checkpoint,
        recipe.training_options,
        device=device,
        token=token,
    )
    counters = read_record(recipe.checkpoint)["counters"]
    training = {
        "steps": counters["step"],
        "minutes": round(counters["seconds"] / 60, 1),
        "kmacs_per_px": round(light.macs / 1000, 1),
        "validation": {name: round(value, 4) for name, value in counters["validation"].items()},
    }
    add_light(recipe.codec, spec, pack_light(light, spec.decoder_sha256), training, objective.limits)


@torch.no_grad()
def latents_of(codec: NeuralCodec, pixels: torch.Tensor) -> torch.Tensor:
    """Return what the synthesis is given of pixels (n, 3, h, w) in [0, 1]."""
    net = codec.trained_net()
    return torch.cat([net.latents(part) for part in pixels.split(TOGETHER)])


def compare_decoders(
    folder: Path, patches: LoadedPatches, *, token: CancellationToken | None = None
) -> Generator[Progress, None, list[Compared]]:
    """Compare the decoders of a codec on crops that were held out, or on others where none were.

    Parameters
    ----------
    folder : Path
        Of the codec.
    patches : LoadedPatches
    token : CancellationToken, optional
    """
    token = token or CancellationToken()
    spec, codec = read_codec(folder), load_codec(folder)
    crops = _crops(patches)
    streams = codec.encode(crops)
    light = None
    if spec.light_sha256:
        light = light_for_looking(read_part(folder, LIGHT_FILE, spec.light_sha256), spec.decoder_sha256)
    found = []
    kinds: list[tuple[str, Any]] = [("full", None), *([("light", light)] if light is not None else [])]
    for number, (name, synthesis) in enumerate(kinds):
        token.checkpoint()
        yield Progress(number, len(kinds), "comparing decoders", "decoders")
        size = crops.shape[1], crops.shape[2]
        decoded = [codec.pixels(codec.latents([one], size), size, synthesis)[0] for one in streams]
        seconds = _seconds(codec, streams, size, synthesis)
        kmacs = synthesis_macs(synthesis or codec.synthesis, spec.channels) / 1000
        found.append(
            Compared(
                name,
                float(np.mean([psnr(a, b) for a, b in zip(crops, decoded, strict=True)])),
                float(np.mean([ssim(a, b) for a, b in zip(crops, decoded, strict=True)])),
                kmacs,
                size[0] * size[1] / (256 * 256) / seconds,
            )
        )
    return found


def _crops(patches: LoadedPatches) -> np.ndarray:
    rng = np.random.default_rng(COMPARED)
    sources = patches.held_out or patches.train
    return np.concatenate([source.draw(max(1, COMPARED // len(sources)), rng).images for source in sources])


def _seconds(codec: Any, streams: list[bytes], size: tuple[int, int], synthesis: Any) -> float:
    """Return the seconds that a crop takes on one core: the median."""
    times: list[float] = []
    with one_kernel_thread():
        ends = time.perf_counter() + TIMED_SECONDS
        while not times or time.perf_counter() < ends:
            begun = time.perf_counter()
            codec.pixels(codec.latents([streams[len(times) % len(streams)]], size), size, synthesis)
            times.append(time.perf_counter() - begun)
    return float(np.median(times))
