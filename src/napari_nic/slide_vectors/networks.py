"""Slide encoders in files of their own, as functions of arrays; only imported when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nic.encoders.external.file_models import (
    ModelFile,
    load_exported,
    load_torchscript,
    onnx_errors,
    onnx_session,
)
from napari_nic.encoders.external.network_encoder import RUN_ERRORS
from napari_nic.encoders.external.onnx_files import external_files
from napari_nic.encoders.external.trust import read_file
from napari_nic.errors import WeightsError
from napari_nic.slide_vectors.forms import InputForm

_ONNX_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "int64": "tensor(int64)"}
_MESSAGE = 300


@dataclass(frozen=True, eq=False)
class SlideNetwork:
    """A network that is ready to run on a slide's codes.

    Attributes
    ----------
    run : callable
        From the arrays that the form names, in order, to whatever the network gives.
    errors : tuple of type
        What it raises where its input does not fit.
    width : int or None
        C of the codes that it takes, where its file says so.
    """

    run: Callable[[Sequence[np.ndarray]], Any]
    errors: tuple[type[Exception], ...]
    width: int | None = None


def open_network(kind: str, model: ModelFile, form: InputForm, *, device: str) -> SlideNetwork:
    """Open a slide encoder's file on a device; that it may run is the caller's business.

    Parameters
    ----------
    kind : {"torchscript", "torch-export", "onnx"}
    model : ModelFile
    form : InputForm
    device : str

    Raises
    ------
    WeightsError
        If the file is none of its kind, or takes another number of inputs than the form names.
    MissingDependencyError, DeviceError
        Of ONNX.
    """
    return {"torchscript": _torchscript, "torch-export": _exported, "onnx": _onnx}[kind](model, form, device)


def _torchscript(model: ModelFile, form: InputForm, device: str) -> SlideNetwork:  # noqa: ARG001 - all alike
    return SlideNetwork(_on_tensors(load_torchscript(model, device=device), device), RUN_ERRORS)


def _exported(model: ModelFile, form: InputForm, device: str) -> SlideNetwork:
    program = load_exported(model, device=device)
    names = program.graph_signature.user_inputs
    _check_count(len(names), form, model.file, f"{len(names)}: {', '.join(map(str, names))}")
    shapes = {node.name: node.meta["val"].shape for node in program.graph.nodes if node.name in names}
    width = _whole(shapes.get(str(names[form.inputs.index("features")]), ()))
    return SlideNetwork(_on_tensors(program.module(), device), RUN_ERRORS, width)


def _on_tensors(run: Callable[..., Any], device: str) -> Callable[[Sequence[np.ndarray]], Any]:
    def call(arrays: Sequence[np.ndarray]) -> Any:
        """Run the network on arrays."""
        with torch.inference_mode():
            return run(*(torch.from_numpy(np.asarray(array)).to(device) for array in arrays))

    return call


def _onnx(model: ModelFile, form: InputForm, device: str) -> SlideNetwork:
    file = model.file
    external_files(read_file(file), file)
    session = onnx_session(file, device)
    inputs = session.get_inputs()
    _check_count(len(inputs), form, file, f"{len(inputs)}: {', '.join(one.name for one in inputs)}")
    for name, one in zip(form.inputs, inputs, strict=True):
        _check_type(name, one, form, file)
    names = [one.name for one in inputs]
    outputs = [one.name for one in session.get_outputs()]

    def run(arrays: Sequence[np.ndarray]) -> Any:
        """Run the graph on arrays; its outputs by name."""
        fed = dict(zip(names, arrays, strict=True))
        return dict(zip(outputs, session.run(outputs, fed), strict=True))

    return SlideNetwork(run, onnx_errors(), _whole(inputs[form.inputs.index("features")].shape))


def _check_type(name: str, one: Any, form: InputForm, file: Path) -> None:
    wanted = {"features": form.dtype, "coords": form.type_of_coords, "patch_size": "int64"}[name]
    if one.type != _ONNX_TYPES[wanted]:
        raise WeightsError(
            f"the slide encoder takes {name} of another type than it would be given",
            path=file,
            expected=f"{_ONNX_TYPES[wanted]}, as stated or assumed",
            found=f"{one.name} {one.type}",
            hint="state what it takes in the JSON file beside it (its inputs, their types)",
        )


def _check_count(count: int, form: InputForm, file: Path, found: str) -> None:
    if count != len(form.inputs):
        raise WeightsError(
            "the slide encoder takes another number of inputs than it would be given",
            path=file,
            expected=f"{len(form.inputs)}: {form.said()}",
            found=found,
            hint="say what it takes, in its order (--inputs)",
        )


def _whole(shape: Sequence[Any]) -> int | None:
    last = shape[-1] if len(shape) else None
    return last if isinstance(last, int) else None


def vector_of(given: Any, output: str | int | None, file: Path) -> np.ndarray:
    """Take the slide's vector from what a network gave.

    Parameters
    ----------
    given : Tensor, ndarray, or a sequence or mapping of them
    output : str, int or None
        Which of several.
    file : Path
        Named in errors.

    Returns
    -------
    ndarray of float32, (D,)

    Raises
    ------
    WeightsError
        If there are several and none is chosen, there is no such one, or it is no vector of one slide.
    """
    chosen = _chosen(given, output, file)
    values = chosen.detach().float().cpu().numpy() if isinstance(chosen, torch.Tensor) else chosen
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise WeightsError("the slide encoder gives no numbers", path=file, found=type(chosen).__name__)
    if values.ndim == 0 or values.size != values.shape[-1] or not values.size:
        raise WeightsError(
            "the slide encoder gives no single vector",
            path=file,
            expected="(D,) or (1, D)",
            found=f"shape {values.shape}",
            hint="where it gives several things, say which is the vector (--output)",
        )
    flat = np.asarray(values, np.float32).ravel()
    if not np.isfinite(flat).all():
        raise WeightsError("the slide encoder gives numbers that are not finite", path=file)
    return flat


def _chosen(given: Any, output: str | int | None, file: Path) -> Any:
    if isinstance(given, Mapping):
        named = {str(name): value for name, value in given.items()}
    elif isinstance(given, list | tuple):
        named = {str(number): value for number, value in enumerate(given)}
    else:
        named = {"0": given}
    keys = list(named)
    if output is None and len(keys) == 1:
        return named[keys[0]]
    if isinstance(output, int) and output < len(keys):
        return named[keys[output]]
    if output is not None and str(output) in named:
        return named[str(output)]
    raise WeightsError(
        "which output of the slide encoder is the vector is not said" if output is None else "no such output",
        path=file,
        expected=f"one of {', '.join(keys)}"[:_MESSAGE],
        found=None if output is None else str(output),
        hint="say it (--output)",
    )
