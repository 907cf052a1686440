"""Counting decoded tiles, so that tests can prove that nothing is read which is not needed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping


class ReadCounter:
    """How many tiles of each level were decoded; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiles: Counter[int] = Counter()

    def add(self, level: int) -> None:
        """Count one decoded tile of `level`."""
        with self._lock:
            self._tiles[level] += 1

    @property
    def tiles(self) -> Mapping[int, int]:
        """Decoded tiles by level; levels never read are missing."""
        with self._lock:
            return dict(self._tiles)

    @property
    def total(self) -> int:
        """Decoded tiles of all levels."""
        with self._lock:
            return sum(self._tiles.values())
