"""Which values of a channel are shown as black, and which in full colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_nic.slides.model import ChannelSource

SHARES = 0.1, 99.9
"""Percentiles of the values that become black and full colour, where the file states none."""

SAMPLE_PIXELS = 2**22
"""Pixels of the coarsest level that are looked at, at most: evenly spread tiles of a larger one."""

Window = tuple[float, float]

_CAMERA_BITS = (8, 10, 12, 14)


def measure_windows(source: ChannelSource, channels: Sequence[int]) -> tuple[Window, ...]:
    """Take the windows of some channels from the file's coarsest level, in bounded time.

    Returns
    -------
    tuple of (float, float)
        The 0.1th and the 99.9th percentile of each channel; the same every time.

    Raises
    ------
    DamagedSlideError
        If a tile cannot be decoded.
    """
    found: list[list[npt.NDArray[Any]]] = [[] for _ in channels]
    for pixels in _sample(source, channels):
        for place in range(len(channels)):
            values = pixels[..., place].ravel()
            found[place].append(values[np.isfinite(values)])
    return tuple(_window(np.concatenate(values) if values else np.zeros(1)) for values in found)


def _sample(source: ChannelSource, channels: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    index = len(source.info.levels) - 1
    level = source.info.levels[index]
    rows, cols = level.tile_grid
    step = max(1, math.ceil(math.sqrt(level.height * level.width / SAMPLE_PIXELS)))
    # Of a grid that is thinned out the middle is kept: its rim is glass.
    for row in range(min(step // 2, rows // 2), rows, step):
        for col in range(min(step // 2, cols // 2), cols, step):
            pixels = source.read_channels(index, row, col, channels)
            if pixels is not None:
                yield pixels


def _window(values: npt.NDArray[Any]) -> Window:
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, SHARES))
    return (low, high) if high > low else (low, low + 1.0)


def camera_bits(highest: int) -> int:
    """Return 8, 10, 12 or 14 where the largest sample says that a camera gave no more bits; else 16."""
    return next((bits for bits in _CAMERA_BITS if 0 < highest < 2**bits), 16)


def tell_bits(highest: int, bits: int) -> str:
    """Return what the user must be told of bits that were guessed."""
    return f"samples have 16 bits, but their values end at {highest}: shown as samples of {bits} bits"
