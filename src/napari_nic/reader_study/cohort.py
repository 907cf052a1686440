"""Comparisons of many slides in one line a class: pooled areas, means over slides, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_nic.metrics import Estimate
from napari_nic.reader_study.kappa import estimate_record, over_slides
from napari_nic.reader_study.pairs import PairComparison

POOLED = ("dice", "jaccard", "sensitivity", "precision")
"""Computed from the areas of all slides together: a slide weighs by what is annotated on it."""

AVERAGED = ("dice", "boundary_mean_um", "boundary_p95_um", "boundary_max_um", "surface_dice", "auc")
"""Means over the slides on which the number is defined."""


@dataclass(frozen=True)
class ClassSummary:
    """One class of two readings over a cohort.

    Attributes
    ----------
    first, second, label : str
    n_slides : int
        Slides that both read.
    n_both, n_one : int
        Slides on which both have the class, and on which only one of them has it. Boundaries have distances
        on the first kind alone: their mean says nothing of the second kind, which may be the worse one.
    first_mm2, second_mm2, common_mm2 : float
        Sums over the slides.
    pooled : mapping of str to Estimate
        :data:`POOLED`, of all areas together.
    means : mapping of str to Estimate
        :data:`AVERAGED`, over slides. Intervals are of 95 %, from slides drawn with replacement.
    """

    first: str
    second: str
    label: str
    n_slides: int
    n_both: int
    n_one: int
    first_mm2: float
    second_mm2: float
    common_mm2: float
    pooled: dict[str, Estimate]
    means: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        return {
            "first": self.first,
            "second": self.second,
            "label": self.label,
            "slides": self.n_slides,
            "slides_with_both": self.n_both,
            "slides_with_one": self.n_one,
            "first_mm2": self.first_mm2,
            "second_mm2": self.second_mm2,
            "common_mm2": self.common_mm2,
            "pooled": {name: estimate_record(found) for name, found in self.pooled.items()},
            "mean_over_slides": {name: estimate_record(found) for name, found in self.means.items()},
        }


def summarise(comparisons: Sequence[PairComparison]) -> tuple[ClassSummary, ...]:
    """Put the comparisons of many slides together, pair by pair and class by class, in their order.

    Parameters
    ----------
    comparisons : sequence of PairComparison
        Of all slides. A slide on which neither reading has a class counts as a slide without it.
    """
    slides: dict[tuple[str, str], dict[str, None]] = {}
    groups: dict[tuple[str, str, str], dict[str, PairComparison]] = {}
    for found in comparisons:
        slides.setdefault((found.first, found.second), {})[found.slide] = None
        groups.setdefault((found.first, found.second, found.label), {})[found.slide] = found
    return tuple(_summary(key, group, list(slides[key[:2]])) for key, group in groups.items())


def _summary(
    key: tuple[str, str, str], group: Mapping[str, PairComparison], slides: Sequence[str]
) -> ClassSummary:
    areas, values = np.zeros((len(slides), 3)), np.full((len(slides), len(AVERAGED)), np.nan)
    for row, slide in enumerate(slides):
        found = group.get(slide)
        if found is not None:
            classes = found.areas
            areas[row] = classes.first_mm2, classes.second_mm2, classes.common_mm2
            values[row] = [found.auc if name == "auc" else getattr(classes, name) for name in AVERAGED]
    covered = areas[:, :2] > 0
    first, second, common = (float(total) for total in areas.sum(axis=0))
    return ClassSummary(
        *key,
        len(slides),
        int(covered.all(axis=1).sum()),
        int((covered.sum(axis=1) == 1).sum()),
        first,
        second,
        common,
        {name: over_slides(_pooled(areas, name), slides) for name in POOLED},
        {name: over_slides(_mean(values[:, k]), slides) for k, name in enumerate(AVERAGED)},
    )


def _pooled(areas: np.ndarray, name: str) -> Callable[[np.ndarray], float]:
    def measure(chosen: np.ndarray) -> float:
        first, second, common = areas[chosen].sum(axis=0)
        part, whole = {
            "dice": (2 * common, first + second),
            "jaccard": (common, first + second - common),
            "sensitivity": (common, first),
            "precision": (common, second),
        }[name]
        return float(part / whole) if whole else float("nan")

    return measure


def _mean(values: np.ndarray) -> Callable[[np.ndarray], float]:
    def measure(chosen: np.ndarray) -> float:
        known = values[chosen]
        known = known[~np.isnan(known)]
        return float(known.mean()) if len(known) else float("nan")

    return measure
