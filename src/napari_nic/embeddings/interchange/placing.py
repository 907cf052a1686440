"""Patches that lie anywhere, laid on the one grid that fits them best.

Programs that start a grid at each piece of tissue write patches of several phases: their distances are
those of one grid, their remainders are not. Each patch goes to the nearest cell; how far it lies from there
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from napari_nic.jobs import CancellationToken

ON_GRID = 0.5 + 1e-3
"""Positions are whole units, so they may lie off a grid by their rounding."""

MOST_LOST = 0.1
"""Share of the patches that may share a cell with a nearer one; patches at random places form no grid."""

LEAST_NEIGHBOURS = 0.05
"""Share of the patches that must have a neighbour at the commonest distance."""

_MOST_PHASES, _MOST_TRIED = 8, 2 * 10**7

_PART = 2**16
"""Patches whose places are computed with at a time: of a million, many copies would outweigh their codes."""


@dataclass(frozen=True, eq=False)
class Laid:
    """Patches on a grid.

    Attributes
    ----------
    origin : (int, int)
        (y, x) of the corner of cell (0, 0), in the unit of the positions.
    cells : ndarray of int32, (N, 2)
        (row, col) of each patch.
    kept : ndarray of bool, (N,)
        False for a patch whose cell holds a nearer one.
    shift : ndarray of float32, (N, 2)
        (y, x) from the corner of its cell to that of the patch, in the unit.
    phases : int
        Distinct remainders among the positions.
    """

    origin: tuple[int, int]
    cells: np.ndarray
    kept: np.ndarray
    shift: np.ndarray
    phases: int

    def without_lost(self) -> Laid:
        """Leave out the patches that found no cell of their own."""
        if not self.lost:
            return self
        cells, shift = self.cells[self.kept], self.shift[self.kept]
        return replace(self, cells=cells, shift=shift, kept=np.ones(len(cells), bool))

    @property
    def lost(self) -> int:
        """Patches that found no cell of their own."""
        return int((~self.kept).sum())

    @property
    def largest_shift(self) -> float:
        """Farthest that a patch lies from its cell along an axis, in the unit."""
        return float(max(self.shift.max(initial=0.0), -self.shift.min(initial=0.0)))

    @property
    def off_grid(self) -> int:
        """Patches that lie off their cell by more than rounding."""
        return sum(
            int((np.abs(self.shift[part]) > ON_GRID).any(axis=1).sum()) for part in parts(len(self.shift))
        )

    @property
    def total_shift(self) -> float:
        """Sum of how far the patches lie from their cells along both axes."""
        return sum(float(np.abs(self.shift[part]).sum(dtype=float)) for part in parts(len(self.shift)))


def parts(count: int) -> Iterator[slice]:
    """Cut so many patches into parts whose places are computed with at a time."""
    return (slice(start, min(count, start + _PART)) for start in range(0, count, _PART))


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
    if not len(corners):
        return np.zeros(0, np.int64)
    least = int(np.rint(corners[:, along].min()))
    step = 2 * (int(np.rint(corners[:, along].max())) - least) + 2  # more than any distance along the axis
    places = np.empty(len(corners), np.int64)
    for part in parts(len(corners)):
        rounded = np.rint(corners[part]).astype(np.int64)
        places[part] = rounded[:, 1 - along] * step + rounded[:, along] - least
    places.sort()
    gaps = np.diff(places)
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
    phases, counts = _phases(corners, stride)
    commonest = phases[counts.argmax()]
    best = _on(corners, stride, commonest, len(phases))
    if not best.lost:
        return best
    most = max(1, _MOST_TRIED // len(corners))
    for origin, _ in zip(_others(phases, counts, stride), range(most), strict=False):
        token.checkpoint()
        other = _on(corners, stride, origin, len(phases))
        if (other.lost, other.total_shift) < (best.lost, best.total_shift):
            best = other
    return best


def _phases(corners: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Remainders (y, x) of the places by a stride, all different, int64 (P, 2), and how many have each."""
    numbers = np.empty(len(corners), np.int64)
    for part in parts(len(corners)):
        remainders = np.mod(np.rint(corners[part]).astype(np.int64), stride)
        numbers[part] = remainders[:, 0] * stride + remainders[:, 1]
    phases, counts = np.unique(numbers, return_counts=True)
    return np.stack(np.divmod(phases, stride), axis=1), counts


def _others(of_both: np.ndarray, patches: np.ndarray, stride: int) -> Iterator[np.ndarray]:
    """Yield origins: along each axis the phases, and those that part two phases by the edge of a cell."""
    along = []
    for axis in (0, 1):
        phases, at = np.unique(of_both[:, axis], return_inverse=True)
        counts = np.bincount(at, weights=patches)
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
    origin = origin - before * stride
    cells += before
    return Laid((int(origin[0]), int(origin[1])), cells, nearest_of_each_cell(cells, shift), shift, phases)


def cells_at(
    corners: np.ndarray,
    origin: np.ndarray | tuple[int, int],
    stride: int,
    unit: np.ndarray | tuple[float, float] = (1.0, 1.0),
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest cells of a grid, and how far the patches lie from them.

    Parameters
    ----------
    corners : ndarray of float64, (N, 2)
        (y, x).
    origin : (int, int)
        (y, x) of the corner of cell (0, 0).
    stride : int
    unit : (float, float)
        What the corners are multiplied by, to be in the unit of the grid.

    Returns
    -------
    cells : ndarray of int32, (N, 2)
    shift : ndarray of float32, (N, 2)
    """
    cells, shift = np.empty(corners.shape, np.int32), np.empty(corners.shape, np.float32)
    for part in parts(len(corners)):
        here = corners[part] * unit
        cells[part] = np.floor((here - origin) / stride + 0.5)
        shift[part] = here - (np.asarray(origin) + cells[part].astype(np.int64) * stride)
    return cells, shift


def covered(shape: tuple[int, int], cells: np.ndarray) -> np.ndarray:
    """Mark cells (N, 2) on a grid: bool, (rows, cols)."""
    coverage = np.zeros(shape, bool)
    for part in parts(len(cells)):
        coverage[tuple(cells[part].T)] = True
    return coverage


def nearest_of_each_cell(cells: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Mark the patch of each cell that lies nearest to it; of equals the first in (y, x)."""
    if are_distinct(cells):
        return np.ones(len(cells), bool)
    order = np.lexsort((shift[:, 1], shift[:, 0], np.abs(shift).sum(axis=1), cells[:, 1], cells[:, 0]))
    ordered = cells[order]
    first = np.ones(len(cells), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    kept = np.empty(len(cells), bool)
    kept[order] = first
    return kept


def are_distinct(pairs: np.ndarray) -> bool:
    """Whether no two of whole numbers, (N, 2), are there twice."""
    least = [int(pairs[:, axis].min(initial=0)) for axis in (0, 1)]
    width = int(pairs[:, 1].max(initial=0)) - least[1] + 1
    numbers = np.empty(len(pairs), np.int64)
    for part in parts(len(pairs)):
        whole = pairs[part].astype(np.int64) - least
        numbers[part] = whole[:, 0] * width + whole[:, 1]
    numbers.sort()
    return not (numbers[1:] == numbers[:-1]).any()
