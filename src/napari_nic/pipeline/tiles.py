"""Decoded tiles that several strips share: each is decoded once and dropped after its last use."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import numpy as np

TilePosition = tuple[int, int]

DEFAULT_BUDGET = 256 * 2**20
"""Bytes of decoded tiles kept for later strips; past it the oldest are dropped and decoded again."""


class TilePool:
    """Hand decoded tiles to worker threads.

    Parameters
    ----------
    decode : callable
        ``decode(tile_row, tile_col) -> ndarray (h, w, 3) uint8``, safe to call from several threads.
    uses : Counter
        How often each tile will be asked for.
    budget : int
        Bytes that may be held.

    Notes
    -----
    The lock is held for bookkeeping only, never while decoding. A thread that asks for a tile that another
    thread is decoding waits for that thread's Future; the decoder always settles or cancels it.
    """

    def __init__(
        self,
        decode: Callable[[int, int], np.ndarray],
        uses: Counter[TilePosition],
        *,
        budget: int = DEFAULT_BUDGET,
    ) -> None:
        self._decode = decode
        self._uses = Counter(uses)
        self._budget = budget
        self._held: OrderedDict[TilePosition, Future[np.ndarray]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes_held(self) -> int:
        """Bytes of decoded pixels that wait for a later strip."""
        with self._lock:
            return self._bytes

    def get(self, position: TilePosition) -> np.ndarray:
        """Return a tile's pixels; counts as one of its uses. The array must not be written to."""
        with self._lock:
            future = self._held.get(position)
            mine = future is None
            if future is None:
                future = self._held[position] = Future()
        if mine:
            self._fill(future, position)
        try:
            tile = future.result()
        except CancelledError:
            # The thread that was decoding it failed and reports why; this one meets the same tile itself.
            return self._decode(*position)
        with self._lock:
            self._uses[position] -= 1
            if self._uses[position] <= 0:
                self._drop(position)
            self._evict()
        return tile

    def _fill(self, future: Future[np.ndarray], position: TilePosition) -> None:
        decoded = False
        try:
            tile = self._decode(*position)
            decoded = True
        finally:
            if not decoded:
                with self._lock:
                    self._held.pop(position, None)
                future.cancel()
        with self._lock:
            self._bytes += _memory(tile)
        future.set_result(tile)

    def _drop(self, position: TilePosition) -> None:
        future = self._held.get(position)
        if future is not None and future.done():
            del self._held[position]
            self._bytes -= _memory(future.result())

    def _evict(self) -> None:
        if self._bytes <= self._budget:
            return  # nearly always, and the list below is long
        for position in list(self._held):
            if self._bytes <= self._budget:
                return
            self._drop(position)


def _memory(tile: np.ndarray) -> int:
    """Bytes of a tile; one of a single colour, repeated without being written out, takes none."""
    return tile.nbytes if tile.strides[0] else 0
