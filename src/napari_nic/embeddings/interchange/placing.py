"""Patches that lie anywhere, laid on the one grid that fits them best.

Programs that start a grid at each piece of tissue write patches of several phases: their distances are
those of one grid, their remainders are not. Each patch goes to the nearest cell; how far it lies from there
is kept.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from napari_nic.jobs import CancellationToken

ON_GRID = 0.5 + 1e-3
"""Positions are whole units, so they may lie off a grid by their rounding."""

MOST_LOST = 0.1
"""Share of the patches that may share a cell with a nearer one; patches at random places form no grid."""

LEAST_NEIGHBOURS = 0.05
"""Share of the patches that must have a neighbour at the commonest distance."""

_MOST_PHASES, _MOST_TRIED = 8, 2 * 10**7

_PART = 2**15
"""Patches whose places are computed with at a time: of a million, many copies would outweigh their codes."""


@dataclass(frozen=True, eq=False)
class Laid:
    """Patches on a grid; how far each lies from its cell is computed when it is asked for, not kept.

    Attributes
    ----------
    corners : ndarray of numbers, (N, 2)
        (y, x) of the patches.
    origin : (int, int)
        (y, x) of the corner of cell (0, 0), in the unit of the grid.
    stride : int
        Distance of cells, in the unit of the grid.
    cells : ndarray of int32, (N, 2)
        (row, col) of each patch.
    kept : ndarray of bool, (N,)
        False for a patch whose cell holds a nearer one.
    phases : int
        Distinct remainders among the positions.
    unit : (float, float)
        What the corners are multiplied by, to be in the unit of the grid.
    """

    corners: np.ndarray
    origin: tuple[int, int]
    stride: int
    cells: np.ndarray
    kept: np.ndarray
    phases: int = 1
    unit: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def on(
        cls,
        corners: np.ndarray,
        origin: tuple[int, int],
        stride: int,
        *,
        unit: tuple[float, float] = (1.0, 1.0),
        phases: int = 1,
    ) -> Laid:
        """Lay patches into the nearest cells of a grid; of those that share one the nearest keeps it."""
        cells = np.empty(corners.shape, np.int32)
        for part in parts(len(corners)):
            cells[part] = np.floor((corners[part] * unit - origin) / stride + 0.5)
        everything = np.broadcast_to(np.True_, len(cells))
        return cls(corners, origin, stride, cells, everything, phases, unit)._with_nearest()

    def _with_nearest(self) -> Laid:
        """Keep the patch of each cell that lies nearest to it; of equals the first in (y, x)."""
        sharing = sharing_a_place(self.cells)
        if not len(sharing):
            return self
        cells, shift = self.cells[sharing], self.shift(sharing)
        order = np.lexsort((shift[:, 1], shift[:, 0], np.abs(shift).sum(axis=1), cells[:, 1], cells[:, 0]))
        ordered = cells[order]
        is_farther = np.zeros(len(cells), bool)
        is_farther[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
        kept = np.ones(len(self.cells), bool)
        kept[sharing[order[is_farther]]] = False
        return replace(self, kept=kept)

    def without_lost(self) -> Laid:
        """Leave out the patches that found no cell of their own."""
        if not self.lost:
            return self
        corners, cells = self.corners[self.kept], self.cells[self.kept]
        return replace(self, corners=corners, cells=cells, kept=np.broadcast_to(np.True_, len(cells)))

    def shift(self, patches: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(y, x) from the corners of cells to those of their patches, in the unit: float32, (n, 2)."""
        at = np.asarray(self.origin) + self.cells[patches].astype(np.int64) * self.stride
        return np.asarray(self.corners[patches] * self.unit - at, np.float32)

    @property
    def lost(self) -> int:
        """Patches that found no cell of their own."""
        return len(self.kept) - int(np.count_nonzero(self.kept))

    @property
    def largest_shift(self) -> float:
        """Farthest that a patch lies from its cell along an axis, in the unit."""
        return self._shifts[0]

    @property
    def off_grid(self) -> int:
        """Patches that lie off their cell by more than rounding."""
        return self._shifts[1]

    @property
    def total_shift(self) -> float:
        """Sum of how far the patches lie from their cells along both axes."""
        return self._shifts[2]

    @cached_property
    def _shifts(self) -> tuple[float, int, float]:
        """The largest, how many count, and the sum."""
        largest, off, total = 0.0, 0, 0.0
        for part in parts(len(self.cells)):
            shift = np.abs(self.shift(part))
            largest = max(largest, float(shift.max(initial=0.0)))
            off += int((shift > ON_GRID).any(axis=1).sum())
            total += float(shift.sum(dtype=float))
        return largest, off, total


def parts(count: int) -> Iterator[slice]:
    """Cut so many patches into parts whose places are computed with at a time."""
    return (slice(start, min(count, start + _PART)) for start in range(0, count, _PART))


def _room_for(count: int) -> np.ndarray:
    """Return room for so many int64, which the system has back when nobody uses it any more.

    What is freed among other memory often stays with the process: of a million places some 10 MB.
    """
    if not count:
        return np.empty(0, np.int64)
    return np.frombuffer(mmap.mmap(-1, count * np.dtype(np.int64).itemsize), np.int64)


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
    """Distances along an axis between neighbours that lie at the same place of the other axis, rising."""
    if not len(corners):
        return np.zeros(0, np.int64)
    least = int(np.rint(corners[:, along].min()))
    step = 2 * (int(np.rint(corners[:, along].max())) - least) + 2  # more than any distance along the axis
    places = _room_for(len(corners))
    for part in parts(len(corners)):
        rounded = np.rint(corners[part]).astype(np.int64)
        places[part] = rounded[:, 1 - along] * step + rounded[:, along] - least
    places.sort()
    for part in parts(len(corners) - 1):  # in place: one more copy of all places would be the largest
        places[part] = places[part.start + 1 : part.stop + 1] - places[part]
    gaps = places[:-1]
    gaps.sort()
    return gaps[slice(*np.searchsorted(gaps, (1, step // 2 + 1)))]


def _commonest(gaps: np.ndarray, least: float) -> tuple[int, int] | None:
    if not len(gaps):
        return None
    distances, counts = _counted(gaps)
    best = int(counts.argmax())
    return (int(distances[best]), int(counts[best])) if counts[best] >= least else None


def _counted(rising: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of rising ones, and how often each is there."""
    begins = [np.zeros(min(1, len(rising)), np.int64)]
    begins += [
        np.flatnonzero(rising[part.start + 1 : part.stop + 1] != rising[part]) + part.start + 1
        for part in parts(len(rising) - 1)
    ]
    starts = np.concatenate(begins)
    return rising[starts], np.diff(starts, append=len(rising))


def lay(corners: np.ndarray, stride: int, token: CancellationToken) -> Laid:
    """Lay patches on the grid of a stride that most of them lie on, with as few as possible sharing a cell.

    Parameters
    ----------
    corners : ndarray of numbers, (N, 2)
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
    numbers = _room_for(len(corners))
    for part in parts(len(corners)):
        remainders = np.mod(np.rint(corners[part]).astype(np.int64), stride)
        numbers[part] = remainders[:, 0] * stride + remainders[:, 1]
    numbers.sort()
    phases, counts = _counted(numbers)
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
    laid = Laid.on(corners, (int(origin[0]), int(origin[1])), stride, phases=phases)
    before = np.maximum(0, -laid.cells.min(axis=0))  # patches that begin above or left of the slide
    if before.any():
        laid.cells[...] += before
        origin = origin - before.astype(np.int64) * stride
        laid = replace(laid, origin=(int(origin[0]), int(origin[1])))
    return laid


def covered(shape: tuple[int, int], cells: np.ndarray) -> np.ndarray:
    """Mark cells (N, 2) on a grid: bool, (rows, cols)."""
    coverage = np.zeros(shape, bool)
    for part in parts(len(cells)):
        coverage[tuple(cells[part].T)] = True
    return coverage


def are_distinct(pairs: np.ndarray) -> bool:
    """Whether no two of whole numbers, (N, 2), are there twice."""
    return not len(_twice(pairs))


def sharing_a_place(pairs: np.ndarray) -> np.ndarray:
    """Indices of those of whole numbers, (N, 2), that are there more than once: int64, rising."""
    twice = _twice(pairs)
    if not len(twice):
        return np.zeros(0, np.int64)
    least, width = _frame(pairs)
    found = []
    for part in parts(len(pairs)):
        numbers = _numbers(pairs[part], least, width)
        at = np.searchsorted(twice, numbers).clip(max=len(twice) - 1)
        found.append(np.flatnonzero(twice[at] == numbers) + part.start)
    return np.concatenate(found)


def _twice(pairs: np.ndarray) -> np.ndarray:
    """Numbers of the pairs that are there more than once, rising."""
    least, width = _frame(pairs)
    numbers = _room_for(len(pairs))
    for part in parts(len(pairs)):
        numbers[part] = _numbers(pairs[part], least, width)
    numbers.sort()
    found = [
        numbers[part][numbers[part] == numbers[part.start + 1 : part.stop + 1]]
        for part in parts(len(numbers) - 1)
    ]
    return np.unique(np.concatenate(found)) if found else numbers[:0]


def _frame(pairs: np.ndarray) -> tuple[tuple[int, int], int]:
    """Return the smallest number of each column, and how many the second one spans."""
    least = int(pairs[:, 0].min(initial=0)), int(pairs[:, 1].min(initial=0))
    return least, int(pairs[:, 1].max(initial=0)) - least[1] + 1


def _numbers(pairs: np.ndarray, least: tuple[int, int], width: int) -> np.ndarray:
    """Number pairs by their place in the frame: int64, (n,)."""
    whole = pairs.astype(np.int64) - least
    return np.asarray(whole[:, 0] * width + whole[:, 1])
