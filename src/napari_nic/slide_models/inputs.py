"""From codes to what the network sees: standardised, padded with zeros, cropped, rotated and mirrored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_nic import old_names
from napari_nic.embeddings.dihedral import N_DIHEDRAL, apply_dihedral
from napari_nic.embeddings.interchange import distance_map
from napari_nic.errors import InvalidParameterError

__all__ = [
    "N_DIHEDRAL",
    "Standardiser",
    "apply_dihedral",
    "corner",
    "crop_odds",
    "draw_corner",
    "frame",
    "prediction_corners",
]

_LEAST_STD = 1e-6


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Mean and spread of every channel over the training slides' cells.

    Attributes
    ----------
    mean, std : ndarray of float32, (C,)
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, slides: Iterable[tuple[np.ndarray, np.ndarray]]) -> Self:
        """Measure the cells of (codes, mask) pairs, every cell with the same weight."""
        count, total, squares = 0, np.zeros(1), np.zeros(1)
        for codes, mask in slides:
            cells = codes[mask].astype(np.float64)
            count += len(cells)
            total = total + cells.sum(axis=0)
            squares = squares + np.square(cells).sum(axis=0)
        if count == 0:
            raise InvalidParameterError("the slides have no encoded cell to learn from")
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        std = np.where(variance > _LEAST_STD**2, np.sqrt(variance), 1)
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def apply(self, codes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return float32 (rows, cols, C): standardised cells, and 0 where the mask has none.

        Raises
        ------
        InvalidParameterError
            If the codes have another number of channels, or another shape than the mask.
        """
        if codes.shape != (*mask.shape, len(self.mean)):
            raise InvalidParameterError(
                "these codes do not fit the model",
                expected=f"(rows, cols, {len(self.mean)}) with a mask of the same rows and columns",
                found=f"codes {codes.shape}, mask {mask.shape}",
            )
        values = codes.astype(np.float32)
        values -= self.mean
        values /= self.std
        values[~mask] = 0
        return values


def frame(values: np.ndarray, top: int, left: int, shape: tuple[int, int]) -> np.ndarray:
    """Cut a window out of (rows, cols, ...) values; it may pass the edges, where it is filled with 0."""
    rows, cols = values.shape[:2]
    if (top, left, *shape) == (0, 0, rows, cols):
        return values
    window = np.zeros((*shape, *values.shape[2:]), values.dtype)
    first_row, last_row = max(0, top), min(rows, top + shape[0])
    first_col, last_col = max(0, left), min(cols, left + shape[1])
    if first_row < last_row and first_col < last_col:
        window[first_row - top : last_row - top, first_col - left : last_col - left] = values[
            first_row:last_row, first_col:last_col
        ]
    return window


def corner(shape: tuple[int, int], centre: tuple[int, int], side: int) -> tuple[int, int]:
    """Return where the crop around a cell starts; along an axis that fits whole, the slide is centred."""
    first, second = (
        (size - side) // 2 if size <= side else at - side // 2 for size, at in zip(shape, centre, strict=True)
    )
    return first, second


def draw_corner(odds: np.ndarray, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw where a training crop starts: around a cell drawn by `odds` (rows, cols)."""
    chosen = int(rng.choice(odds.size, p=odds.ravel()))
    return corner((odds.shape[0], odds.shape[1]), divmod(chosen, odds.shape[1]), side)


def crop_odds(mask: np.ndarray) -> np.ndarray:
    """Probability of each cell to be the centre of a crop, see :func:`distance_map`.

    Raises
    ------
    InvalidParameterError
        If the slide has no encoded cell.
    """
    if not mask.any():
        raise InvalidParameterError("the slide has no encoded cell", hint="compress the slide first")
    return distance_map(mask)


def prediction_corners(mask: np.ndarray, side: int, count: int) -> list[tuple[int, int]]:
    """Return corners of the crops that a slide is predicted from: centred on `count` encoded cells.

    Cells are counted in reading order. A slide that fits into one crop gets one.
    """
    cells = np.argwhere(mask)
    if not len(cells):
        return []
    picks = np.unique(np.linspace(0, len(cells) - 1, count).round().astype(int))
    shape = (mask.shape[0], mask.shape[1])
    corners = [corner(shape, (int(cells[i][0]), int(cells[i][1])), side) for i in picks]
    return list(dict.fromkeys(corners))


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
