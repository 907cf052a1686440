"""Where to draw next: the place that a probe knows least about, away from what is labelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, uniform_filter

from napari_nic.probe.applying import CellClasses

AWAY_CELLS = 3
"""No closer to a labelled cell, or to a place that was shown before, than so many cells."""

AROUND_CELLS = 3
"""Side of the square over which uncertainty is averaged: a place, not a single odd patch."""


def least_certain(
    found: CellClasses,
    labelled: np.ndarray,
    shown: Sequence[tuple[int, int]] = (),
    *,
    away: int = AWAY_CELLS,
) -> tuple[int, int] | None:
    """Return the cell in the middle of the place that is least certain.

    Parameters
    ----------
    found : CellClasses
        All cells classified.
    labelled : ndarray of int, (n, 2)
        (row, col) of labelled cells.
    shown : sequence of (int, int)
        Cells that were shown before; other places come first.
    away : int
        Least distance to all of these, in cells.

    Returns
    -------
    (row, col), or None if no cell is left
        Of equals the first one, row by row.
    """
    resident = found.resident
    encoded = resident.encoded
    taken = np.zeros(resident.shape, bool)
    for row, col in (*np.asarray(labelled, int).reshape(-1, 2).tolist(), *shown):
        taken[row, col] = True
    free = encoded & (distance_transform_edt(~taken) > away) if taken.any() else encoded
    if not free.any():
        return None
    doubt = _averaged(resident.raster(found.uncertainty), encoded)
    row, col = np.unravel_index(np.where(free, doubt, -1).argmax(), doubt.shape)
    return int(row), int(col)


def _averaged(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over the marked cells of the square around each cell, and 0 where a square holds less than half.

    At the edge of tissue a patch is half glass: uncertain, but nothing to learn from.
    """
    weight = uniform_filter(mask.astype(np.float64), AROUND_CELLS, mode="constant")
    sums = uniform_filter(np.where(mask, values, 0).astype(np.float64), AROUND_CELLS, mode="constant")
    return np.asarray(np.where(weight > 0, sums / np.maximum(weight, 0.5), 0))
