"""Streams of tiles to pixels, by what came with a slide."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import nn

from napari_nic.device import choose_precision, one_kernel_thread
from napari_nic.errors import WeightsError
from napari_nic.recompression.learned.light import LightDecoder, load_light
from napari_nic.recompression.neural.store import load_decoder
from napari_nic.slides import RgbArray


class NetworkDecoder:
    """Decodes tiles by the full decoder, or by a light one; see :class:`~...learned_tiles.TileDecoder`.

    Parameters
    ----------
    codec : NeuralCodec
    light : Module, optional
    """

    def __init__(self, codec: Any, light: nn.Module | None = None) -> None:
        self._codec, self._light = codec, light

    def decode(self, stream: bytes, rows: int, cols: int) -> RgbArray:
        """Decode the stream of a tile of so many rows and columns.

        Raises
        ------
        DamagedSlideError
            If it is damaged, or was made by another network.
        """
        size = rows, cols
        with one_kernel_thread(), torch.inference_mode():
            if self._light is None:
                pixels: RgbArray = self._codec.decode([stream], size)[0]
            else:
                pixels = self._codec.pixels(self._codec.latents([stream], size), size, self._light)[0]
        return pixels


def open_decoder(decoder: bytes, light: bytes | None) -> NetworkDecoder:
    """Load the half of a codec that decodes; see :data:`napari_nic.slides.readers.learned_tiles.DECODERS`.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    codec = load_decoder(decoder)
    of = hashlib.sha256(decoder).hexdigest()
    return NetworkDecoder(codec, None if light is None else light_for_looking(light, of))


def light_for_looking(data: bytes, decoder_sha256: str) -> LightDecoder:
    """Load a light decoder as a viewer has it: in bfloat16 where the processor is quicker so.

    Symbols are whole numbers in any case; pixels differ by rounding.

    Raises
    ------
    WeightsError
        If it is of another decoder, or damaged.
    """
    precision = choose_precision("auto", "cpu")
    return load_light_of(data, decoder_sha256).to(dtype=getattr(torch, precision))


def load_light_of(data: bytes, decoder_sha256: str) -> LightDecoder:
    """Load a light decoder, which must be the one for the streams of a decoder.

    Raises
    ------
    WeightsError
        If it is of another one, or damaged.
    """
    facts = metadata_of(data)
    if facts.get("of") != decoder_sha256:
        raise WeightsError(
            "the light decoder belongs to another codec",
            expected=decoder_sha256,
            found=facts.get("of", "none"),
        )
    return load_light(data, facts)


def metadata_of(data: bytes) -> dict[str, str]:
    """Return the metadata of the content of a safetensors file.

    Raises
    ------
    WeightsError
        If it is none.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        found = json.loads(data[8 : 8 + min(length, 2**20)])["__metadata__"]
        return {str(key): str(value) for key, value in dict(found).items()}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError("these are no weights", found=str(error)[:200]) from error


def synthesis_macs(synthesis: nn.Module, channels: int) -> float:
    """Return the multiplications for a pixel of a synthesis of so many channels, counted as it runs."""
    counted = [0.0]

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        if isinstance(layer, nn.ConvTranspose2d):
            places = given[0].shape[2] * given[0].shape[3]
        else:
            places = made.shape[2] * made.shape[3]
        weight = layer.weight
        counted[0] += float(weight.numel()) * places  # type: ignore[operator]  # of a convolution

    layers = [one for one in synthesis.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.inference_mode():
            pixels = synthesis(torch.zeros(1, channels, 4, 4))
    finally:
        for hook in hooks:
            hook.remove()
    return counted[0] / (pixels.shape[2] * pixels.shape[3])
