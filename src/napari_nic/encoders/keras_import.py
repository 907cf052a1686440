"""Import the encoders that Tellez et al. published as Keras HDF5 files; Keras itself is not needed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save

from napari_nic.apart import check_survives
from napari_nic.disk import check_regular
from napari_nic.encoders.spec import MOST_CODE, EncoderSpec
from napari_nic.encoders.store import WEIGHTS_FILE, check_new_name, new_encoder, write_spec
from napari_nic.errors import WeightsError
from napari_nic.weight_files import file_sha256

DEPTH, WIDTH, FLAT = 4, 128, 3 * 3 * 128
"""The published network: convolutions, their channels, and what is left of 64 px to flatten."""

EXPECTED = [*["Conv2D", "LeakyReLU", "BatchNormalization"] * DEPTH, "Flatten", "Dense"]

_SETTINGS: dict[str, dict[str, Any]] = {
    "Conv2D": {"kernel_size": [3, 3], "strides": [2, 2]},
    "LeakyReLU": {"alpha": 0.2},
}
"""What a layer must state, because Keras assumes something else of a layer that does not."""

_KERAS_DEFAULTS: dict[str, dict[str, Any]] = {
    "Conv2D": {"padding": "valid", "data_format": "channels_last", "activation": "linear"},
    "BatchNormalization": {"epsilon": 1e-3},
    "Dense": {"activation": "linear"},
}
"""What a layer may leave unsaid."""

_NORM_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras' names of a batch normalisation's arrays to PyTorch's."""

_PUBLIC_HOME = "github.com/davidtellez/neural-image-compression"

_NIC_PAPER = "Tellez et al., TPAMI 2019, doi:10.1109/TPAMI.2019.2936841"

_PUBLISHED = {
    "15cf687f29121aeb500c88a4e406ab0919a5f939187ad618517a04a81130569b": (
        "BiGAN encoder published by Tellez et al. 2019.",
        _NIC_PAPER,
    ),
    "714684a5aacbc4b2dc3718db5e91f4222ffbcdaa7df81d6daa31a006a9a1da0b": (
        "Encoder trained on four supervised tasks (multitask-4), published by Tellez et al.",
        f"Tellez et al., MIDL 2020; network: {_NIC_PAPER}",
    ),
}
"""Summary and citation of the authors' files, by SHA-256; these are under the MIT licence."""


def import_keras(path: Path | str, *, name: str, home: Path | str | None = None) -> EncoderSpec:
    """Turn a published Keras encoder into one that napari-nic lists and loads.

    Parameters
    ----------
    path : Path or str
        The HDF5 file.
    name : str
        What to call it; an encoder of the user's with this name is replaced.
    home : Path or str, optional
        The user's data folder, see :func:`napari_nic.encoders.store.user_encoders_folder`.

    Returns
    -------
    EncoderSpec

    Raises
    ------
    WeightsError
        If the file is no Keras model or another network than the published one, or the encoder cannot be
        written.
    InvalidParameterError
        If `name` cannot be a folder's name, or is an encoder of the package.
    """
    path = Path(path)
    check_new_name(name)
    check_regular(path, WeightsError)
    check_survives(f"{__name__}:_read_model", path, WeightsError)
    layers, arrays = _read_model(path)
    state = _to_network(layers, arrays, path)
    weights = save(state)
    spec = _describe(path, name, code_size=len(state["code.bias"]), weights=weights)
    with new_encoder(name, home) as folder:
        (folder / WEIGHTS_FILE).write_bytes(weights)
        write_spec(folder, spec, _card(spec))
    return spec


def _describe(path: Path, name: str, *, code_size: int, weights: bytes) -> EncoderSpec:
    source = file_sha256(path)
    summary, citation = _PUBLISHED.get(
        source, (f"Imported from {path.name}: the network published by Tellez et al.", _NIC_PAPER)
    )
    return EncoderSpec(
        name=name,
        code_size=code_size,
        patch_size=128,
        mpp=0.5,
        input_size=64,
        architecture="nic-64",
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        licence="MIT" if source in _PUBLISHED else f"not known; MIT if published at {_PUBLIC_HOME}",
        summary=summary,
        citation=citation,
        training={"source": path.name, "source_sha256": source},
    )


def _read_model(path: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the layers that matter, in order, and all arrays as ``layer/array``."""
    check_regular(path, WeightsError)
    try:
        with h5py.File(path, "r") as file:
            config = _config(file)
            layers = [layer for layer in _flatten(config) if layer["class_name"] != "InputLayer"]
            _check_network(layers, path)
            if file.get("model_weights", getlink=True).__class__ is not h5py.HardLink:
                raise ValueError("model_weights lies in another file")
            arrays = _arrays(file["model_weights"])
    except (*_HDF5_ERRORS, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            "not a Keras model",
            path=path,
            expected="an HDF5 file with model_config and model_weights",
            found=str(error),
            hint=f"the published files are at {_PUBLIC_HOME}, folder models/encoders_patches_pathology",
        ) from error
    return layers, arrays


_HDF5_ERRORS = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError)
"""What h5py raises for a damaged file, and what its content causes when it is none of Keras."""

MOST_NUMBERS = 2 * FLAT * MOST_CODE
"""Of all arrays together: twice those of the longest code."""


def _config(file: h5py.File) -> dict[str, Any]:
    """Read the description; layers that Keras would run as code (Lambda) are names here."""
    config = json.loads(file.attrs["model_config"])
    if not isinstance(config, dict):
        raise TypeError(f"model_config holds a {type(config).__name__}")
    return config


def _arrays(group: h5py.Group) -> dict[str, np.ndarray]:
    """Read the arrays of this file itself, none larger than the network's."""
    arrays: dict[str, np.ndarray] = {}

    def collect(address: str, node: h5py.Group | h5py.Dataset) -> None:
        """Keep an array under its layer and its name; links to other files are not visited."""
        if not isinstance(node, h5py.Dataset):
            return
        if node.external or node.is_virtual:
            raise ValueError(f"{address} lies in another file")
        held = sum(array.size for array in arrays.values())
        if node.dtype.kind != "f" or node.size is None or node.size + held > MOST_NUMBERS:
            raise ValueError(f"{address} is {node.dtype} of shape {node.shape}")
        layer, array = f"/{address}".split("/")[-2:]
        arrays[f"{layer}/{array.partition(':')[0]}"] = node[()]

    group.visititems(collect)
    return arrays


def _flatten(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a model's layers in order; Keras nests models, and lists a Sequential's layers directly."""
    config = node["config"]
    inner = config if isinstance(config, list) else config.get("layers")
    if inner is None:
        yield node
    else:
        for layer in inner:
            yield from _flatten(layer)


def _check_network(layers: list[dict[str, Any]], path: Path) -> None:
    kinds = [layer["class_name"] for layer in layers]
    if kinds == ["GlobalAveragePooling2D"]:
        raise WeightsError(
            "this model averages colours and has no weights", path=path, hint="use the encoder 'mean-rgb'"
        )
    odd = _odd_settings(layers) if kinds == EXPECTED else ", ".join(kinds) or "no layers"
    if odd:
        raise WeightsError(
            "this Keras model is another network than the published encoders",
            path=path,
            expected="4 x (Conv2D 3 x 3 stride 2 valid, LeakyReLU 0.2, BatchNormalization), Flatten, Dense",
            found=odd,
        )


def _odd_settings(layers: list[dict[str, Any]]) -> str:
    """Name the settings that differ from the published network's; empty when none does."""
    odd = []
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        defaults = _KERAS_DEFAULTS.get(kind, {})
        for key, wanted in (_SETTINGS.get(kind, {}) | defaults).items():
            value = config.get(key, defaults.get(key, "not stated"))
            both_numbers = isinstance(wanted, float) and isinstance(value, float)
            if not (math.isclose(value, wanted, rel_tol=1e-6) if both_numbers else value == wanted):
                odd.append(f"{config.get('name', kind)}: {key} {value}")
    return ", ".join(odd)


def _to_network(
    layers: list[dict[str, Any]], arrays: dict[str, np.ndarray], path: Path
) -> dict[str, np.ndarray]:
    """Name and order the arrays as :class:`~napari_nic.encoders.nets.NicEncoderNet` has them."""
    state: dict[str, np.ndarray] = {}
    counts = {"Conv2D": 0, "BatchNormalization": 0}
    try:
        for layer in layers:
            kind, name = layer["class_name"], layer["config"]["name"]
            if kind == "Conv2D":
                index = counts[kind]
                state[f"convs.{index}.weight"] = arrays[f"{name}/kernel"].transpose(3, 2, 0, 1)
                state[f"convs.{index}.bias"] = arrays[f"{name}/bias"]
                counts[kind] += 1
            elif kind == "BatchNormalization":
                for theirs, ours in _NORM_NAMES.items():
                    state[f"norms.{counts[kind]}.{ours}"] = arrays[f"{name}/{theirs}"]
                counts[kind] += 1
            elif kind == "Dense":
                # Both flatten in (row, column, channel) order, so the matrix is only transposed.
                state["code.weight"], state["code.bias"] = arrays[f"{name}/kernel"].T, arrays[f"{name}/bias"]
        state = {name: np.ascontiguousarray(value, np.float32) for name, value in state.items()}
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            "weights are missing from the Keras model, or damaged", path=path, found=str(error)
        ) from error
    _check_arrays(state, path)
    return state


def _check_arrays(state: dict[str, np.ndarray], path: Path) -> None:
    for name, shape in _shapes(state["code.bias"].size).items():
        if state[name].shape != shape or not np.isfinite(state[name]).all():
            raise WeightsError(
                "this Keras model is another network than the published encoders, or damaged",
                path=path,
                expected=f"finite numbers of shape {shape} for {name}",
                found=f"shape {state[name].shape}",
            )


def _shapes(code_size: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the network's arrays by name."""
    shapes: dict[str, tuple[int, ...]] = {"code.weight": (code_size, FLAT), "code.bias": (code_size,)}
    for index in range(DEPTH):
        shapes[f"convs.{index}.weight"] = (WIDTH, WIDTH if index else 3, 3, 3)
        shapes[f"convs.{index}.bias"] = (WIDTH,)
        shapes |= {f"norms.{index}.{name}": (WIDTH,) for name in _NORM_NAMES.values()}
    return shapes


def _card(spec: EncoderSpec) -> str:
    return f"""# {spec.name}

{spec.summary} C = {spec.code_size}; patches of {spec.patch_size} px at {spec.mpp} um/px, averaged to
{spec.input_size} px.

Licence: {spec.licence}. Citation: {spec.citation}.

How the weights were trained is described in that paper; napari-nic only changed the file format.
Research use only; not for diagnosis.
"""
