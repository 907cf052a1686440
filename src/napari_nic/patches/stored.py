"""Patches of a store as something to draw from: at random, in balance of classes, and in pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.patches.model import ADJACENT_SHARE, PairBatch, PatchBatch

if TYPE_CHECKING:
    from napari_nic.patches.store import PatchStore

MEMORY_BYTES = 2 * 2**30
"""Patches up to this size are kept in memory: 175,000 of 64 px, 44,000 of 128 px."""

_SIDES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
_SAME_SHARE = 0.5


class StoredPatches:
    """Draw patches of a store; a :class:`napari_nic.patches.PatchSource`.

    Parameters
    ----------
    store : PatchStore
    indices : ndarray of int, (n,)
        The patches to draw from, for instance one part of a split.
    memory_bytes : int
        If all of them take no more, they are read now and kept; else each draw reads what it needs.

    Raises
    ------
    InvalidParameterError
        If `indices` is empty.

    Notes
    -----
    The set is labelled if all of its patches are; to draw the labelled part of a store in balance, pass
    ``np.flatnonzero(store.labels >= 0)``. Labels count in the store's class names, also when some classes
    are not among the patches.
    """

    def __init__(self, store: PatchStore, indices: np.ndarray, *, memory_bytes: int = MEMORY_BYTES) -> None:
        if len(indices) == 0:
            raise InvalidParameterError("no patch to draw from", found=f"an empty selection of {store.path}")
        self.size = store.size
        self.mpp = store.mpp
        self._store = store
        self._indices = np.asarray(indices, np.int64)
        labels = store.labels[self._indices]
        self.class_names = store.class_names if (labels >= 0).all() else ()
        self._labels = labels
        self._of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._neighbours = _find_neighbours(store, self._indices)
        self._groups = _Groups(store.groups[self._indices])
        fits = len(self._indices) * 3 * store.size**2 <= memory_bytes
        self._images = store.read(self._indices) if fits else None

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def in_memory(self) -> bool:
        """Whether the patches are kept in memory."""
        return self._images is not None

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Draw patches with replacement; of a labelled set each class that is there at equal chance."""
        if not self.class_names:
            drawn = rng.integers(len(self), size=count)
            return PatchBatch(self.read(drawn), numbers=drawn)
        kinds = rng.integers(len(self._of_class), size=count)
        sizes = np.array([len(members) for members in self._of_class])
        ranks = rng.integers(sizes[kinds])
        chosen = np.array([self._of_class[k][r] for k, r in zip(kinds, ranks, strict=True)], np.int64)
        return PatchBatch(self.read(chosen), self._labels[chosen], chosen)

    def draw_pairs(self, count: int, rng: np.random.Generator) -> PairBatch:
        """Draw pairs: half of the same patch; of the others 75 % side by side, 25 % of two groups.

        Where no patches lie side by side, or all are of one group, the other kind takes the place.

        Raises
        ------
        InvalidParameterError
            If there is neither: one group, and no patch beside another.
        """
        same = rng.random(count) < _SAME_SHARE
        adjacent = rng.random(count) < self._adjacent_share()
        first = rng.integers(len(self), size=count)
        away = self._groups.draw_other(first, rng)
        # An adjacent pair begins at a patch that has a neighbour, so that the shares are kept.
        paired = np.flatnonzero((self._neighbours >= 0).any(axis=1))
        if len(paired):
            starts = paired[rng.integers(len(paired), size=count)]
            beside = _pick_neighbour(self._neighbours[starts], rng)
            use = adjacent & ~same
            first, away = np.where(use, starts, first), np.where(use, beside, away)
        second = np.where(same, first, away)
        images = self.read(np.concatenate([first, second]))
        return PairBatch(images[:count], images[count:], same)

    def _adjacent_share(self) -> float:
        if not (self._neighbours >= 0).any():
            if self._groups.count == 1:
                raise InvalidParameterError(
                    "no pairs of different places can be drawn",
                    path=self._store.path,
                    expected="patches side by side, or of two slides or patients",
                    found=f"{len(self)} patches apart from each other, all of one group",
                )
            return 0.0
        return ADJACENT_SHARE if self._groups.count > 1 else 1.0

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Return patches by their number among those to draw from, (n, s, s, 3) uint8."""
        if self._images is not None:
            return self._images[numbers]
        return self._store.read(self._indices[numbers])


class _Groups:
    """Patches sorted by group, so that one of another group is drawn in one step."""

    def __init__(self, groups: np.ndarray) -> None:
        _, self._member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        self.count = len(sizes)
        self._sizes = sizes
        self._order = np.argsort(self._member, kind="stable")
        self._starts = np.cumsum(sizes) - sizes

    def draw_other(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return for each patch one of another group; with one group only, the patch itself."""
        if self.count == 1:
            return positions
        member = self._member[positions]
        ranks = rng.integers(len(self._order) - self._sizes[member])
        ranks += np.where(ranks >= self._starts[member], self._sizes[member], 0)
        return self._order[ranks]


def _find_neighbours(store: PatchStore, indices: np.ndarray) -> np.ndarray:
    """Return for each patch the positions of those right, below, left and above of it, (n, 4); -1: none."""
    cells = store.cells[indices]
    # One number for (source, row, col), with a margin of one cell on each side.
    rows, cols = cells.max(axis=0) + 3
    keys = (store.source_index[indices] * rows + cells[:, 0] + 1) * cols + cells[:, 1] + 1
    order = np.argsort(keys, kind="stable")
    beside = keys[:, None] + _SIDES[:, 0] * cols + _SIDES[:, 1]
    places = np.minimum(np.searchsorted(keys, beside, sorter=order), len(keys) - 1)
    return np.where(keys[order[places]] == beside, order[places], -1)


def _pick_neighbour(neighbours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pick one of those that are there, (n, 4) -> (n,), each at equal chance."""
    chance = np.where(neighbours >= 0, rng.random(neighbours.shape), -1.0)
    return np.take_along_axis(neighbours, chance.argmax(axis=1)[:, None], axis=1)[:, 0]
