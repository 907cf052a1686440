"""Small connected parts of a map of classes given to what lies around them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_nic.jobs import CancellationToken

ASKED_EVERY = 256
"""Parts that are looked at between two checkpoints."""


def sieved(
    classes: np.ndarray, least: Mapping[int, float], *, nothing: int, token: CancellationToken | None = None
) -> np.ndarray:
    """Return a map without connected parts (4-connected) that are too small.

    Parameters
    ----------
    classes : ndarray of uint8, (rows, cols)
    least : mapping of int to float
        By class number, the least size of a part in cells. Parts of numbers that are not there stay.
    nothing : int
        Number of cells of which nothing is said. A part of them is a hole, and is filled, only if it does not
        touch the edge of the map.
    token : CancellationToken, optional
        Asked now and then.

    Returns
    -------
    ndarray of uint8, (rows, cols)

    Notes
    -----
    As GDAL's sieve filter, from the smallest part up; each goes to the class with which it has the longest
    border, and joins the parts of that class that it touches. A part with no class around it becomes
    `nothing`.
    """
    if not any(size > 1 for size in least.values()):
        return classes.copy()
    parts = _Parts.of(classes, nothing)
    waiting = [(size, part) for part, size in enumerate(parts.sizes) if size < parts.limit(part, least)]
    heapq.heapify(waiting)
    steps = 0
    while waiting:
        if token is not None and steps % ASKED_EVERY == 0:
            token.checkpoint()
        steps += 1
        size, part = heapq.heappop(waiting)
        if parts.root(part) != part or parts.sizes[part] != size:
            continue  # it was joined to another one meanwhile, or has grown
        joined = parts.give_away(part)
        if joined is not None and parts.sizes[joined] < parts.limit(joined, least):
            heapq.heappush(waiting, (parts.sizes[joined], joined))
    return parts.painted()


@dataclass(eq=False)
class _Parts:
    """Connected parts, their classes, sizes and borders; those that were joined point to where they are."""

    labels: np.ndarray
    classes: list[int]
    sizes: list[int]
    borders: list[dict[int, int]]
    at_edge: set[int]
    nothing: int
    inside: list[int]

    @classmethod
    def of(cls, classes: np.ndarray, nothing: int) -> _Parts:
        labels = np.zeros(classes.shape, np.int64)
        numbers: list[int] = []
        for number in np.unique(classes).tolist():
            found, count = ndimage.label(classes == number)
            labels[found > 0] = found[found > 0] + len(numbers) - 1
            numbers += [number] * count
        borders: list[dict[int, int]] = [{} for _ in numbers]
        for one, other, length in _borders(labels):
            borders[one][other] = borders[one].get(other, 0) + length
            borders[other][one] = borders[other].get(one, 0) + length
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        sizes = np.bincount(labels.ravel(), minlength=len(numbers)).tolist()
        return cls(labels, numbers, sizes, borders, set(rim.tolist()), nothing, list(range(len(numbers))))

    def root(self, part: int) -> int:
        while self.inside[part] != part:
            self.inside[part] = part = self.inside[self.inside[part]]
        return part

    def limit(self, part: int, least: Mapping[int, float]) -> float:
        """Size below which a part is too small."""
        if self.classes[part] == self.nothing and part in self.at_edge:
            return 0
        return least.get(self.classes[part], 0)

    def give_away(self, part: int) -> int | None:
        """Give a part to the class around it; returns the part that it is in then, None if there is none."""
        around: dict[int, int] = {}
        for neighbour, length in self.borders[part].items():
            kind = self.classes[neighbour]
            if kind != self.nothing:
                around[kind] = around.get(kind, 0) + length
        if not around:
            self._become_nothing(part)
            return None
        kind = max(around, key=lambda k: (around[k], -k))
        self.classes[part] = kind
        return self._join(part)

    def _become_nothing(self, part: int) -> None:
        if self.classes[part] != self.nothing:
            self.classes[part] = self.nothing
            self._join(part)

    def _join(self, part: int) -> int:
        """Make a part one with all neighbours of its class."""
        for other in [n for n in self.borders[part] if self.classes[n] == self.classes[part]]:
            part = self._merge(part, other)
        return part

    def _merge(self, one: int, other: int) -> int:
        """Make two neighbours one part; the one with more neighbours takes the other in."""
        if len(self.borders[one]) < len(self.borders[other]):
            one, other = other, one
        self.inside[other] = one
        self.sizes[one] += self.sizes[other]
        if other in self.at_edge:
            self.at_edge.add(one)
        for neighbour, length in self.borders[other].items():
            del self.borders[neighbour][other]
            if neighbour != one:
                self.borders[one][neighbour] = self.borders[one].get(neighbour, 0) + length
                self.borders[neighbour][one] = self.borders[neighbour].get(one, 0) + length
        self.borders[other] = {}
        return one

    def painted(self) -> np.ndarray:
        numbers = np.array([self.classes[self.root(part)] for part in range(len(self.classes))], np.uint8)
        return numbers[self.labels] if len(numbers) else np.zeros(self.labels.shape, np.uint8)


def _borders(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Pairs of parts that lie side by side, and how many edges of cells they share."""
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1),
        ]
    )
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    found, lengths = np.unique(pairs, axis=0, return_counts=True)
    return [(one, other, n) for (one, other), n in zip(found.tolist(), lengths.tolist(), strict=True)]
