"""How well a map of values agrees with an annotated area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.errors import InvalidParameterError


@dataclass(frozen=True)
class Agreement:
    """Agreement of a map with an area, over the valid cells.

    Attributes
    ----------
    auc : float
        Pixel AUC: probability that a cell inside has a higher value than one outside, ties counting half;
        NaN if no cell is outside.
    jaccard, dice : float
        Of the cells whose value is at least `threshold` with the area.
    threshold : float
        Given, or the one with the highest Jaccard index.
    n_inside, n_cells : int
        Cells in the area, and in all.
    """

    auc: float
    jaccard: float
    dice: float
    threshold: float
    n_inside: int
    n_cells: int


def agreement(
    values: np.ndarray,
    mask: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    threshold: float | None = None,
) -> Agreement:
    """Compare a map with an area.

    Parameters
    ----------
    values : ndarray of float, (rows, cols)
        High where the map says "inside".
    mask : ndarray of bool, (rows, cols)
        The area, for instance ``rasterise(...) >= 0.5``.
    valid : ndarray of bool, (rows, cols), optional
        Cells that count, for instance the encoded ones.
    threshold : float, optional
        Values at least this are "inside"; by default the one that gives the highest Jaccard index, which
        is an optimistic number and should be called so.

    Raises
    ------
    InvalidParameterError
        If shapes differ, a valid value is not finite, or no valid cell is in the area.
    """
    flat, inside = _selected(values, mask, valid)
    levels, level_of = np.unique(flat, return_inverse=True)
    positives = np.bincount(level_of[inside], minlength=len(levels))
    negatives = np.bincount(level_of[~inside], minlength=len(levels))
    # Cells at or above each level.
    hits, false_alarms = positives[::-1].cumsum()[::-1], negatives[::-1].cumsum()[::-1]
    n_inside, n_outside = int(positives.sum()), int(negatives.sum())
    if threshold is None:
        best = int(np.argmax(hits / (n_inside + false_alarms)))
        threshold = float(levels[best])
    chosen = flat >= threshold
    hit, false_alarm = int((chosen & inside).sum()), int((chosen & ~inside).sum())
    return Agreement(
        auc=_auc(positives, negatives),
        jaccard=hit / (n_inside + false_alarm),
        dice=2 * hit / (n_inside + hit + false_alarm),
        threshold=threshold,
        n_inside=n_inside,
        n_cells=n_inside + n_outside,
    )


def _auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Rank statistic (Mann-Whitney U over all pairs) from counts per distinct value, in rising order."""
    pairs = int(positives.sum()) * int(negatives.sum())
    if pairs == 0:
        return float("nan")
    below = negatives.cumsum() - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)


def _selected(
    values: np.ndarray, mask: np.ndarray, valid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    valid = np.ones(values.shape, bool) if valid is None else np.asarray(valid, bool)
    if not values.shape == mask.shape == valid.shape:
        raise InvalidParameterError(
            "the map and the area have different shapes", found=f"{values.shape}, {mask.shape}, {valid.shape}"
        )
    flat, inside = np.asarray(values)[valid].astype(np.float64), np.asarray(mask, bool)[valid]
    if not np.isfinite(flat).all():
        raise InvalidParameterError(
            "the map has values that are not finite", hint="leave them out by `valid`"
        )
    if not inside.any():
        raise InvalidParameterError("no valid cell lies in the annotated area")
    return flat, inside
