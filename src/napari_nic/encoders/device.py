"""Which device and precision to use; torch is imported when asked."""

from __future__ import annotations

from napari_nic.errors import DeviceError, InvalidParameterError

PRECISIONS = ("float32", "bfloat16")


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
    """Resolve ``"auto"``: bfloat16 where the device computes it natively, float32 elsewhere.

    Raises
    ------
    InvalidParameterError
        If the name is not known.
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
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
