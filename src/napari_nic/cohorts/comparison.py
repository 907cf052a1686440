"""Several trainings on one cohort side by side: grids, attention and slide vectors in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_nic.cohorts.evaluation import RESULTS_FILE
from napari_nic.cohorts.plan import BUNDLE_KEY, Plan
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, read_scores
from napari_nic.cohorts.report import MEASURES, with_interval
from napari_nic.descriptions import read_json
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.wording import counted


@dataclass(frozen=True)
class ComparedTraining:
    """A line of the table.

    Attributes
    ----------
    name, architecture, codes : str
        Of the models: their name, their architecture, and what they learned from.
    folder : Path
    results : mapping
        Measure -> value, or value with its interval, as ``results.json`` has them.
    """

    name: str
    architecture: str
    codes: str
    folder: Path
    results: Mapping[str, Any]

    def row(self, measures: Sequence[str]) -> tuple[str, ...]:
        """Texts of the line."""
        return (
            self.name,
            self.architecture,
            self.codes,
            *(with_interval(self.results.get(measure)) for measure in measures),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "learned_from": self.codes,
            "folder": str(self.folder),
            "results": dict(self.results),
        }


@dataclass(frozen=True)
class Comparison:
    """Trainings that were tested on the same slides.

    Attributes
    ----------
    task : str
    slides : int
        That all of them predicted.
    measures : tuple of str
        Keys of the results, in the order of the columns.
    lines : tuple of ComparedTraining
        Best first.
    same_folds : bool
        Whether the slides were shared out alike, so that the models learned from the same slides.
    """

    task: str
    slides: int
    measures: tuple[str, ...]
    lines: tuple[ComparedTraining, ...]
    same_folds: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "task": self.task,
            "slides": self.slides,
            "same_folds": self.same_folds,
            "models": [line.to_dict() for line in self.lines],
        }

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        return ("name", "architecture", "learned from", *(MEASURES[name] for name in self.measures))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Texts of the lines."""
        return [line.row(self.measures) for line in self.lines]


def compare_folders(folders: Sequence[Path | str]) -> Comparison:
    """Put the results of several trainings side by side.

    Parameters
    ----------
    folders : sequence of Path or str
        As ``models train`` or ``models evaluate`` left them.

    Raises
    ------
    StoreError
        If a folder holds no results.
    InvalidParameterError
        If they answer different questions, or were not tested on the same slides with the same labels: their
        results would not be comparable.
    """
    paths = [Path(folder) for folder in folders]
    plans = [_plan(path) for path in paths]
    _check_one_question(paths, plans)
    count = _check_one_test(paths)
    lines = [_line(path, plan) for path, plan in zip(paths, plans, strict=True)]
    measures = tuple(name for name in MEASURES if all(name in line.results for line in lines))
    metric = measures[0]
    ordered = sorted(lines, key=lambda line: -_value(line.results[metric]))
    folds = [sorted((fold.test, fold.train) for fold in _by_name(plan)) for plan in plans]
    return Comparison(
        plans[0].cohort.task, count, measures, tuple(ordered), all(other == folds[0] for other in folds)
    )


@dataclass(frozen=True)
class _NamedFold:
    test: tuple[str, ...]
    train: tuple[str, ...]


def _by_name(plan: Plan) -> list[_NamedFold]:
    names = [slide.name for slide in plan.cohort.slides]
    return [
        _NamedFold(*(tuple(sorted(names[i] for i in part)) for part in (fold.test, fold.train)))
        for fold in plan.folds
    ]


def _plan(folder: Path) -> Plan:
    plan = Plan.load(folder)
    if plan is None or not (folder / RESULTS_FILE).is_file():
        raise StoreError(
            "no results are here", path=folder, hint="make them with: napari-nic models train, or evaluate"
        )
    return plan


def _check_one_question(paths: Sequence[Path], plans: Sequence[Plan]) -> None:
    first = plans[0].cohort
    for path, plan in zip(paths, plans, strict=True):
        cohort = plan.cohort
        if (cohort.task, cohort.class_names) != (first.task, first.class_names):
            raise InvalidParameterError(
                "these models answer different questions",
                path=path,
                expected=f"{first.task}: {', '.join(first.class_names)}",
                found=f"{cohort.task}: {', '.join(cohort.class_names)}",
            )


def _check_one_test(paths: Sequence[Path]) -> int:
    """Return how many slides all were tested on; refuse others, and other labels."""
    tested = [
        {row.slide: (row.label, row.event) for row in read_scores(path / PREDICTIONS_FILE)} for path in paths
    ]
    for path, found in zip(paths, tested, strict=True):
        if found == tested[0]:
            continue
        other = sorted(name for name in {*found, *tested[0]} if found.get(name) != tested[0].get(name))
        raise InvalidParameterError(
            "these models were not tested on the same slides with the same labels",
            path=path,
            expected=f"the {counted(len(tested[0]), 'slide')} of {paths[0]}",
            found=f"{counted(len(other), 'slide')} otherwise, such as {other[0]}",
            hint="train all with one table, the same folds and the same seed",
        )
    return len(tested[0])


def _line(folder: Path, plan: Plan) -> ComparedTraining:
    settings = plan.settings
    results = read_json(folder / RESULTS_FILE, StoreError, what="the results")
    try:
        overall = dict(results["overall"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("the results are damaged", path=folder / RESULTS_FILE, found=str(error)) from error
    network = settings.get("network", {})
    codes = str(settings.get("slide_encoder") or f"grids, C = {network.get('code_size', '?')}")
    architecture = str(settings.get("model") or f"model {settings.get(BUNDLE_KEY)}")
    kept = {name: overall[name] for name in MEASURES if name in overall and name not in ("cases", "events")}
    return ComparedTraining(str(settings["name"]), architecture, codes, folder, kept)


def _value(result: Any) -> float:
    value = result.get("value") if isinstance(result, Mapping) else result
    return float("-inf") if value is None else float(value)
