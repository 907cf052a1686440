"""Deletion and insertion: what a score does when the cells that a map marks are masked, or shown alone."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
"""Shares of the cells at which scores are taken: closer where few cells matter, as in a small lesion."""

N_RANDOM = 5
"""Random masks that a map is compared with."""

CLUMP = 1.5
"""Sigma in cells of the Gaussian that makes random masks clumped, as maps are: cells that are masked here and
there hurt a network that looks at neighbourhoods more than an area does."""

_STREAM = 16


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores against the share of the cells that is masked (deletion) or shown (insertion).

    Attributes
    ----------
    shares : ndarray of float64, (n,)
        From 0 to 1.
    scores : ndarray of float64, (n,)
        With the map's order of cells.
    random : ndarray of float64, (R, n)
        With random orders.
    """

    shares: np.ndarray
    scores: np.ndarray
    random: np.ndarray

    @property
    def auc(self) -> float:
        """Area under the map's curve (trapezoids)."""
        return float(np.trapezoid(self.scores, self.shares))

    @property
    def random_auc(self) -> float:
        """Area under the mean curve of the random masks."""
        return float(np.trapezoid(self.random.mean(axis=0), self.shares))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: getattr(self, name).tolist() for name in ("shares", "scores", "random")}


def measure_curves(
    score: Callable[[np.ndarray], float],
    values: np.ndarray,
    mask: np.ndarray,
    *,
    seed: int = 0,
    n_random: int = N_RANDOM,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, tuple[Curve, Curve]]:
    """Mask and show cells in the order of a map, and in random orders.

    Parameters
    ----------
    score : callable
        Score of the slide of which only these cells are left: bool (rows, cols).
    values : ndarray of float, (rows, cols)
        The map; high values go first.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    seed : int
        Of the random orders.
    n_random : int
        How many there are.
    token : CancellationToken, optional
        Asked at each score.

    Yields
    ------
    Progress
        Of orders; the curves of deletion and of insertion are what it returns.

    Raises
    ------
    InvalidParameterError
        If no cell is encoded, or there is no random order.
    CancelledError

    Notes
    -----
    Deletion and insertion of Petsiuk, Das and Saenko 2018 (RISE, section 4.1), with cells for pixels. A map
    that tells what the model uses has a low area under the deletion curve and a high one under insertion's.
    """
    if not mask.any() or n_random < 1:
        raise InvalidParameterError(
            "curves need encoded cells and random masks to compare with",
            found=f"{int(mask.sum())} cells, {n_random} random masks",
        )
    cells = np.flatnonzero(mask)
    orders = [_order(values, cells), *(_order(_clumps(mask, seed, n), cells) for n in range(n_random))]
    counts = [round(share * len(cells)) for share in SHARES]
    scores = np.empty((2, len(orders), len(counts)))
    whole, empty = score(mask), score(np.zeros_like(mask))
    scores[0, :, 0] = scores[1, :, -1] = whole
    scores[1, :, 0] = scores[0, :, -1] = empty
    for row, order in enumerate(orders):
        yield Progress(row, len(orders), "masking cells", "orders")
        for column, count in enumerate(counts[1:-1], start=1):
            for kind, kept in enumerate((order[count:], order[:count])):
                if token is not None:
                    token.checkpoint()
                scores[kind, row, column] = score(_only(kept, mask.shape))
    shares = np.array(SHARES)
    deletion, insertion = (Curve(shares, found[0], found[1:]) for found in scores)
    return deletion, insertion


def _order(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the cells (flat indices), highest value first; equal ones in reading order."""
    return cells[np.argsort(-values.ravel()[cells].astype(np.float64), kind="stable")]


def _clumps(mask: np.ndarray, seed: int, number: int) -> np.ndarray:
    noise = np.random.default_rng((_STREAM, seed, number)).standard_normal(mask.shape)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), CLUMP))


def _only(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    kept: np.ndarray = np.zeros(shape, bool)
    kept.ravel()[cells] = True
    return kept
