"""How well scores order slides: AUC, rank correlation, concordance; and how sure a number of a cohort is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
COVERAGE = 0.95

_LEAST = 2
"""Values that can be in an order."""


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
    from scipy.stats import rankdata

    above = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def spearman(scores: np.ndarray, values: np.ndarray) -> float:
    """Rank correlation; nan where one side is constant."""
    if len(scores) < _LEAST or np.ptp(scores) == 0 or np.ptp(values) == 0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(scores, values).statistic)


def mean_class_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of each one's AUC against the rest; nan where no class can be scored.

    Parameters
    ----------
    scores : ndarray of float, (N, K)
    labels : ndarray of int, (N,)
    """
    each = [auc(scores[:, k], labels == k) for k in range(scores.shape[1])]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def concordance(
    risks: np.ndarray, times: np.ndarray, events: np.ndarray, groups: np.ndarray | None = None
) -> float:
    """Harrell's concordance index: share of comparable pairs in which the earlier event has the higher risk.

    Parameters
    ----------
    risks, times : ndarray of float, (N,)
    events : ndarray of bool, (N,)
    groups : ndarray of int, (N,), optional
        Pairs are formed within a group only: risks of several models have no common scale.

    Returns
    -------
    float
        Equal risks count half; nan where no pair is comparable.

    Notes
    -----
    A pair is comparable where the earlier time is an event, or where times are equal and one of both is an
    event and the other is not (which then lasted longer).
    """
    dead = np.flatnonzero(events)
    later = (times > times[dead, None]) | ((times == times[dead, None]) & ~events)
    if groups is not None:
        later &= groups == groups[dead, None]
    pairs = np.count_nonzero(later)
    lower = np.count_nonzero(later & (risks < risks[dead, None]))
    equal = np.count_nonzero(later & (risks == risks[dead, None]))
    return (lower + equal / 2) / pairs if pairs else float("nan")


METRIC_NAMES: dict[str, str] = {"classification": "auc", "regression": "spearman", "survival": "c_index"}
"""What :func:`ranking` measures."""


def ranking(task: str, scores: np.ndarray, labels: np.ndarray, events: np.ndarray) -> float:
    """Tell how well scores order slides; 1 is best, nan where it cannot be told.

    Parameters
    ----------
    task : {"classification", "regression", "survival"}
        Measured by the mean AUC over classes, Spearman's correlation, the concordance index.
    scores : ndarray of float, (N, K)
    labels : ndarray of float, (N,)
    events : ndarray of bool, (N,)
    """
    if task == "classification":
        return mean_class_auc(scores, labels)
    if task == "regression":
        return spearman(scores[:, 0], labels)
    return concordance(scores[:, 0], labels, events)


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval.

    Attributes
    ----------
    value : float
    low, high : float
        Ends of the interval that holds 95 % of the values of resampled cohorts; nan where none has one.
    """

    value: float
    low: float
    high: float


def bootstrapped(
    measure: Callable[[np.ndarray], float],
    cases: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Measure a cohort, and cohorts of as many cases drawn from it with replacement.

    Parameters
    ----------
    measure : callable
        From indices of slides (some more than once) to a number, or nan where it is not defined.
    cases : sequence of str, (N,)
        Of each slide; slides of a case are drawn together, since they are no independent evidence.
    resamples : int
    seed : int
    """
    names, numbers = np.unique(np.asarray(cases), return_inverse=True)
    members = [np.flatnonzero(numbers == k) for k in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(members), size=len(members)) for _ in range(resamples))
    values = np.array([measure(np.concatenate([members[k] for k in chosen])) for chosen in drawn])
    known = values[~np.isnan(values)]
    tails = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
    low, high = np.quantile(known, tails) if len(known) else (np.nan, np.nan)
    return Estimate(float(measure(np.arange(len(numbers)))), float(low), float(high))
