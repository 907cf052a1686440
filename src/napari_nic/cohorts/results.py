"""From scores of slides to results: per model, per seed, and of all models together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from napari_nic.cohorts.predictions import ScoredSlide
from napari_nic.cohorts.statistics import (
    POSITIVE_ABOVE,
    balanced_accuracy,
    by_size,
    calibration,
    confusion,
    kaplan_meier,
    log_rank,
)
from napari_nic.metrics import METRIC_NAMES, bootstrapped, concordance, ranking, spearman
from napari_nic.slide_models import Task

POSITIVE = 1
"""Of two classes, the one that scores speak for."""


@dataclass(frozen=True, eq=False)
class Table:
    """Scores as arrays.

    Attributes
    ----------
    rows : tuple of ScoredSlide
    scores : ndarray of float64, (N, K)
    labels : ndarray of float64, (N,)
    events : ndarray of bool, (N,)
    sizes : ndarray of float64, (N,)
    folds : ndarray of int, (N,)
        0 where several models were averaged.
    """

    rows: tuple[ScoredSlide, ...]
    scores: np.ndarray
    labels: np.ndarray
    events: np.ndarray
    sizes: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[ScoredSlide]) -> Table:
        """Collect rows."""
        columns = {name: np.array([getattr(r, name) for r in rows]) for name in ("label", "event", "size")}
        return cls(
            rows=tuple(rows),
            scores=np.array([row.scores for row in rows], np.float64),
            labels=columns["label"].astype(np.float64),
            events=columns["event"].astype(bool),
            sizes=columns["size"].astype(np.float64),
            folds=np.array([row.fold for row in rows]),
        )

    @property
    def cases(self) -> list[str]:
        """Case of each row."""
        return [row.case for row in self.rows]


def averaged(rows: Sequence[ScoredSlide]) -> list[ScoredSlide]:
    """Average the scores of each slide over the models that predicted it.

    Its fold stays where all of them are of one fold, else it is 0; seeds become 0.
    """
    groups: dict[str, list[ScoredSlide]] = defaultdict(list)
    for row in rows:
        groups[row.slide].append(row)
    return [_merged(group) for group in groups.values()]


def by_case(rows: Sequence[ScoredSlide]) -> list[ScoredSlide]:
    """Average the scores of the slides of each case: a patient has one time and one event."""
    groups: dict[tuple[str, int], list[ScoredSlide]] = defaultdict(list)
    for row in rows:
        groups[row.case, row.fold].append(row)
    return [_merged(group) for group in groups.values()]


def evaluate(task: Task, class_names: Sequence[str], rows: Sequence[ScoredSlide]) -> dict[str, Any]:
    """Measure all that a task asks for.

    Parameters
    ----------
    task : {"classification", "regression", "survival"}
    class_names : sequence of str
    rows : sequence of ScoredSlide
        Of all models.

    Returns
    -------
    dict
        JSON. ``runs``: each model on its test part. ``seeds``: all test parts of a seed together, with mean
        and standard deviation over seeds, as the paper reports. ``overall``: scores averaged over the models
        of a slide, with intervals from resampling cases.

    Notes
    -----
    Risks of different models have no common scale, so that pairs of cases are compared within a fold, and a
    case is of high risk if it lies above the median of its own fold's test part.
    """
    together = Table.of(averaged(rows))
    measure = {"classification": _classes, "regression": _values, "survival": _survival}[task]
    return {
        "task": task,
        "class_names": list(class_names),
        "metric": METRIC_NAMES[task],
        "slides": len(together.rows),
        "cases": len(set(together.cases)),
        "models": len({(row.fold, row.seed) for row in rows}),
        "runs": _runs(task, rows),
        "seeds": _seeds(task, rows),
        "overall": _plain(measure(together, len(class_names))),
    }


def wrongness(task: Task, table: Table) -> np.ndarray:
    """Tell how wrong each slide's score is: ndarray of float64, (N,), higher is worse.

    Classification: probability that the true class lacks. Regression: distance. Survival: share of the
    slide's comparable pairs that are in the wrong order, nan where there are none.
    """
    if task == "classification":
        return np.asarray(1 - table.scores[np.arange(len(table.rows)), table.labels.astype(int)])
    if task == "regression":
        return np.abs(table.scores[:, 0] - table.labels)
    return np.array([_discordance(table, index) for index in range(len(table.rows))])


def _discordance(table: Table, index: int) -> float:
    risks, times, events = table.scores[:, 0], table.labels, table.events
    mine = table.folds == table.folds[index]
    later = mine & (times > times[index]) & events[index]
    earlier = mine & (times < times[index]) & events
    pairs = int(later.sum() + earlier.sum())
    wrong = np.count_nonzero(risks[later] > risks[index]) + np.count_nonzero(risks[earlier] < risks[index])
    return wrong / pairs if pairs else math.nan


def _merged(group: list[ScoredSlide]) -> ScoredSlide:
    scores, spread = (
        tuple(np.mean(values, axis=0).tolist())
        for values in ([row.scores for row in group], [row.spread for row in group])
    )
    folds = {row.fold for row in group}
    fold = folds.pop() if len(folds) == 1 else 0
    return replace(group[0], fold=fold, seed=0, scores=scores, spread=spread)


def _rank(task: Task, rows: Sequence[ScoredSlide]) -> float:
    table = Table.of(by_case(rows) if task == "survival" else rows)
    if task == "survival":
        return concordance(table.scores[:, 0], table.labels, table.events, table.folds)
    return ranking(task, table.scores, table.labels, table.events)


def _runs(task: Task, rows: Sequence[ScoredSlide]) -> list[dict[str, Any]]:
    groups: dict[tuple[int, int], list[ScoredSlide]] = defaultdict(list)
    for row in rows:
        groups[row.fold, row.seed].append(row)
    return [
        {"fold": fold, "seed": seed, "slides": len(group), METRIC_NAMES[task]: _known(_rank(task, group))}
        for (fold, seed), group in sorted(groups.items())
    ]


def _seeds(task: Task, rows: Sequence[ScoredSlide]) -> dict[str, Any]:
    seeds = sorted({row.seed for row in rows})
    values = [_rank(task, averaged([row for row in rows if row.seed == seed])) for seed in seeds]
    return {
        "seeds": seeds,
        METRIC_NAMES[task]: [_known(value) for value in values],
        "mean": _known(float(np.mean(values))),
        "std": _known(float(np.std(values))),
    }


def _classes(table: Table, count: int) -> dict[str, Any]:
    # With two classes the one cut is at a half; with more the highest score wins, which is the same for two.
    found = table.scores.argmax(axis=1)
    scores, labels = table.scores, table.labels
    result = {
        "auc": bootstrapped(
            lambda i: ranking("classification", scores[i], labels[i], table.events[i]), table.cases
        ),
        "balanced_accuracy": bootstrapped(lambda i: balanced_accuracy(labels[i], found[i]), table.cases),
        "accuracy": float(np.mean(found == labels)),
        "confusion": confusion(labels, found, count).tolist(),
    }
    if count == POSITIVE + 1:
        positive = labels == POSITIVE
        result["threshold"] = POSITIVE_ABOVE
        result["calibration"] = calibration(scores[:, POSITIVE], positive)
        result["by_size"] = by_size(scores[:, POSITIVE], positive, table.sizes)
    return result


def _values(table: Table, _count: int) -> dict[str, Any]:
    scores, labels = table.scores[:, 0], table.labels
    return {
        "spearman": bootstrapped(lambda i: spearman(scores[i], labels[i]), table.cases),
        "mean_absolute_error": bootstrapped(
            lambda i: float(np.mean(np.abs(scores[i] - labels[i]))), table.cases
        ),
        "mean_absolute_error_of_the_mean": float(np.mean(np.abs(labels - labels.mean()))),
    }


def _survival(table: Table, _count: int) -> dict[str, Any]:
    cases = Table.of(by_case(table.rows))
    risks, times, events = cases.scores[:, 0], cases.labels, cases.events
    high = high_risk(cases)
    estimate = bootstrapped(lambda i: concordance(risks[i], times[i], events[i], cases.folds[i]), cases.cases)
    curves = {
        name: kaplan_meier(times[part], events[part])
        for name, part in (("high", high), ("low", ~high))
        if part.any()
    }
    return {
        "c_index": estimate,
        "cases": len(times),
        "events": int(events.sum()),
        "kaplan_meier": curves,
        "log_rank_p": log_rank(times, events, high),
    }


def high_risk(table: Table) -> np.ndarray:
    """Mark what lies above the median risk of its fold: ndarray of bool, (N,)."""
    risks = table.scores[:, 0]
    high = np.zeros(len(risks), bool)
    for fold in np.unique(table.folds):
        mine = table.folds == fold
        high[mine] = risks[mine] > np.median(risks[mine])
    return high


def _plain(value: Any) -> Any:
    """Turn results into what JSON can hold; not-a-number becomes null."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    return _known(value) if isinstance(value, float) else value


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
