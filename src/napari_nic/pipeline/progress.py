"""What a compression tells while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from napari_nic.jobs import Progress
from napari_nic.pipeline.plan import Block

RATE_SECONDS = 5.0
"""The rate shown is the mean over this last time."""


@dataclass(frozen=True)
class BlockCodes:
    """One finished block.

    Attributes
    ----------
    block : Block
    rows, cols : slice
        Its cells.
    codes : ndarray of float16, (rows, cols, C)
        Zero where a cell is not covered, or failed.
    failed : ndarray of bool, (rows, cols)
        Cells whose patches touch a tile that cannot be read.
    """

    block: Block
    rows: slice
    cols: slice
    codes: np.ndarray
    failed: np.ndarray


@dataclass(frozen=True)
class BlocksDone(Progress):
    """Progress of a compression, with the codes that have just been stored.

    Attributes
    ----------
    blocks : tuple of BlockCodes
    rate : float
        Patches per second over the last seconds; 0 before the first block.
    failed : int
        Patches of `done` that hold no code, since a tile of theirs cannot be read.
    """

    unit: str = "patches"
    blocks: tuple[BlockCodes, ...] = ()
    rate: float = 0.0
    failed: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time to the end; None while no rate is known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


class RateMeter:
    """Patches per second over the last seconds."""

    def __init__(self) -> None:
        self._events = [(time.monotonic(), 0)]

    def add(self, count: int) -> float:
        """Count patches that have just been stored; return the rate."""
        now = time.monotonic()
        self._events.append((now, count))
        while len(self._events) > 2 and self._events[1][0] < now - RATE_SECONDS:
            self._events.pop(0)
        elapsed = now - self._events[0][0]
        return sum(n for _, n in self._events[1:]) / elapsed if elapsed > 0 else 0.0
