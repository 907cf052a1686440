"""Learned codecs as files: a folder with ``codec.json``, ``decoder.safetensors`` and ``encoder.safetensors``.

``decoder.safetensors`` is enough to decode and travels alone: the bytes of the description are one of its
tensors. The others are the whole numbers that decide how symbols decode (``symbols.*``), and the weights of
the synthesis (``g_s.*``). ``encoder.safetensors`` has all other weights, under CompressAI's names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import nn

from napari_nic.descriptions import MOST_NAME, check_fields, is_sha256, is_whole, read_json, sealed, unsealed
from napari_nic.disk import write_bytes
from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.arrays import Array, Arrays, arrays_of, digest, model_of
from napari_nic.recompression.neural.codec import CodecDescription, NeuralCodec
from napari_nic.recompression.neural.nets import CompressionNet
from napari_nic.recompression.neural.networks import MOST_CHANNELS, NETWORKS, make_network
from napari_nic.recompression.neural.weights import SYNTHESIS, encoder_arrays, synthesis_arrays, tensors
from napari_nic.weight_files import Owner, check_inside

CODEC_FILE, DECODER_FILE, ENCODER_FILE = "codec.json", "decoder.safetensors", "encoder.safetensors"

FORMAT = 1

MOST_BYTES = 2**29
"""No codec's weights are larger."""

_DESCRIPTION = "description"
_MOST_DESCRIPTION = 1 << 16
_SYMBOLS = "symbols."
_FIELDS = tuple(field.name for field in fields(CodecDescription))


def save_codec(codec: NeuralCodec, folder: Path) -> None:
    """Write a codec into a folder, which is made where it is missing.

    Raises
    ------
    StoreError
        If it cannot be written.
    WeightsError
        If the codec only decodes.
    """
    write_bytes(folder / ENCODER_FILE, save(encoder_arrays(codec.trained_net())))
    write_bytes(folder / DECODER_FILE, decoder_bytes(codec))
    text = json.dumps(sealed(_as_json(codec.description)), indent=2) + "\n"
    write_bytes(folder / CODEC_FILE, text.encode())


def decoder_bytes(codec: NeuralCodec) -> bytes:
    """Return all that decoding needs, as one safetensors file."""
    described = json.dumps(_as_json(codec.description), sort_keys=True).encode()
    arrays = {
        _DESCRIPTION: np.frombuffer(described, np.uint8),
        **{_SYMBOLS + name: np.ascontiguousarray(value) for name, value in arrays_of(codec.model).items()},
        **synthesis_arrays(codec.synthesis),
    }
    return bytes(save(arrays))


def load_decoder(content: bytes) -> NeuralCodec:
    """Make a codec that decodes, of what :func:`decoder_bytes` returned.

    Raises
    ------
    WeightsError
        If it is damaged, or no such file.
    """
    arrays = _loaded(content)
    description = _described(arrays.pop(_DESCRIPTION, None))
    symbols = _with_prefix(arrays, _SYMBOLS)
    synthesis = {name: value for name, value in arrays.items() if name.startswith(SYNTHESIS)}
    for found, wanted in (
        (digest(symbols), description.symbols_sha256),
        (digest(synthesis), description.decoder_sha256),
    ):
        if found != wanted:
            raise WeightsError(
                "the decoder of a learned codec is damaged", expected=f"SHA-256 {wanted}", found=found
            )
    kind = NETWORKS.get(description.network)
    model = model_of(symbols, kind=kind.symbols, has_means=kind.has_means)
    return NeuralCodec(description, model, _synthesis(description, synthesis))


def load_codec(folder: Path) -> NeuralCodec:
    """Read a codec from a folder; without the file of its encoder it only decodes.

    Raises
    ------
    WeightsError
        If a file is missing, damaged, or of another codec.
    """
    file = folder / CODEC_FILE
    data = unsealed(
        read_json(file, WeightsError, what="the description of a learned codec"), file, WeightsError
    )
    description = _of_json(data)
    codec = load_decoder(_read(folder / DECODER_FILE))
    if codec.description != description:
        raise WeightsError(
            "decoder and description are of different codecs",
            path=folder,
            hint="copy the whole folder again",
        )
    if (folder / ENCODER_FILE).exists():
        codec.net = _net(codec, _loaded(_read(folder / ENCODER_FILE)))
    return codec


def _read(file: Path) -> bytes:
    check_inside(file, Owner("learned codec", "copy the whole folder again"))
    if file.stat().st_size > MOST_BYTES:
        raise WeightsError(
            "a file of a learned codec is too large", path=file, expected=f"at most {MOST_BYTES:,} bytes"
        )
    return file.read_bytes()


def _loaded(content: bytes) -> Arrays:
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, TypeError, LookupError) as error:
        raise WeightsError(
            "the weights of a learned codec are damaged", expected="a safetensors file", found=str(error)
        ) from error


def _as_json(description: CodecDescription) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(description)}


def _of_json(data: Any) -> CodecDescription:
    what = "the description of a learned codec"
    if not isinstance(data, dict):
        raise WeightsError(f"this is not {what}", expected="a JSON object")
    checks = {
        "format": (f"the number {FORMAT}", lambda value: value == FORMAT),
        "network": (f"one of {', '.join(NETWORKS.names())}", lambda value: value in NETWORKS.names()),
        **dict.fromkeys(
            ("filters", "channels"),
            ("a whole number of channels", lambda value: is_whole(value, MOST_CHANNELS)),
        ),
        **{name: ("a SHA-256", is_sha256) for name in _FIELDS if name.endswith("sha256")},
    }
    known = ("format", *_FIELDS)
    check_fields(data, checks, WeightsError, what=what, known=known, required=known)
    return CodecDescription(**{name: data[name] for name in _FIELDS})


def _described(tensor: Array | None) -> CodecDescription:
    if tensor is None or tensor.dtype != np.uint8 or tensor.size > _MOST_DESCRIPTION:
        raise WeightsError(
            "these weights are of no learned codec", expected="a description among the tensors"
        )
    try:
        data = json.loads(tensor.tobytes())
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            "the description of a learned codec is damaged", found=str(error)[:MOST_NAME]
        ) from error
    return _of_json(data)


def _with_prefix(arrays: Arrays, prefix: str) -> Arrays:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}


def _synthesis(description: CodecDescription, arrays: Arrays) -> nn.Module:
    with torch.device("meta"):  # its weights come from the file alone
        net = make_network(description.network, description.filters, description.channels)
    return _given(net.g_s, _with_prefix(arrays, SYNTHESIS))


def _net(codec: NeuralCodec, arrays: Arrays) -> CompressionNet:
    description = codec.description
    if digest(arrays) != description.encoder_sha256:
        raise WeightsError(
            "the encoder of a learned codec is damaged, or of another codec",
            expected=f"SHA-256 {description.encoder_sha256}",
            found=digest(arrays),
        )
    net = make_network(description.network, description.filters, description.channels)
    state = {**arrays, **synthesis_arrays(codec.synthesis)}
    return _given(net, state).eval()


_Net = TypeVar("_Net", bound=nn.Module)


def _given(module: _Net, arrays: Arrays) -> _Net:
    try:
        module.load_state_dict(tensors(arrays), assign=True)
    except RuntimeError as error:
        raise WeightsError(
            "the weights of a learned codec are of another network",
            found=str(error).splitlines()[-1].strip()[:MOST_NAME],
        ) from error
    return module
