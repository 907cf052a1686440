"""Features in PyTorch's files: one tensor, mapped and not read, and no pickled program."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.disk import check_regular
from napari_nic.embeddings.interchange.table import Rows, no_patches_but_a_slide
from napari_nic.errors import StoreError
from napari_nic.names import TENSOR_SUFFIXES, has_suffix

if TYPE_CHECKING:
    import torch

MOST_GROWTH = 2**20
"""An archive may unpack to so many bytes more than it holds: PyTorch stores tensors as they are."""

_UNREADABLE = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, OSError, EOFError, MemoryError),
    *(RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError),
)
"""What PyTorch raises on what is none of its files, or holds more than tensors."""


def is_tensor_file(path: Path) -> bool:
    """Whether a file is called and begins like one of PyTorch's; cheap, and loads nothing."""
    if not has_suffix(path, *TENSOR_SUFFIXES):
        return False
    try:
        check_regular(path, StoreError)
        with path.open("rb") as file:
            return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05")
    except (OSError, StoreError):
        return False


def open_tensor(path: Path) -> Rows:
    """Open a file that holds one tensor of features, without reading them.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Rows
        (N, C); a batch of one, (1, N, C), is taken as such. bfloat16 is given as float32.

    Raises
    ------
    StoreError
        If the file holds anything but numbers, or one vector of a whole slide.
    """
    found = _load(path)
    tensor = found[0] if found.ndim == 3 and found.shape[0] == 1 else found
    if tensor.ndim == 1:
        raise no_patches_but_a_slide(path, tuple(tensor.shape))
    if tensor.ndim != 2:
        raise StoreError("the tensor is no table of features", path=path, found=f"shape {tuple(found.shape)}")
    return _TensorRows(tensor)


def open_vector(path: Path) -> np.ndarray:
    """Read a file that holds one vector of a whole slide, (D,) or (1, D): ndarray of float32, (D,).

    Raises
    ------
    StoreError
        If it holds anything else.
    """
    found = _load(path)
    if found.ndim == 0 or found.numel() != found.shape[-1]:
        raise StoreError(
            "the tensor is no vector of a whole slide", path=path, found=f"shape {tuple(found.shape)}"
        )
    values: np.ndarray = found.flatten().float().numpy()
    return values


def _load(path: Path) -> torch.Tensor:
    import torch  # only these formats need it

    check_regular(path, StoreError)
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how the file was written, which the user cannot change
            found: Any = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except StoreError:
        raise
    except _UNREADABLE as error:
        raise _refusal(path, error) from error
    if not isinstance(found, torch.Tensor):
        raise _no_tensor(path, _described(found))
    is_whole = found.layout == torch.strided and found.device.type == "cpu" and not found.is_quantized
    if not is_whole or found.numel() * found.element_size() > found.untyped_storage().nbytes():
        raise _no_tensor(path, "a tensor that is not stored in full")
    if found.is_complex() or not (found.is_floating_point() or _is_integer(found)):
        raise _no_tensor(path, f"numbers of type {found.dtype}")
    return found.detach()


def _is_integer(tensor: torch.Tensor) -> bool:
    return str(tensor.dtype) in ("torch.int8", "torch.uint8", "torch.int16", "torch.int32", "torch.int64")


def _check_archive(path: Path) -> None:
    """Refuse an archive that is mapped as something else than it is: packed, or a program.

    Raises
    ------
    StoreError
    ValueError
        If it unpacks to far more than it holds.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.filename.endswith("/constants.pkl") or "/code/" in entry.filename for entry in entries):
        raise _no_tensor(path, "a program for a network (TorchScript)")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _no_tensor(path, "an archive whose numbers are packed, as PyTorch never writes them")
    total = sum(entry.file_size for entry in entries)
    if total > path.stat().st_size + MOST_GROWTH:
        raise ValueError(f"an archive that unpacks to {total:,} bytes")


def _refusal(path: Path, error: Exception) -> StoreError:
    text = str(error)
    if "numpy" in text:
        return StoreError(
            "pickled NumPy, which is not opened: it may hold a program",
            path=path,
            expected="a tensor of PyTorch",
            found="an array of NumPy, as TRIDENT writes its .pt files",
            hint="import the .h5 of the same slide; TRIDENT writes it by default",
        )
    first = text.splitlines()[0][:200] if text else type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        first = "more than numbers, which is not opened since it may hold a program, or a damaged file"
    return StoreError("not a readable tensor of PyTorch", path=path, found=first)


def _no_tensor(path: Path, found: str) -> StoreError:
    return StoreError(
        "the file holds no tensor of features", path=path, expected="(N, C) numbers", found=found
    )


def _described(found: object) -> str:
    """Say what a file holds instead of a tensor."""
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    shown = ", ".join(str(key)[:40] for key in list(found)[:6])
    more = ", ..." if len(found) > 6 else ""
    is_state = len(found) > 0 and all(isinstance(key, str) and hasattr(found[key], "shape") for key in found)
    kind = "tensors by name, as weights of a network" if is_state else "values by name"
    return f"{kind}: {shown}{more}"


class _TensorRows:
    """A tensor (N, C) read as NumPy, slab by slab."""

    def __init__(self, tensor: torch.Tensor) -> None:
        import torch

        self._tensor = tensor
        self._is_odd = tensor.dtype not in (torch.float16, torch.float32, torch.float64) and (
            tensor.is_floating_point()
        )  # NumPy has no bfloat16
        self.shape = tuple(tensor.shape)
        self.dtype = np.dtype(np.float32) if self._is_odd else tensor[:0].numpy().dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        part = self._tensor[rows]
        return np.asarray((part.float() if self._is_odd else part).numpy())
