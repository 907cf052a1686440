"""Weights of networks as named arrays of float32, those of the synthesis apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from napari_nic.recompression.neural.arrays import Array, Arrays
from napari_nic.recompression.neural.nets import CompressionNet

SYNTHESIS = "g_s."


def synthesis_arrays(synthesis: nn.Module) -> Arrays:
    """Return the weights of a synthesis, as the network that it is of names them."""
    return _arrays({SYNTHESIS + name: value for name, value in synthesis.state_dict().items()})


def encoder_arrays(net: CompressionNet) -> Arrays:
    """Return all weights but those of the synthesis."""
    state = net.state_dict()
    return _arrays({name: value for name, value in state.items() if not name.startswith(SYNTHESIS)})


def tensors(arrays: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """Return arrays as tensors of their own."""
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def _arrays(state: Mapping[str, torch.Tensor]) -> Arrays:
    return {name: value.detach().float().cpu().contiguous().numpy() for name, value in state.items()}
