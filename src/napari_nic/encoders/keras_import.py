"""Import the encoders that Tellez et al. published as Keras HDF5 files; Keras itself is not needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import CARD_FILE, SPEC_FILE, WEIGHTS_FILE, file_sha256, user_encoders_folder
from napari_nic.errors import InvalidParameterError, WeightsError

DEPTH = 4
EXPECTED = [*["Conv2D", "LeakyReLU", "BatchNormalization"] * DEPTH, "Flatten", "Dense"]

_PUBLIC_HOME = "github.com/davidtellez/neural-image-compression"


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
        If the file is no Keras model or another network than the published one.
    InvalidParameterError
        If `name` cannot be a folder's name.
    """
    path = Path(path)
    if not name or Path(name).name != name:
        raise InvalidParameterError("an encoder's name cannot hold a path", found=repr(name))
    layers, arrays = _read_model(path)
    _check_network(layers, path)
    state = _to_network(layers, arrays, path)
    folder = user_encoders_folder(home) / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / WEIGHTS_FILE)
    spec = EncoderSpec(
        name=name,
        code_size=len(state["code.bias"]),
        patch_size=128,
        mpp=0.5,
        input_size=64,
        architecture="nic-64",
        weights_sha256=file_sha256(folder / WEIGHTS_FILE),
        licence=f"MIT if published at {_PUBLIC_HOME}",
        summary=f"Imported from {path.name}: the network published by Tellez et al.",
        citation="Tellez et al., TPAMI 2019, doi:10.1109/TPAMI.2019.2936841",
        training={"source": path.name, "source_sha256": file_sha256(path)},
    )
    (folder / SPEC_FILE).write_text(json.dumps(spec.to_dict(), indent=2) + "\n", encoding="utf-8")
    (folder / CARD_FILE).write_text(_card(spec), encoding="utf-8")
    return spec


def _read_model(path: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the layers that matter, in order, and all arrays as ``layer/array``."""
    arrays: dict[str, np.ndarray] = {}

    def collect(address: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            layer, array = address.split("/")[-2:]
            arrays[f"{layer}/{array.partition(':')[0]}"] = node[()]

    try:
        with h5py.File(path) as file:
            config = json.loads(file.attrs["model_config"])
            file["model_weights"].visititems(collect)
        layers = [layer for layer in _flatten(config) if layer["class_name"] != "InputLayer"]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            "not a Keras model",
            path=path,
            expected="an HDF5 file with model_config and model_weights",
            found=str(error),
            hint=f"the published files are at {_PUBLIC_HOME}, folder models/encoders_patches_pathology",
        ) from error
    return layers, arrays


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
    settings = [layer["config"] for layer in layers]
    fits = kinds == EXPECTED and all(
        config.get("padding", "valid") == "valid"
        and tuple(config.get("kernel_size", (3, 3))) == (3, 3)
        and tuple(config.get("strides", (2, 2))) == (2, 2)
        and np.isclose(config.get("alpha", 0.2), 0.2)
        and np.isclose(config.get("epsilon", 1e-3), 1e-3)
        and config.get("activation", "linear") == "linear"
        for config in settings
    )
    if not fits:
        raise WeightsError(
            "this Keras model is another network than the published encoders",
            path=path,
            expected="4 x (Conv2D 3 x 3 stride 2 valid, LeakyReLU 0.2, BatchNormalization), Flatten, Dense",
            found=", ".join(kinds) or "no layers",
        )


def _to_network(
    layers: list[dict[str, Any]], arrays: dict[str, np.ndarray], path: Path
) -> dict[str, np.ndarray]:
    """Name and order the arrays as :class:`~napari_nic.encoders.networks.NicEncoderNet` has them."""
    state: dict[str, np.ndarray] = {}
    renamed = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
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
                for theirs, ours in renamed.items():
                    state[f"norms.{counts[kind]}.{ours}"] = arrays[f"{name}/{theirs}"]
                counts[kind] += 1
            elif kind == "Dense":
                # Both flatten in (row, column, channel) order, so the matrix is only transposed.
                state["code.weight"], state["code.bias"] = arrays[f"{name}/kernel"].T, arrays[f"{name}/bias"]
    except KeyError as error:
        raise WeightsError("weights are missing from the Keras model", path=path, found=str(error)) from error
    return {name: np.ascontiguousarray(value, np.float32) for name, value in state.items()}


def _card(spec: EncoderSpec) -> str:
    return f"""# {spec.name}

{spec.summary} C = {spec.code_size}; patches of {spec.patch_size} px at {spec.mpp} um/px, averaged to
{spec.input_size} px.

Licence: {spec.licence}. Citation: {spec.citation}.

How the weights were trained is described in that paper; napari-nic only changed the file format.
Research use only; not for diagnosis.
"""
