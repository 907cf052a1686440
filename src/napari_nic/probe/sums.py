"""Sums over labelled cells, to which strokes are added and from which they are taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from napari_nic.probe.strokes import Stroke


@dataclass(eq=False)
class GramSums:
    """Numbers, sums and the Gram matrix of labelled codes.

    Attributes
    ----------
    origin : ndarray of float64, (C,)
        Subtracted from all codes, so that nothing is lost to rounding where their mean is far from 0.
    gram : ndarray of float64, (C, C)
        Sum of x x' over all cells of all classes.
    counts : dict of str to int
    sums : dict of str to ndarray of float64, (C,)
        By class; a class without cells is not there.

    Notes
    -----
    What a linear discriminant needs of its cells are these sums alone. They are additive, so a stroke costs
    as much as its own cells when it is drawn or undone, however many there are of others.
    """

    origin: np.ndarray
    gram: np.ndarray = field(init=False)
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gram = np.zeros((len(self.origin),) * 2)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that have cells, in alphabetical order."""
        return tuple(sorted(self.counts))

    @property
    def total(self) -> int:
        """Number of cells."""
        return sum(self.counts.values())

    def centred(self, stroke: Stroke) -> np.ndarray:
        """Codes of a stroke as they are summed: float64 (n, C)."""
        return np.asarray(stroke.codes - self.origin, np.float64)

    def add(self, stroke: Stroke) -> None:
        """Learn from a stroke."""
        codes = self.centred(stroke)
        self.gram += codes.T @ codes
        self.counts[stroke.label] = self.counts.get(stroke.label, 0) + len(codes)
        self.sums[stroke.label] = self.sums.get(stroke.label, 0) + codes.sum(axis=0)

    def remove(self, stroke: Stroke) -> None:
        """Forget a stroke that was added."""
        codes = self.centred(stroke)
        self.gram -= codes.T @ codes
        self.counts[stroke.label] -= len(codes)
        self.sums[stroke.label] = self.sums[stroke.label] - codes.sum(axis=0)
        if self.counts[stroke.label] == 0:
            del self.counts[stroke.label], self.sums[stroke.label]

    def add_all(self, strokes: Iterable[Stroke]) -> None:
        """Learn from several strokes."""
        for stroke in strokes:
            self.add(stroke)
