"""How much a saliency map depends on how the slide is looked at: turned, in parts, by other models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from napari_nic.metrics import spearman
from napari_nic.slide_models.inputs import prediction_corners

N_CROPS = 4
"""Parts of a slide that are looked at alone."""

PART = 0.75
"""Height and width of a part of a slide that fits into one crop, as shares of the slide's."""

LEAST_CELLS = 8
"""Fewer cells are in no order to speak of."""


def crops_of(mask: np.ndarray, crop_size: int) -> list[np.ndarray]:
    """Cut crops out of a slide: a model's own or, if it fits into one, three quarters of each side.

    Parameters
    ----------
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    crop_size : int
        Side of the model's crops.

    Returns
    -------
    list of ndarray of bool, (rows, cols)
        At most :data:`N_CROPS`; those with fewer than :data:`LEAST_CELLS` encoded cells are left out.
    """
    rows, cols = mask.shape
    if max(rows, cols) > crop_size:
        corners = prediction_corners(mask, crop_size, N_CROPS)
        size = (crop_size, crop_size)
    else:
        size = (max(1, round(PART * rows)), max(1, round(PART * cols)))
        corners = [(top, left) for top in (0, rows - size[0]) for left in (0, cols - size[1])]
    parts = []
    for top, left in dict.fromkeys(corners):
        part = np.zeros(mask.shape, bool)
        part[max(0, top) : max(0, top + size[0]), max(0, left) : max(0, left + size[1])] = True
        if (part & mask).sum() >= LEAST_CELLS:
            parts.append(part)
    return parts


def mean_agreement(maps: Sequence[np.ndarray], mask: np.ndarray) -> float:
    """Return the mean rank correlation (Spearman) of all pairs of maps over the cells of a mask.

    A map without an order (all cells alike, or too few of them) agrees with none: 0. Not-a-number without a
    pair.
    """
    cells = [found[mask] for found in maps]
    found = [rank_correlation(*pair) for pair in combinations(cells, 2)]
    return float(np.mean(found)) if found else float("nan")


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; 0 where one side has no order, which agrees with nothing."""
    found = spearman(first, second) if len(first) >= LEAST_CELLS else float("nan")
    return 0.0 if np.isnan(found) else found


def cell_spread(maps: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Return how far each cell's rank differs between maps.

    Parameters
    ----------
    maps : sequence of ndarray of float, (rows, cols)
    mask : ndarray of bool, (rows, cols)

    Returns
    -------
    ndarray of float32, (rows, cols)
        Standard deviation over the maps of the cell's rank, as a share of all cells: 0 where all maps agree,
        0.29 is what chance gives. Not-a-number outside the mask.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(found[mask]) / max(1, int(mask.sum())) for found in maps])
    spread = np.full(mask.shape, np.nan, np.float32)
    spread[mask] = ranks.std(axis=0)
    return spread
