"""Scores of slides by models that did not see them, as a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.cohorts.cohort import CohortSlide
from napari_nic.disk import replacing
from napari_nic.errors import StoreError

PREDICTIONS_FILE = "predictions.csv"
_FIXED = ("slide", "case", "fold", "seed", "label", "event", "size", "views")


@dataclass(frozen=True)
class ScoredSlide:
    """A slide of a test part, and what a model said.

    Attributes
    ----------
    slide, case : str
    fold, seed : int
        Which model; 0 where a finished model was evaluated.
    label : float
    event : bool
    size : float
        Of the lesion; nan where it is not known.
    views : int
        Crops times dihedral transforms.
    scores, spread : tuple of float
        Mean and standard deviation over the views, per class, value or risk.
    """

    slide: str
    case: str
    fold: int
    seed: int
    label: float
    event: bool
    size: float
    views: int
    scores: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def of(
        cls, slide: CohortSlide, run: tuple[int, int], views: int, mean: np.ndarray, std: np.ndarray
    ) -> ScoredSlide:
        """Put a slide and its scores (K,) together; `run` is (fold, seed)."""
        scores, spread = (tuple(float(v) for v in values) for values in (mean, std))
        return cls(slide.name, slide.case, *run, slide.label, slide.event, slide.size, views, scores, spread)


def write_scores(file: Path, rows: Iterable[ScoredSlide], class_names: Sequence[str]) -> None:
    """Write a table of scores, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    named = [f"{kind}_{name}" for kind in ("score", "std") for name in class_names]
    with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow([*_FIXED, *named])
        for row in rows:
            fixed = [getattr(row, name) for name in _FIXED]
            fixed[_FIXED.index("event")] = int(row.event)
            writer.writerow([*fixed, *row.scores, *row.spread])


def read_scores(file: Path) -> list[ScoredSlide]:
    """Read a table that :func:`write_scores` wrote.

    Raises
    ------
    StoreError
        If it is not there or damaged.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            reader = csv.reader(lines)
            header = next(reader)
            return [_row(line, (len(header) - len(_FIXED)) // 2) for line in reader]
    except (OSError, ValueError, StopIteration, IndexError) as error:
        raise StoreError("the table of scores cannot be read", path=file, found=str(error)) from error


def _row(line: list[str], count: int) -> ScoredSlide:
    slide, case, fold, seed, label, event, size, views = line[: len(_FIXED)]
    numbers = tuple(float(text) for text in line[len(_FIXED) :])
    if len(numbers) != 2 * count:
        raise ValueError(f"{len(numbers)} scores, expected {2 * count}")
    return ScoredSlide(
        slide,
        case,
        int(fold),
        int(seed),
        float(label),
        bool(int(event)),
        float(size),
        int(views),
        numbers[:count],
        numbers[count:],
    )
