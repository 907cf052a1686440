"""Networks that come as one file: TorchScript, torch.export, ONNX.

TorchScript and torch.export files hold a program, and running one means to trust whoever made it: callers
ask :mod:`.trust` first, and hand over the bytes that it compared. An ONNX file holds a graph of known
operations and cannot do more than compute.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from napari_nic.encoders.external.archives import (
    EXPORTED,
    TORCHSCRIPT,
    check_torchscript,
    unreadable,
    without_pickles,
)
from napari_nic.encoders.external.network_encoder import GPU_BATCH, Network
from napari_nic.encoders.external.onnx_files import external_files
from napari_nic.encoders.external.trust import read_file
from napari_nic.errors import DeviceError, WeightsError
from napari_nic.extras import require

MESSAGE = 500
"""Characters of a library's message that are shown; some quote whole programs."""

FLOAT_INPUT = "tensor(float)"


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model's file, and its bytes where they run as a program.

    Attributes
    ----------
    file : Path
        Names it in errors; of ONNX the file itself is opened.
    content : bytes
        Of a program: what the user let run. The file is not read again.
    """

    file: Path
    content: bytes = b""


def open_torchscript(model: ModelFile, *, device: str, output: str | None = None) -> Network:
    """Open a TorchScript module.

    Raises
    ------
    WeightsError
        If the file is none.
    """
    run = load_torchscript(model, device=device)
    _check_no_output(output, model.file)
    return Network(run, device)


def load_torchscript(model: ModelFile, *, device: str) -> Callable[..., Any]:
    """Load a TorchScript module as a function of tensors on the device.

    Raises
    ------
    WeightsError
        If the file is none.
    """
    file = model.file
    check_torchscript(model.content, file)
    try:
        with warnings.catch_warnings():
            # PyTorch asks makers of such files to change over to torch.export; readers cannot.
            warnings.filterwarnings("ignore", ".*torch.jit.* is deprecated", FutureWarning)
            module = torch.jit.load(io.BytesIO(model.content), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise _unreadable(file, TORCHSCRIPT, error) from error

    def run(*inputs: torch.Tensor) -> Any:
        """Run the program."""
        # Without profiling runs, the first call computes what all others do.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined] # torch lists no names
            return module(*inputs)

    return run


def open_exported(model: ModelFile, *, device: str, output: str | None = None) -> Network:
    """Open a program of torch.export; pickles in it are never run, see :mod:`.archives`.

    Raises
    ------
    WeightsError
        If the file is none, or its program does not take one batch of pictures.
    """
    _check_no_output(output, model.file)
    program = load_exported(model, device=device)
    least, most = _batch_range(program, model.file)
    return Network(program.module(), device, least_batch=least, most_batch=most)


def load_exported(model: ModelFile, *, device: str) -> torch.export.ExportedProgram:
    """Load a program of torch.export for a device; pickles in it are never run.

    Raises
    ------
    WeightsError
        If the file is none.
    """
    plain = without_pickles(model.content, model.file)
    try:
        with _quiet("torch.export", "torch.export.pt2_archive._package"):
            program = torch.export.load(plain)
    except _EXPORT_ERRORS as error:
        raise _unreadable(model.file, EXPORTED, error) from error
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program


_EXPORT_ERRORS = (
    RuntimeError,
    ValueError,
    OSError,
    LookupError,
    AssertionError,
    TypeError,
    AttributeError,
    SyntaxError,
)
"""What torch.export.load raises for a file that is not what it expects."""


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep loggers from printing tracebacks of what is raised as an error as well."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was


def _batch_range(program: torch.export.ExportedProgram, file: Path) -> tuple[int, int]:
    """Return the smallest and largest batch that a program takes."""
    inputs = program.graph_signature.user_inputs
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise WeightsError(
            "the program does not take one batch of pictures",
            path=file,
            expected="one input (B, 3, s, s)",
            found=f"inputs {', '.join(str(tuple(shape)) for shape in shapes) or 'none'}",
        )
    size = shapes[0][0]
    if isinstance(size, int):
        return size, size
    found = program.range_constraints.get(size.node.expr)
    if found is None:
        return 1, GPU_BATCH
    return max(1, int(found.lower)), GPU_BATCH if found.upper > GPU_BATCH else int(found.upper)


def open_onnx(model: ModelFile, *, device: str, output: str | None = None) -> Network:
    """Open an ONNX graph.

    Raises
    ------
    MissingDependencyError
        If onnxruntime is not installed.
    WeightsError
        If the file is none, or its graph does not take one batch of pictures.
    DeviceError
        If the device is not the CPU and onnxruntime was not built for it.
    """
    file = model.file
    external_files(read_file(file), file)
    session = onnx_session(file, device)
    (least, most), name = _onnx_input(session, file)
    wanted = [onnx_output(session, file, output)]

    errors = onnx_errors()

    def run(pixels: torch.Tensor) -> torch.Tensor:
        """Run the graph on normalised pixels, (B, 3, s, s) float32."""
        array = pixels.contiguous().cpu().numpy()
        try:
            return torch.from_numpy(session.run(wanted, {name: array})[0])
        except errors as error:
            raise WeightsError(
                "the ONNX graph failed",
                path=file,
                found=str(error)[:MESSAGE],
                hint="does it take patches of this size? (--input-size)",
            ) from error

    return Network(run, device, least_batch=least, most_batch=most)


def onnx_session(file: Path, device: str) -> Any:
    """Open an ONNX graph with onnxruntime.

    Raises
    ------
    MissingDependencyError, WeightsError, DeviceError
    """
    runtime = require("onnxruntime", "ONNX files")
    provider: Any = "CPUExecutionProvider"
    if device.startswith("cuda"):
        provider = ("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)})
    if device != "cpu" and (
        device == "mps" or "CUDAExecutionProvider" not in runtime.get_available_providers()
    ):
        raise DeviceError(
            f"ONNX files cannot run on {device} here",
            found=f"onnxruntime with {', '.join(runtime.get_available_providers())}",
            hint="use --device cpu, or install onnxruntime-gpu",
        )
    options = runtime.SessionOptions()
    # The pipeline runs one session from as many threads as there are cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; they are raised as well
    try:
        return runtime.InferenceSession(str(file), options, providers=[provider])
    except onnx_errors() as error:
        raise _unreadable(file, "an ONNX graph, with its data file beside it if it has one", error) from error


def onnx_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises; its errors have no common base."""
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )


def _onnx_input(session: Any, file: Path) -> tuple[tuple[int, int], str]:
    """Return the range of batches, and the input's name."""
    inputs = session.get_inputs()
    fits = len(inputs) == 1 and inputs[0].type == FLOAT_INPUT and len(inputs[0].shape) == 4
    if not fits or (isinstance(inputs[0].shape[1], int) and inputs[0].shape[1] != 3):
        raise WeightsError(
            "the graph does not take one batch of pictures",
            path=file,
            expected=f"one input (B, 3, s, s), {FLOAT_INPUT}",
            found="; ".join(f"{one.name} {one.shape} {one.type}" for one in inputs) or "none",
        )
    size = inputs[0].shape[0]
    return ((size, size) if isinstance(size, int) else (1, GPU_BATCH)), inputs[0].name


def onnx_output(session: Any, file: Path, output: str | None) -> str:
    """Return the name of the output that holds the codes; raises WeightsError where it is not clear."""
    names = [one.name for one in session.get_outputs()]
    chosen = output or names[0]
    if chosen not in names or (output is None and len(names) > 1):
        raise WeightsError(
            "which output of the graph holds the codes is not said" if output is None else "no such output",
            path=file,
            expected=f"one of {', '.join(names)}",
            found=output,
            hint='state it in the JSON file beside the model: "output": "NAME"',
        )
    return chosen


def _check_no_output(output: str | None, file: Path) -> None:
    if output is not None:
        raise WeightsError("only ONNX files have outputs by name", path=file, found=output)


def _unreadable(file: Path, expected: str, error: Exception) -> WeightsError:
    return unreadable(file, expected, str(error)[:MESSAGE] or type(error).__name__)


OPENERS: dict[str, Callable[..., Network]] = {
    "torchscript": open_torchscript,
    "torch-export": open_exported,
    "onnx": open_onnx,
}
"""By architecture: ``open(file, device=..., output=...)``."""
