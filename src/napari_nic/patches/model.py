"""What training and evaluation ask of a set of patches, whatever it is stored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

ADJACENT_SHARE = 0.75
"""Of the pairs of different patches, those that lie side by side; the rest is of two slides (Tellez et al.
2019, section 3.1)."""


@dataclass(frozen=True, eq=False)
class PatchBatch:
    """Patches drawn together.

    Attributes
    ----------
    images : ndarray of uint8, (n, s, s, 3), RGB
    labels : ndarray of int64, (n,), or None
        Index into the set's class names.
    numbers : ndarray of int64, (n,), or None
        Of a :class:`FixedPatches`, which of its patches they are; None where patches are cut anywhere.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    numbers: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Pairs of patches for contrastive training.

    Attributes
    ----------
    first, second : ndarray of uint8, (n, s, s, 3), RGB
    same : ndarray of bool, (n,)
        Whether both are of the same place.
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray


class PatchSource(Protocol):
    """A set of patches to draw from.

    Everything random comes from the generator that is passed in, so that a training run that is resumed
    with the generator of its step sees the patches that it would have seen.
    """

    @property
    def size(self) -> int:
        """Side of a patch in pixels."""
        ...

    @property
    def mpp(self) -> float:
        """Resolution, um/px."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty for a set without labels."""
        ...

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Draw patches; of a labelled set as many of each class as of any other, in expectation."""
        ...

    def draw_pairs(self, count: int, rng: np.random.Generator) -> PairBatch:
        """Draw pairs, half of them of the same place, in random order."""
        ...


@runtime_checkable
class FixedPatches(Protocol):
    """A source of patches that are the same ones whenever they are drawn, so that they can be numbered."""

    def __len__(self) -> int:
        """Count them."""
        ...

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Return patches by number, (n, s, s, 3) uint8."""
        ...
