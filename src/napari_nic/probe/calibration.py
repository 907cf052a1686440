"""One temperature that makes probabilities of scores, chosen on strokes that the scores never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

HOTTEST = 1e6
"""Temperature where the scores are no better than chance: all classes are then equally likely."""

_STEEPEST = 1e12


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of the cells of one stroke, and what its class is.

    Attributes
    ----------
    scores : ndarray of float64, (n, K)
    truth : int
        Number of the stroke's class.
    strokes : int
        How many strokes its class has.
    """

    scores: np.ndarray
    truth: int
    strokes: int


def fit_temperature(held_out: Sequence[HeldOut]) -> float:
    """Choose the temperature under which the strokes' classes are most likely.

    Parameters
    ----------
    held_out : sequence of HeldOut
        At least one.

    Returns
    -------
    float
        Above 0; probabilities are softmax(scores / temperature).

    Notes
    -----
    Guo et al. 2017. Classes count alike, in them strokes, in these cells. What is aimed at is not certainty
    but (S + 1) / (S + K) for a class of S strokes among K (Laplace's rule; Platt 1999 does so with cells, but
    the cells of one stroke are one piece of evidence): three strokes that are all told right do not make a
    probability of 1.
    """
    scores, targets, weights = _gathered(held_out)
    aim = float(weights @ (targets * scores).sum(axis=1))

    def slope(sharpness: float) -> float:
        """Return the derivative of the weighted cross entropy, which rises with `sharpness`."""
        return float(weights @ (softmax(sharpness * scores, axis=1) * scores).sum(axis=1)) - aim

    if slope(0) >= 0:
        return HOTTEST
    upper = 1e-3
    while slope(upper) < 0 and upper < _STEEPEST:
        upper *= 4
    if upper >= _STEEPEST:
        return 1 / _STEEPEST
    return 1 / max(float(brentq(slope, 0, upper, rtol=1e-6)), 1 / HOTTEST)


def cross_entropy(held_out: Sequence[HeldOut], temperature: float) -> float:
    """Weighted cross entropy with the targets of :func:`fit_temperature`, in nats."""
    scores, targets, weights = _gathered(held_out)
    scaled = scores / temperature
    return float(weights @ (logsumexp(scaled, axis=1) - (targets * scaled).sum(axis=1)))


def _gathered(held_out: Sequence[HeldOut]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, K), targets (n, K) and weights (n,) of all cells; scores are taken from each cell's best."""
    classes = len({stroke.truth for stroke in held_out})
    targets, weights = [], []
    for stroke in held_out:
        count, kinds = stroke.scores.shape
        target = np.full(kinds, 1 / (stroke.strokes + kinds))
        target[stroke.truth] += stroke.strokes / (stroke.strokes + kinds)
        targets.append(np.tile(target, (count, 1)))
        weights.append(np.full(count, 1 / (classes * _of_class(held_out, stroke.truth) * count)))
    scores = np.concatenate([stroke.scores for stroke in held_out])
    return scores - scores.max(axis=1, keepdims=True), np.concatenate(targets), np.concatenate(weights)


def _of_class(held_out: Sequence[HeldOut], truth: int) -> int:
    return sum(stroke.truth == truth for stroke in held_out)
