"""Where the features of stacked 3 x 3 convolutions lie on the grid of cells.

With valid padding feature 0 of a layer does not lie on cell 0: after one layer of stride 2, feature i sees
the cells 2i to 2i + 2 and is centred on 2i + 1. Every map of features goes back to cells through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

KERNEL = 3


@dataclass(frozen=True)
class FeatureGrid:
    """Feature i sees cells [i * step, i * step + field) and is centred on cell i * step + start.

    Attributes
    ----------
    step : int
        Cells between neighbouring features.
    field : int
        Cells that one feature sees, along one axis (odd).
    """

    step: int
    field: int

    @classmethod
    def after(cls, strides: Sequence[int]) -> Self:
        """Describe the output of convolutions 3 x 3, valid padding, with these strides."""
        step, field = 1, 1
        for stride in strides:
            field += (KERNEL - 1) * step
            step *= stride
        return cls(step, field)

    @property
    def start(self) -> int:
        """Cell that feature 0 is centred on."""
        return (self.field - 1) // 2

    def size(self, cells: int) -> int:
        """Count the features along an axis of so many cells."""
        return max(0, (cells - self.field) // self.step + 1)

    def covering(self, cells: int) -> int:
        """Input side whose features, after `start` cells of padding, are centred from cell 0 to the last."""
        count = -(-(cells - 1) // self.step) + 1
        return self.field + (count - 1) * self.step

    def to_cells(
        self, features: np.ndarray, shape: tuple[int, int], *, inset: tuple[int, int] = (0, 0)
    ) -> np.ndarray:
        """Interpolate a map of features linearly at the centres of cells.

        Parameters
        ----------
        features : ndarray of float, (h, w) or (h, w, K)
        shape : (int, int)
            (rows, cols) of cells that are wanted.
        inset : (int, int)
            Where cell [0, 0] lies in the network's input (padding above and left of it).

        Returns
        -------
        ndarray of float32, (rows, cols) or (rows, cols, K)
            Beyond the outermost features their values are repeated.
        """
        by_row = self._weights(shape[0], features.shape[0], inset[0])
        by_col = self._weights(shape[1], features.shape[1], inset[1])
        rows = np.tensordot(by_row, features.astype(np.float32), axes=(1, 0))
        cells = np.tensordot(rows, by_col, axes=(1, 1))
        # tensordot puts the columns last; a third axis of the features stays in between.
        return np.ascontiguousarray(np.moveaxis(cells, -1, 1))

    def _weights(self, cells: int, count: int, inset: int) -> np.ndarray:
        """Return the matrix (cells, count) that interpolates along one axis."""
        at = np.clip((np.arange(cells) + inset - self.start) / self.step, 0, count - 1)
        below = np.floor(at).astype(np.intp)
        above = np.minimum(below + 1, count - 1)
        weights = np.zeros((cells, count), np.float32)
        part = (at - below).astype(np.float32)
        np.add.at(weights, (np.arange(cells), below), 1 - part)
        np.add.at(weights, (np.arange(cells), above), part)
        return weights
