"""How well scores order slides, for choosing the best epoch."""

from __future__ import annotations

import numpy as np


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 1; equal values share the mean of their ranks. ndarray of float64, (N,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve (Mann-Whitney); nan where one of both classes is missing.

    Parameters
    ----------
    scores : ndarray of float, (N,)
    positive : ndarray of bool, (N,)
    """
    n_positive = int(np.count_nonzero(positive))
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    above = ranks(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def spearman(scores: np.ndarray, values: np.ndarray) -> float:
    """Rank correlation; nan where one side is constant."""
    first, second = ranks(scores), ranks(values)
    if not first.std() or not second.std():
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def mean_class_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of each one's AUC against the rest; nan where no class can be judged.

    Parameters
    ----------
    scores : ndarray of float, (N, K)
    labels : ndarray of int, (N,)
    """
    each = [auc(scores[:, k], labels == k) for k in range(scores.shape[1])]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
