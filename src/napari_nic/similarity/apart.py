"""The best cells that do not lie next to each other: non-maximum suppression in micrometres."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

FIRST = 256
"""Candidates that are looked at first; eight times as many each time that they do not suffice."""


def pick_apart(
    values: np.ndarray,
    most: int,
    apart_um: float,
    step_um: tuple[float, float],
    blocked: np.ndarray | None = None,
) -> np.ndarray:
    """Pick cells greedily, the highest value first, none within a distance of one that was picked.

    Parameters
    ----------
    values : ndarray of float, (rows, cols)
        Minus infinity where there is no cell.
    most : int
        So many at most.
    apart_um : float
        Centres of two cells are at least so far from each other; 0 for any distance.
    step_um : (float, float)
        (y, x) between neighbouring cells.
    blocked : ndarray of bool, (rows, cols), optional
        Cells that are not to be picked.

    Returns
    -------
    ndarray of int, (n, 2)
        (row, col), in falling order of their values; equal values in the order of rows, then columns.
    """
    taken = np.zeros(values.shape, bool) if blocked is None else blocked.copy()
    flat = values.ravel()
    usable = int(np.count_nonzero(np.isfinite(flat)))
    picked: list[tuple[int, int]] = []
    wanted = max(FIRST, 4 * most)
    while len(picked) < most:
        for index in _best(flat, min(wanted, usable)).tolist():
            row, col = divmod(index, values.shape[1])
            if taken[row, col]:
                continue
            picked.append((row, col))
            _block(taken, row, col, apart_um, step_um)
            if len(picked) == most:
                break
        if wanted >= usable:
            break
        wanted *= 8
    return np.array(picked, int).reshape(-1, 2)


def _best(flat: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` highest values in falling order, and of all that equal the last of them."""
    if count == 0:
        return np.empty(0, int)
    least = np.partition(flat, len(flat) - count)[len(flat) - count]
    candidates = np.flatnonzero((flat >= least) & np.isfinite(flat))
    return candidates[np.argsort(-flat[candidates], kind="stable")]


def _block(taken: np.ndarray, row: int, col: int, apart_um: float, step_um: tuple[float, float]) -> None:
    """Mark a cell and those whose centres are nearer than a distance, in place."""
    reach_y, reach_x = (int(apart_um / step) for step in step_um)
    top, left = max(0, row - reach_y), max(0, col - reach_x)
    window = taken[top : row + reach_y + 1, left : col + reach_x + 1]
    y = (np.arange(window.shape[0]) + top - row) * step_um[0]
    x = (np.arange(window.shape[1]) + left - col) * step_um[1]
    window |= np.hypot(y[:, None], x[None, :]) < apart_um
    taken[row, col] = True


def near(cells: np.ndarray, apart_um: float, step_um: tuple[float, float]) -> np.ndarray:
    """Return the cells of a mask and those whose centres are nearer to one of them than a distance.

    Parameters
    ----------
    cells : ndarray of bool, (rows, cols)
    apart_um : float
    step_um : (float, float)

    Returns
    -------
    ndarray of bool, (rows, cols)
    """
    if not cells.any() or apart_um <= 0:
        return cells.copy()
    distance = distance_transform_edt(~cells, sampling=step_um)
    return np.asarray((distance < apart_um) | cells)
