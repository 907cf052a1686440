"""Which device and precision to use; torch is imported when asked."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from napari_nic.errors import DeviceError, InvalidParameterError

PRECISIONS = ("float32", "bfloat16")

LEAST_GAIN = 1.2
"""Times as fast that bfloat16 must be to be worth its rounding."""

TRIES = 5


def choose_device(device: str = "auto") -> str:
    """Resolve ``"auto"`` to the fastest device at hand, and check one that was named.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises
    ------
    DeviceError
        If the device named is not there.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return "cpu"
    if kind == "cuda" and torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count():
        return f"cuda:{index or 0}"
    if kind == "mps" and torch.backends.mps.is_available():
        return "mps"
    raise DeviceError(
        f"device {device!r} is not available",
        expected="auto, cpu, cuda or mps",
        found=f"{torch.cuda.device_count()} CUDA devices, PyTorch {torch.__version__}",
        hint="use --device cpu, or install a driver and a PyTorch build for your GPU",
    )


def choose_precision(precision: str, device: str) -> str:
    """Resolve ``"auto"``: bfloat16 where the device computes it natively and faster, float32 elsewhere.

    Raises
    ------
    InvalidParameterError
        If the name is not known.

    Notes
    -----
    Some processors have the instructions and are slower with them, so a processor is tried: once in a
    process, for some hundredths of a second.
    """
    if precision != "auto":
        if precision not in PRECISIONS:
            raise InvalidParameterError(
                f"unknown precision {precision!r}", expected=f"auto, {', '.join(PRECISIONS)}"
            )
        return precision
    return "bfloat16" if _has_bfloat16(device) else "float32"


def _has_bfloat16(device: str) -> bool:
    import torch

    if device == "cpu":
        # oneDNN emulates bfloat16 on older processors, several times slower than float32.
        has_it = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return bool(has_it) and _bfloat16_gain() > LEAST_GAIN
    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def one_kernel_thread() -> Iterator[None]:
    """Let each kernel of PyTorch run in the thread that calls it, and come out the same in each.

    As workers run, see :meth:`~napari_nic.encoders.torch_encoder.TorchEncoder.prepare_thread`.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@functools.cache
def _bfloat16_gain() -> float:
    """Return how many times as fast this processor computes a convolution in bfloat16 as in float32."""
    import torch

    seconds = {torch.float32: math.inf, torch.bfloat16: math.inf}
    with torch.inference_mode(), one_kernel_thread():
        for _ in range(TRIES):  # in turns, so that a busy machine slows both
            for dtype, best in seconds.items():
                # As in an encoder's middle: 64 channels, 0.3 GMAC.
                layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
                pixels = torch.zeros(8, 64, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
                started = time.perf_counter()
                layer(pixels)
                seconds[dtype] = min(best, time.perf_counter() - started)
    return seconds[torch.float32] / seconds[torch.bfloat16]
