"""Files of weights: read them, and put them into the network that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from napari_nic.errors import WeightsError


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Read arrays by name from safetensors, or from a PyTorch file, where only tensors are unpickled.

    Raises
    ------
    WeightsError
        If the file holds anything else.
    """
    from pickle import UnpicklingError  # only the error's name: nothing is unpickled here

    try:
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise WeightsError(
            "the weights cannot be read",
            path=file,
            expected="safetensors (or a PyTorch file that holds tensors alone)",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError("not a file of weights", path=file, expected="arrays by name")
    return dict(state)


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
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(set(expected.items()) ^ set(found.items()))
    if wrong:
        name = wrong[0][0]
        raise WeightsError(
            "the weights are those of another network",
            path=source,
            expected=f"{len(expected)} arrays; {name} {expected.get(name, 'is not one of them')}",
            found=f"{len(found)} arrays; {name} {found.get(name, 'is missing')}",
        )
    net.load_state_dict(dict(state))
