"""What a patch costs an encoder: multiply-adds, counted from the network; only imported with PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_nic.encoders.networks import NETWORKS, get_architecture
from napari_nic.encoders.spec import Encoder

COUNTED = frozenset({*NETWORKS, "timm", "torch-export"})
"""Architectures whose every layer PyTorch sees; what runs inside another program cannot be counted."""


def architecture_cost(name: str, code_size: int) -> int:
    """Return the multiply-adds of a patch of one of our architectures.

    Raises
    ------
    WeightsError
        If the architecture is unknown.
    """
    architecture = get_architecture(name)
    with torch.random.fork_rng([]):  # nobody else's random numbers are used up
        net = architecture.build(code_size).eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        net(torch.zeros(1, 3, architecture.input_size, architecture.input_size))
    return counter.get_total_flops() // 2


def encoder_cost(encoder: Encoder) -> int | None:
    """Return the multiply-adds of a patch: of convolutions, matrix products and attention.

    Parameters
    ----------
    encoder : Encoder
        It encodes one full batch.

    Returns
    -------
    int or None
        None for a network that PyTorch does not see into (TorchScript, ONNX), or that has none.
    """
    spec = encoder.spec
    if spec.architecture not in COUNTED:
        return None
    count = encoder.batch_size
    counter = FlopCounterMode(display=False)
    with counter:
        encoder.encode(np.zeros((count, spec.input_size, spec.input_size, 3), np.uint8))
    return counter.get_total_flops() // 2 // count
