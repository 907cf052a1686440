"""Agreement of readers beyond chance: Cohen's kappa of two, Fleiss' kappa of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.metrics import Estimate, bootstrapped

Weights = Literal["none", "linear", "quadratic"]

FEWEST_READERS = 2

FEWEST_SLIDES = 2
"""To draw from with replacement: an interval of one slide would say nothing."""


@dataclass(frozen=True)
class KappaResult:
    """Agreement of readers on units (cells or objects) of all slides.

    Attributes
    ----------
    classes : tuple of str
    readers : tuple of str
    weights : {"none", "linear", "quadratic"}
        Of Cohen's kappa.
    pairs : tuple of (str, str, Estimate)
        Cohen's kappa of each pair of readers.
    fleiss : Estimate
        Of all readers together; without weights.
    n_units, n_slides : int
    """

    classes: tuple[str, ...]
    readers: tuple[str, ...]
    weights: Weights
    pairs: tuple[tuple[str, str, Estimate], ...]
    fleiss: Estimate
    n_units: int
    n_slides: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        pairs = [
            {"first": first, "second": second} | estimate_record(found) for first, second, found in self.pairs
        ]
        return {
            "classes": list(self.classes),
            "readers": list(self.readers),
            "weights": self.weights,
            "cohen": pairs,
            "fleiss": estimate_record(self.fleiss),
            "units": self.n_units,
            "slides": self.n_slides,
        }


def estimate_record(found: Estimate) -> dict[str, float | None]:
    """JSON form of a number with its interval; None for NaN."""
    parts = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if value != value else value for name, value in parts.items()}


def cohen_kappa(table: np.ndarray, weights: Weights = "none") -> float:
    """Return Cohen's kappa of a table of counts.

    Parameters
    ----------
    table : ndarray of int, (K, K)
        Units by the class that the first reader gave (rows) and the second one (columns).
    weights : {"none", "linear", "quadratic"}
        How much a disagreement counts: all alike, by the distance of the classes' places, or by its square.

    Returns
    -------
    float
        1 is full agreement, 0 what chance gives; NaN where no disagreement was to be expected, since both
        readers gave all units one class, or there are no units.

    Notes
    -----
    Cohen 1960 (Educ Psychol Meas 20:37), Cohen 1968 (Psychol Bull 70:213) for weights.
    """
    if weights not in get_args(Weights):
        raise InvalidParameterError(
            "unknown weights", expected=", ".join(get_args(Weights)), found=repr(weights)
        )
    counts = np.asarray(table, np.float64)
    total = counts.sum()
    if total == 0:
        return float("nan")
    place = np.arange(len(counts))
    apart = np.abs(place[:, None] - place[None, :])
    weight = {"none": (apart > 0).astype(float), "linear": apart, "quadratic": apart**2}[weights]
    expected = float((weight * np.outer(counts.sum(axis=1), counts.sum(axis=0))).sum() / total)
    return 1 - float((weight * counts).sum()) / expected if expected else float("nan")


def fleiss_kappa(counts: np.ndarray) -> float:
    """Return Fleiss' kappa of several readers.

    Parameters
    ----------
    counts : ndarray of int, (N, K)
        How many readers gave each unit each class; every unit has as many readers.

    Returns
    -------
    float
        NaN where all units have one class, or there are none.

    Raises
    ------
    InvalidParameterError
        If units have different numbers of readers, or fewer than two.

    Notes
    -----
    Fleiss 1971 (Psychol Bull 76:378).
    """
    counts = np.asarray(counts, np.float64)
    readers = counts.sum(axis=1)
    if len(counts) and (readers[0] < FEWEST_READERS or (readers != readers[0]).any()):
        raise InvalidParameterError(
            "every unit needs as many readers, two at least", found=f"{sorted(set(readers.tolist()))[:4]}"
        )
    return _fleiss(len(counts), float((counts**2).sum()), counts.sum(axis=0))


def _fleiss(units: int, squares: float, votes: np.ndarray) -> float:
    """Return it from sums over units: their number, the squares of all counts, the votes of each class."""
    if not units:
        return float("nan")
    readers = votes.sum() / units
    observed = (squares / units - readers) / (readers * (readers - 1))
    expected = float(((votes / votes.sum()) ** 2).sum())
    return float((observed - expected) / (1 - expected)) if expected < 1 else float("nan")


def kappa_of_readers(
    units: Sequence[np.ndarray],
    slides: Sequence[str],
    classes: Sequence[str],
    readers: Sequence[str],
    *,
    weights: Weights = "none",
) -> KappaResult:
    """Measure the agreement of readers, with intervals of 95 % over slides drawn with replacement.

    Parameters
    ----------
    units : sequence of ndarray of int, (n, R)
        Of each slide: number of the class that each reader gave to each unit.
    slides : sequence of str
    classes : sequence of str
        By number; for weights they must be in order.
    readers : sequence of str
    weights : {"none", "linear", "quadratic"}
        Of Cohen's kappa.
    """
    count = len(classes)
    pairs = []
    for a, b in combinations(range(len(readers)), 2):
        tables = np.array([_table(one[:, a], one[:, b], count) for one in units])
        found = over_slides(_total(tables, weights), slides)
        pairs.append((readers[a], readers[b], found))
    votes = [_votes(one, count) for one in units]
    sums = np.array([[len(v), (v**2).sum(), *v.sum(axis=0)] for v in votes], np.float64).reshape(
        -1, count + 2
    )
    fleiss = over_slides(lambda chosen: _fleiss_of(sums[chosen].sum(axis=0)), slides)
    n_units = sum(len(one) for one in units)
    return KappaResult(tuple(classes), tuple(readers), weights, tuple(pairs), fleiss, n_units, len(slides))


def _fleiss_of(sums: np.ndarray) -> float:
    return _fleiss(int(sums[0]), float(sums[1]), sums[2:])


def _total(tables: np.ndarray, weights: Weights) -> Callable[[np.ndarray], float]:
    return lambda chosen: cohen_kappa(tables[chosen].sum(axis=0), weights)


def over_slides(measure: Callable[[np.ndarray], float], slides: Sequence[str]) -> Estimate:
    """Measure all slides together, with an interval over slides; of one slide there is none."""
    if len(set(slides)) < FEWEST_SLIDES:
        return Estimate(float(measure(np.arange(len(slides)))), float("nan"), float("nan"))
    return bootstrapped(measure, slides)


def _table(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(first * count + second, minlength=count * count).reshape(count, count)


def _votes(units: np.ndarray, count: int) -> np.ndarray:
    """How many readers gave each unit each class: int (n, K)."""
    return np.stack([(units == k).sum(axis=1) for k in range(count)], axis=1)
