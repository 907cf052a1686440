"""Tiles of class numbers in a pyramid whose levels halve, and how one level follows from the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from napari_nic.geometry import RegionPx

TILE = 512
"""Side of a tile, in pixels of its level."""

HALF = TILE // 2
MOST_CLASSES = 255
"""Numbers that 8 bits hold beside 0, which is nothing."""


class Tile(NamedTuple):
    """A tile of a level; a pixel of level n is 2**n level-0 pixels wide."""

    level: int
    row: int
    col: int

    @property
    def parent(self) -> Tile:
        """The tile of the next coarser level that shows the same place."""
        return Tile(self.level + 1, self.row // 2, self.col // 2)

    @property
    def quadrant(self) -> tuple[slice, slice]:
        """The part of its parent that it fills."""
        top, left = self.row % 2 * HALF, self.col % 2 * HALF
        return slice(top, top + HALF), slice(left, left + HALF)

    @property
    def children(self) -> tuple[Tile, ...]:
        """The four tiles of the next finer level."""
        finer = self.level - 1
        top, left = 2 * self.row, 2 * self.col
        return tuple(Tile(finer, top + down, left + right) for down in (0, 1) for right in (0, 1))


def level_shapes(shape: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return (rows, cols) of all levels of a slide, down to the one that a tile holds."""
    shapes = [shape]
    while max(shapes[-1]) > TILE:
        rows, cols = shapes[-1]
        shapes.append((-(-rows // 2), -(-cols // 2)))
    return tuple(shapes)


def tiles_of(level: int, region: RegionPx) -> Iterator[tuple[Tile, tuple[slice, slice], tuple[slice, slice]]]:
    """Yield the tiles that a region of a level touches: tile, what of it, where that lies in the region."""
    for row in range(region.y // TILE, -(-region.bottom // TILE)):
        for col in range(region.x // TILE, -(-region.right // TILE)):
            y0, y1 = max(region.y, row * TILE), min(region.bottom, (row + 1) * TILE)
            x0, x1 = max(region.x, col * TILE), min(region.right, (col + 1) * TILE)
            inside = slice(y0 - row * TILE, y1 - row * TILE), slice(x0 - col * TILE, x1 - col * TILE)
            part = slice(y0 - region.y, y1 - region.y), slice(x0 - region.x, x1 - region.x)
            yield Tile(level, row, col), inside, part


def halved(labels: np.ndarray) -> np.ndarray:
    """Return the numbers of a coarser level: of each four the one that most have.

    Of two and two it is the larger number, so that a class wins over nothing; of four different ones the
    upper left.
    """
    four = [labels[down::2, right::2] for down in (0, 1) for right in (0, 1)]
    first, second, third, last = np.sort(np.stack(four), axis=0)
    pair = np.where(third == last, third, np.where(first == second, first, four[0]))
    return np.where(second == third, second, pair)


def enlarged(labels: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each element `factor` times both ways."""
    return np.repeat(np.repeat(labels, factor, axis=0), factor, axis=1)
