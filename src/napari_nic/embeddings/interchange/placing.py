"""Patches that lie anywhere, laid on the one grid that fits them best.

Programs that start a grid at each piece of tissue write patches of several phases: their distances are
those of one grid, their remainders are not. Each patch goes to the nearest cell; how far it lies from there
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_nic.jobs import CancellationToken

ON_GRID = 0.5 + 1e-3
"""Positions are whole units, so they may lie off a grid by their rounding."""

MOST_LOST = 0.1
"""Share of the patches that may share a cell with a nearer one; patches at random places form no grid."""

LEAST_NEIGHBOURS = 0.05
"""Share of the patches that must have a neighbour at the commonest distance."""

_MOST_PHASES, _MOST_TRIED = 8, 2 * 10**7


@dataclass(frozen=True, eq=False)
class Laid:
    """Patches on a grid.

    Attributes
    ----------
    origin : (int, int)
        (y, x) of the corner of cell (0, 0), in the unit of the positions.
    cells : ndarray of int64, (N, 2)
        (row, col) of each patch.
    kept : ndarray of bool, (N,)
        False for a patch whose cell holds a nearer one.
    shift : ndarray of float64, (N, 2)
        (y, x) from the corner of its cell to that of the patch, in the unit.
    phases : int
        Distinct remainders among the positions.
    """

    origin: tuple[int, int]
    cells: np.ndarray
    kept: np.ndarray
    shift: np.ndarray
    phases: int

    @property
    def lost(self) -> int:
        """Patches that found no cell of their own."""
        return int((~self.kept).sum())

    @property
    def largest_shift(self) -> float:
        """Farthest that a patch lies from its cell along an axis, in the unit."""
        return float(np.abs(self.shift).max(initial=0.0))

    @property
    def off_grid(self) -> int:
        """Patches that lie off their cell by more than rounding."""
        return int((np.abs(self.shift) > ON_GRID).any(axis=1).sum())


def commonest_distance(corners: np.ndarray) -> tuple[int, int] | None:
    """Find the commonest distance (y, x) between neighbours in a column and in a row; None without any.

    Not the smallest: grids of two pieces of tissue may lie closer to each other than the patches of either.
    An axis without neighbours takes the distance of the other. Of patches at random places a few are
    neighbours by chance: that is no distance.
    """
    found = [_commonest(_gaps(corners, axis), len(corners) * LEAST_NEIGHBOURS) for axis in (0, 1)]
    if not any(found):
        return None
    (down, n_down), (across, n_across) = (at or (0, 0) for at in found)
    if down == across or not n_across or (n_down and 10 * n_across < n_down):
        return down, down
    return (across, across) if not n_down or 10 * n_down < n_across else (down, across)


def _gaps(corners: np.ndarray, along: int) -> np.ndarray:
    """Distances along an axis between neighbours that lie at the same place of the other axis."""
    rounded = np.rint(corners).astype(np.int64)
    first = rounded[:, along] - rounded[:, along].min(initial=0)
    step = 2 * int(first.max(initial=0)) + 2  # more than any distance along the axis
    gaps = np.diff(np.sort(rounded[:, 1 - along] * step + first))
    return np.asarray(gaps[(gaps >= 1) & (gaps <= step // 2)])


def _commonest(gaps: np.ndarray, least: float) -> tuple[int, int] | None:
    if not len(gaps):
        return None
    distances, counts = np.unique(gaps, return_counts=True)
    best = int(counts.argmax())
    return (int(distances[best]), int(counts[best])) if counts[best] >= least else None


def lay(corners: np.ndarray, stride: int, token: CancellationToken) -> Laid:
    """Lay patches on the grid of a stride that most of them lie on, with as few as possible sharing a cell.

    Parameters
    ----------
    corners : ndarray of float64, (N, 2)
        (y, x), N at least 1, all different.
    stride : int
        Same unit.
    token : CancellationToken
        Asked before each grid that is tried.
    """
    remainders = np.mod(np.rint(corners).astype(np.int64), stride)
    phases, counts = np.unique(remainders[:, 0] * stride + remainders[:, 1], return_counts=True)
    commonest = np.array(divmod(int(phases[counts.argmax()]), stride))
    best = _on(corners, stride, commonest, len(phases))
    if not best.lost:
        return best
    most = max(1, _MOST_TRIED // len(corners))
    for origin, _ in zip(_others(remainders, stride), range(most), strict=False):
        token.checkpoint()
        other = _on(corners, stride, origin, len(phases))
        if (other.lost, np.abs(other.shift).sum()) < (best.lost, np.abs(best.shift).sum()):
            best = other
    return best


def _others(remainders: np.ndarray, stride: int) -> Iterator[np.ndarray]:
    """Yield origins: along each axis the phases, and those that part two phases by the edge of a cell."""
    along = []
    for axis in (0, 1):
        phases, counts = np.unique(remainders[:, axis], return_counts=True)
        common = phases[np.argsort(-counts, kind="stable")][:_MOST_PHASES]
        half = np.array([stride // 2, -(stride // 2)])[:, None]
        along.append(np.concatenate([common, ((common + half) % stride).ravel()]))
    for y in np.unique(along[0]):
        for x in np.unique(along[1]):
            yield np.array([y, x])


def _on(corners: np.ndarray, stride: int, remainder: np.ndarray, phases: int) -> Laid:
    origin = np.where(2 * remainder > stride, remainder - stride, remainder)
    cells, shift = cells_at(corners, origin, stride)
    before = np.maximum(0, -cells.min(axis=0))  # patches that begin above or left of the slide
    origin, cells = origin - before * stride, cells + before
    return Laid((int(origin[0]), int(origin[1])), cells, nearest_of_each_cell(cells, shift), shift, phases)


def cells_at(
    corners: np.ndarray, origin: np.ndarray | tuple[int, int], stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest cells (N, 2) of a grid, and how far the patches lie from them, (N, 2)."""
    cells = np.floor((corners - origin) / stride + 0.5).astype(np.int64)
    return cells, corners - (origin + cells * stride)


def nearest_of_each_cell(cells: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Mark the patch of each cell that lies nearest to it; of equals the first in (y, x)."""
    least = cells.min(axis=0, initial=0)
    width = int(cells[:, 1].max(initial=0) - least[1]) + 1
    if is_distinct((cells[:, 0] - least[0]) * width + cells[:, 1] - least[1]):
        return np.ones(len(cells), bool)
    order = np.lexsort((shift[:, 1], shift[:, 0], np.abs(shift).sum(axis=1), cells[:, 1], cells[:, 0]))
    ordered = cells[order]
    first = np.ones(len(cells), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    kept = np.empty(len(cells), bool)
    kept[order] = first
    return kept


def is_distinct(numbers: np.ndarray) -> bool:
    """Whether no number is there twice; ndarray of int, (N,)."""
    return not (np.diff(np.sort(numbers)) == 0).any()
