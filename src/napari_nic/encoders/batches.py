"""Batches as large as a device's memory takes; only imported with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from napari_nic.encoders.spec import Encoder
from napari_nic.errors import DeviceError


def fitting_batches(
    encoder: Encoder, patches: np.ndarray, forward: Callable[[np.ndarray], np.ndarray], *, least: int = 1
) -> Iterator[np.ndarray]:
    """Run patches through a network batch by batch; where memory runs out, batches are halved from then on.

    Parameters
    ----------
    encoder : Encoder
        Its ``batch_size`` is where batches begin, and is lowered when the device runs out of memory.
    patches : ndarray of uint8, (n, s, s, 3)
    forward : callable
        From at most ``batch_size`` patches to their codes.
    least : int
        Smallest batch that the network takes.

    Yields
    ------
    ndarray
        Codes of the next patches, in order.

    Raises
    ------
    DeviceError
        If not even the smallest batch fits into the device's memory.
    """
    start = 0
    while start < len(patches):
        part = patches[start : start + encoder.batch_size]
        codes = _forward(encoder, part, forward, least)
        if codes is None:
            # Here, where the error and all that its traceback held are gone.
            torch.cuda.empty_cache()
            encoder.batch_size = max(len(part) // 2, least)
            continue
        start += len(part)
        yield codes


def _forward(
    encoder: Encoder, patches: np.ndarray, forward: Callable[[np.ndarray], np.ndarray], least: int
) -> np.ndarray | None:
    """Return the codes of a batch; None if a smaller one may fit."""
    try:
        return forward(patches)
    except torch.cuda.OutOfMemoryError as error:
        if len(patches) > least:
            return None
        what = "a single patch" if len(patches) == 1 else f"a batch of {len(patches)} patches"
        raise DeviceError(
            f"{encoder.device} is out of memory even for {what}",
            hint="close other programs that use the GPU, or use --device cpu",
        ) from error
