"""A regularised linear classifier in closed form, and what it says of codes that it did not see."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from napari_nic.jobs import CancellationToken, checked

SHRINKAGE = 0.1
"""Share of the covariance that is replaced by that of independent numbers of one variance."""

_LOG_TEMPERATURES = (-3.0, 5.0)


def discriminant_scores(
    train: np.ndarray, labels: np.ndarray, codes: np.ndarray, classes: int, shrinkage: float = SHRINKAGE
) -> np.ndarray:
    """Fit linear discriminant analysis and score codes.

    Parameters
    ----------
    train : ndarray of float, (n, C)
    labels : ndarray of int, (n,)
        From 0 to `classes` - 1.
    codes : ndarray of float, (m, C)
    classes : int
    shrinkage : float
        0 to 1.

    Returns
    -------
    ndarray of float64, (m, classes)
        Logarithms of the likelihood up to a constant of each row, all classes equally likely beforehand;
        -inf for a class without training codes.

    Notes
    -----
    Friedman 1989 (J Am Stat Assoc 84:165): one covariance for all classes, shrunk towards a multiple of the
    identity. It is a closed form, so that many folds cost little, and a few wrong labels move it little.
    """
    there = np.unique(labels)
    means = np.stack([train[labels == k].mean(axis=0) for k in there]).astype(np.float64)
    residuals = train - means[np.searchsorted(there, labels)]
    covariance = residuals.T @ residuals / max(1, len(train) - len(there))
    width = len(covariance)
    spread = float(np.trace(covariance)) / width or 1.0
    covariance = (1 - shrinkage) * covariance + shrinkage * spread * np.eye(width)
    weights = np.linalg.solve(covariance, means.T)
    scores = np.full((len(codes), classes), -np.inf)
    scores[:, there] = codes @ weights - (means.T * weights).sum(axis=0) / 2
    return scores


def held_out_scores(
    codes: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    classes: int,
    *,
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Score each code by classifiers that saw no code of its fold.

    Parameters
    ----------
    codes : ndarray of float, (n, C)
    labels : ndarray of int, (n,)
    folds : ndarray of int, (n,)
    classes : int
    token : CancellationToken, optional
        Asked at each fold.

    Returns
    -------
    ndarray of float64, (n, classes)
        -inf for classes that all other folds lack.

    Notes
    -----
    Each fold is learned twice, the second time without the objects that the first one put into another
    class: wrong labels then no longer pull the classes together (Northcutt et al. 2021, J Artif Intell Res
    70:1373, prune likewise).
    """
    first = _one_round(codes, labels, folds, classes, np.ones(len(codes), bool), token)
    agreed = first.argmax(axis=1) == labels
    for label in np.unique(labels):  # a class that is never found again must not vanish
        if not agreed[labels == label].any():
            agreed |= labels == label
    return _one_round(codes, labels, folds, classes, agreed, token)


def _one_round(
    codes: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    classes: int,
    used: np.ndarray,
    token: CancellationToken | None,
) -> np.ndarray:
    scores = np.full((len(codes), classes), -np.inf)
    for fold in checked(np.unique(folds).tolist(), token):
        out = folds == fold
        train = ~out & used
        if train.any():
            scores[out] = discriminant_scores(codes[train], labels[train], codes[out], classes)
    return scores


def calibrated(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Turn scores into probabilities by the one temperature that makes the labels likeliest.

    Discriminant analysis of correlated numbers is far too sure of itself; wrong labels among those that it is
    fitted to make the temperature, if anything, higher.

    Parameters
    ----------
    scores : ndarray of float, (n, K)
        Of codes that were held out. -inf is no class.
    labels : ndarray of int, (n,)

    Returns
    -------
    ndarray of float64, (n, K)
        Rows sum to 1.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores * np.exp(-log_temperature), axis=1)[rows, labels].mean())

    best = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x
    return np.exp(log_softmax(scores * np.exp(-best), axis=1))


def folds_of_groups(groups: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Deal groups out to folds, the largest first and each to the smallest fold: int (n,)."""
    _, number = np.unique(groups, return_inverse=True)
    sizes = np.bincount(number)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold_of = np.zeros(folds, int), np.zeros(len(sizes), int)
    for group in order:
        fold_of[group] = int(filled.argmin())
        filled[fold_of[group]] += sizes[group]
    return fold_of[number]
