"""What a stroke changed, and the strokes that can be taken back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.painting.tiles import TILE, Tile

MOST_BYTES = 256 * 2**20
"""Of tiles that are kept to be taken back; what is older is forgotten."""

_QUICK = 1


@dataclass(frozen=True)
class Change:
    """Tiles before and after one step.

    Attributes
    ----------
    title : str
        For "Undo ...".
    area : RegionPx
        Where something changed, level-0 pixels.
    tiles : mapping of Tile to (bytes or None, bytes or None)
        Packed labels before and after; None where there is no tile.
    """

    title: str
    area: RegionPx
    tiles: Mapping[Tile, tuple[bytes | None, bytes | None]]

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return sum(len(one) for pair in self.tiles.values() for one in pair if one is not None)


def packed(labels: np.ndarray | None) -> bytes | None:
    """Pack the labels of a tile: most are large even areas."""
    return None if labels is None else zlib.compress(labels.tobytes(), _QUICK)


def unpacked(content: bytes | None) -> np.ndarray | None:
    """Inverse of :func:`packed`."""
    if content is None:
        return None
    return np.frombuffer(zlib.decompress(content), np.uint8).reshape(TILE, TILE)


class History:
    """Steps that were made and steps that were taken back, within a bound of memory."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._made: list[Change] = []
        self._undone: list[Change] = []

    def add(self, change: Change) -> None:
        """Remember a step; what was taken back before it is gone."""
        self._undone.clear()
        self._made.append(change)
        total = sum(one.n_bytes for one in self._made)
        while total > self._most and len(self._made) > 1:
            total -= self._made.pop(0).n_bytes

    def undo(self) -> Change | None:
        """Return the step to take back, None if there is none."""
        return _moved(self._made, self._undone)

    def redo(self) -> Change | None:
        """Return the step to make anew, None if there is none."""
        return _moved(self._undone, self._made)

    @property
    def titles(self) -> tuple[str, str]:
        """Titles of what would be undone and redone; empty where there is nothing."""
        made, undone = self._made, self._undone
        return made[-1].title if made else "", undone[-1].title if undone else ""


def _moved(source: list[Change], target: list[Change]) -> Change | None:
    if not source:
        return None
    target.append(source.pop())
    return target[-1]
