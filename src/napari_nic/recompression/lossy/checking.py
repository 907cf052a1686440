"""Every tile is decoded again before it is written: what is handed to a check, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from napari_nic.slides import RgbArray


@dataclass(frozen=True)
class WrittenTile:
    """A tile that was encoded, and decoded again.

    Attributes
    ----------
    level, row, col : int
        Its place: level of the result, and place in the grid of its tiles.
    pixels : ndarray of uint8, (rows, cols, 3)
        What was to be kept, glass painted white already, cropped at the edge of the level. Colours are the
        file's own: no profile is applied.
    data : bytes
        As it would be written.
    decoded : ndarray of uint8, (rows, cols, 3)
        `data` decoded by the call that our readers make, cropped likewise.
    attempt : int
        How often the tile was encoded before, with a lower quality.
    """

    level: int
    row: int
    col: int
    pixels: RgbArray
    data: bytes
    decoded: RgbArray
    attempt: int = 0


@dataclass(frozen=True)
class Verdict:
    """What a check says of a tile.

    Attributes
    ----------
    keeps : bool
        Whether it is written. If not it is encoded anew with a better quality.
    why : str
        What is wrong with it, in a few words: the report counts tiles by this.
    """

    keeps: bool
    why: str = ""


class TileCheck(Protocol):
    """Judges tiles; called by several threads at once. What it wants to remember it keeps itself."""

    def __call__(self, tile: WrittenTile) -> Verdict:
        """Say whether a tile is written."""


def keep_all(tile: WrittenTile) -> Verdict:
    """Write every tile that could be decoded."""
    return Verdict(tile.decoded.shape == tile.pixels.shape, "another size")
