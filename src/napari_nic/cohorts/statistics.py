"""How good scores are: intervals, calibration, survival curves and results by lesion size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from napari_nic.metrics import auc

BINS = 5
"""Of a calibration curve, with as many slides each."""

SHARE_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of lesion sizes that are shares of the tissue."""

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)

POSITIVE_ABOVE = 0.5
"""Probability from which a slide is taken for positive."""


def confusion(labels: np.ndarray, found: np.ndarray, count: int) -> np.ndarray:
    """Count slides of each class (rows) by the class that was found (columns): int (K, K)."""
    table = np.zeros((count, count), int)
    np.add.at(table, (labels.astype(int), found.astype(int)), 1)
    return table


def balanced_accuracy(labels: np.ndarray, found: np.ndarray) -> float:
    """Mean over the classes that are there of the share of their slides that was found."""
    return float(np.mean([np.mean(found[labels == label] == label) for label in np.unique(labels)]))


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say.

    Attributes
    ----------
    predicted, observed : tuple of float
        Mean probability, and share of positive slides, of each bin.
    counts : tuple of int
        Slides of each bin.
    brier : float
        Mean squared difference of probability and outcome.
    error : float
        Mean difference of the bins, weighted by their slides (expected calibration error).
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]
    brier: float
    error: float


def calibration(probabilities: np.ndarray, positive: np.ndarray, *, bins: int = BINS) -> Calibration:
    """Compare probabilities (N,) with outcomes, bool (N,), in bins of as many slides each."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    predicted = [float(probabilities[part].mean()) for part in parts]
    observed = [float(positive[part].mean()) for part in parts]
    counts = [len(part) for part in parts]
    differences = np.abs(np.array(predicted) - np.array(observed))
    return Calibration(
        tuple(predicted),
        tuple(observed),
        tuple(counts),
        float(np.mean((probabilities - positive) ** 2)),
        float(np.average(differences, weights=counts)),
    )


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan and Meier's estimate.

    Attributes
    ----------
    times, shares : tuple of float
        From each time on, this share is without the event; starts at (0, 1).
    cases, events : int
    """

    times: tuple[float, ...]
    shares: tuple[float, ...]
    cases: int
    events: int


def kaplan_meier(times: np.ndarray, events: np.ndarray) -> SurvivalCurve:
    """Estimate the share without the event from times (N,) and observed events, bool (N,)."""
    curve = stats.ecdf(_censored(times, events)).sf
    return SurvivalCurve(
        (0.0, *(float(time) for time in curve.quantiles)),
        (1.0, *(float(share) for share in curve.probabilities)),
        len(times),
        int(events.sum()),
    )


def log_rank(times: np.ndarray, events: np.ndarray, high: np.ndarray) -> float:
    """p of the log-rank test between the cases marked `high`, bool (N,), and the others.

    nan where a group is empty or there is no event at all.
    """
    if high.all() or not high.any() or not events.any():
        return float("nan")
    groups = (_censored(times[part], events[part]) for part in (high, ~high))
    return float(stats.logrank(*groups).pvalue)


@dataclass(frozen=True)
class SizeBin:
    """How well lesions of a range of sizes are found.

    Attributes
    ----------
    low, high : float
        Sizes above the first and up to the second.
    slides : int
    auc : float
        Against all slides without a lesion.
    found : float
        Share of the slides that were taken for positive.
    """

    low: float
    high: float
    slides: int
    auc: float
    found: float


def by_size(scores: np.ndarray, positive: np.ndarray, sizes: np.ndarray) -> tuple[SizeBin, ...]:
    """Measure lesions by size (Fig. 8 of Tellez et al. 2019).

    Parameters
    ----------
    scores : ndarray of float, (N,)
        Probabilities of the positive class.
    positive : ndarray of bool, (N,)
    sizes : ndarray of float, (N,)
        Of the positive slides' lesions; nan where not known. Shares (at most 1) are put into fixed bins,
        other sizes into quarters.
    """
    known = positive & ~np.isnan(sizes)
    if not known.any() or positive.all():
        return ()
    found = sizes[known]
    edges = SHARE_EDGES if found.max() <= 1 else np.unique(np.quantile(found, QUARTERS)).tolist()
    bins = []
    for number, (low, high) in enumerate(pairwise(edges)):
        # The lowest bin holds its lower end too.
        inside = known & (sizes <= high) & ((sizes > low) | ((number == 0) & (sizes == low)))
        if inside.any():
            chosen = inside | ~positive
            value = auc(scores[chosen], positive[chosen])
            share = float(np.mean(scores[inside] > POSITIVE_ABOVE))
            bins.append(SizeBin(float(low), float(high), int(inside.sum()), value, share))
    return tuple(bins)


def _censored(times: np.ndarray, events: np.ndarray) -> stats.CensoredData:
    return stats.CensoredData.right_censored(times, ~events)
