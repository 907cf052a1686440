"""Files of weights: read them, and put them into the network that they belong to."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # only the error's name: nothing is unpickled here
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from napari_nic.disk import check_regular
from napari_nic.errors import WeightsError

MOST_GROWTH = 64 << 20
"""Bytes by which the members of an archive may be larger than the archive."""


UNPICKLING_ERRORS = (
    UnpicklingError,
    RuntimeError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    OverflowError,
    struct.error,
    MemoryError,
)
"""What ``torch.load`` raises for a file that is damaged or holds more than tensors."""


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Read arrays by name from safetensors, or from a PyTorch file, where only tensors are unpickled.

    Raises
    ------
    WeightsError
        If the file holds anything else, or numbers that are not finite.
    """
    check_regular(file, WeightsError)
    try:
        if file.suffix == ".safetensors":
            state: Any = dict(load_file(file))
        else:
            _check_size(file)
            state = load_tensors(file)
    except (SafetensorError, *UNPICKLING_ERRORS) as error:
        raise WeightsError(
            "the weights cannot be read",
            path=file,
            expected="safetensors (or a PyTorch file that holds tensors alone)",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
        ) from error
    if (
        not isinstance(state, Mapping)
        or not all(isinstance(name, str) for name in state)
        or not all(_is_plain(value) for value in state.values())
    ):
        raise WeightsError("not a file of weights", path=file, expected="arrays by name")
    check_finite(state, file)
    return dict(state)


def load_tensors(source: Path | BinaryIO) -> Any:
    """Unpickle tensors and plain containers, and nothing else; raises :data:`UNPICKLING_ERRORS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how the file was written, which the user cannot change
        return torch.load(source, map_location="cpu", weights_only=True)


def check_finite(state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Raise :class:`WeightsError` if an array holds NaN or infinity: its codes would mean nothing."""
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(
                "the weights hold numbers that are not finite",
                path=file,
                expected="finite numbers",
                found=f"NaN or infinity in {name}",
                hint="the training failed, or the file is damaged: get it again",
            )


def _is_plain(value: Any) -> bool:
    """Whether a value is a tensor with all its numbers in memory: a view may state far more than there is."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _check_size(file: Path) -> None:
    """Raise ValueError if an archive unpacks to far more than it holds; PyTorch stores arrays as they are."""
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    if total > file.stat().st_size + MOST_GROWTH:
        raise ValueError(f"an archive that unpacks to {total:,} bytes")


def without_classifier(state: Mapping[str, torch.Tensor], classifier: Any) -> dict[str, torch.Tensor]:
    """Drop the arrays of the layer that is cut off, named by timm's ``classifier`` entry."""
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    heads = tuple(f"{name}." for name in names)
    return {name: value for name, value in state.items() if not (heads and name.startswith(heads))}


def fill(net: nn.Module, state: Mapping[str, torch.Tensor], source: Path) -> None:
    """Load arrays into a network.

    Raises
    ------
    WeightsError
        If they are not exactly the network's.
    """
    compare_shapes(shapes_of(net.state_dict()), shapes_of(state), source)
    net.load_state_dict(dict(state))


Shapes = dict[str, tuple[int, ...]]


def shapes_of(state: Mapping[str, torch.Tensor]) -> Shapes:
    """Return the shapes of arrays by name."""
    return {name: tuple(value.shape) for name, value in state.items()}


def array_shapes(file: Path) -> Shapes:
    """Return the shapes of a safetensors file by name, from its header alone.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    check_regular(file, WeightsError)
    try:
        with safe_open(file, framework="pt") as content:
            names = list(content.keys())
            return {name: tuple(content.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            "the weights cannot be read", path=file, expected="safetensors", found=str(error)
        ) from error


def compare_shapes(expected: Shapes, found: Shapes, source: Path) -> None:
    """Raise :class:`WeightsError` unless arrays are exactly a network's."""
    wrong = sorted(set(expected.items()) ^ set(found.items()))
    if wrong:
        name = wrong[0][0]
        raise WeightsError(
            "the weights are those of another network",
            path=source,
            expected=f"{len(expected)} arrays; {name} {expected.get(name, 'is not one of them')}",
            found=f"{len(found)} arrays; {name} {found.get(name, 'is missing')}",
        )
