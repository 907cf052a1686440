"""Which slides teach, which choose the epoch, and which test; cases are never torn apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_nic.cohorts.cohort import Cohort, CohortSlide
from napari_nic.errors import InvalidParameterError

LEAST_FOLDS = 3
"""One part tests, one validates, the rest trains."""

_STREAM = 41


@dataclass(frozen=True)
class Fold:
    """One way to share a cohort out.

    Attributes
    ----------
    number : int
        From 1.
    train, validation, test : tuple of int
        Indices of the cohort's slides.
    """

    number: int
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def make_folds(cohort: Cohort, count: int = 4, *, seed: int = 0) -> tuple[Fold, ...]:
    """Share a cohort out as its table says, or by rotating parts.

    Parameters
    ----------
    cohort : Cohort
    count : int
        Parts that rotate.
    seed : int

    Returns
    -------
    tuple of Fold
        With splits ``train``, ``validation`` and ``test`` in the table: one fold. With ``train`` and ``test``
        only: `count` folds, the parts of the training slides validate in turn and the test is always the
        same. Without splits: `count` folds, of which each tests on one part, validates on the next and trains
        on the others (Tellez et al. 2019: 4 folds).

    Raises
    ------
    InvalidParameterError
        If there are fewer cases than parts, too few parts, or only some slides have a split.
    """
    splits = [slide.split for slide in cohort.slides]
    named = set(splits)
    if named == {""}:
        _check_count(count, LEAST_FOLDS)
        folds = _all_rotated(_parts(cohort.slides, count, seed), count)
        if any(
            _missing(cohort, fold) for fold in folds
        ):  # of a class of three slides all may be in two parts
            folds = _all_rotated(_parts(cohort.slides, count, seed, in_turn=True), count)
        return folds
    if named == {"train", "validation", "test"}:
        return (Fold(1, *(_where(splits, name) for name in ("train", "validation", "test"))),)
    if named == {"train", "test"}:
        _check_count(count, LEAST_FOLDS - 1)
        return _validating_in_turn(cohort, splits, count, seed)
    raise InvalidParameterError(
        "the splits of the cohort are not complete",
        expected="train, validation and test; train and test; or none at all",
        found=", ".join(sorted(name or "none" for name in named)),
        hint="fill the column of splits, or leave it empty for all slides",
    )


def check_folds(cohort: Cohort, folds: Sequence[Fold]) -> None:
    """Make sure that each model has something to learn from.

    Raises
    ------
    InvalidParameterError
        If a fold has no training slide of some class, or none with an event.
    """
    for fold in folds:
        if missing := _missing(cohort, fold):
            raise InvalidParameterError(
                f"the model of fold {fold.number} would learn from no slide with {', '.join(missing)}",
                expected="training slides of each class, or with an event",
                found=f"{len(fold.train)} training slides",
                hint="add slides of the rare class, or share them out otherwise (--folds, --seed)",
            )


def _missing(cohort: Cohort, fold: Fold) -> list[str]:
    """Name the classes, or the event, that no training slide of a fold has."""
    slides = [cohort.slides[index] for index in fold.train]
    if cohort.task == "survival":
        return [] if any(slide.event for slide in slides) else ["an event"]
    there = {int(slide.label) for slide in slides} if cohort.task == "classification" else set()
    names = cohort.class_names if cohort.task == "classification" else ()
    return [name for number, name in enumerate(names) if number not in there]


def _validating_in_turn(cohort: Cohort, splits: list[str], count: int, seed: int) -> tuple[Fold, ...]:
    learning, test = _where(splits, "train"), _where(splits, "test")
    parts = _parts([cohort.slides[i] for i in learning], count, seed)
    indices = np.array(learning)
    return tuple(
        Fold(k + 1, tuple(indices[parts != k].tolist()), tuple(indices[parts == k].tolist()), test)
        for k in range(count)
    )


def _all_rotated(parts: np.ndarray, count: int) -> tuple[Fold, ...]:
    return tuple(_rotated(parts, number, count) for number in range(count))


def _rotated(parts: np.ndarray, number: int, count: int) -> Fold:
    test, validation = parts == number, parts == (number + 1) % count
    chosen = (~test & ~validation, validation, test)
    train, validate, test = (tuple(np.flatnonzero(part).tolist()) for part in chosen)
    return Fold(number + 1, train, validate, test)


def _parts(slides: Sequence[CohortSlide], count: int, seed: int, *, in_turn: bool = False) -> np.ndarray:
    """Number of each slide's part: alike in labels and sizes, cases whole; ndarray of int, (N,).

    With `in_turn` neighbours by label go to the parts in one order all the way: three of a class in three.
    """
    cases: dict[str, list[CohortSlide]] = {}
    for slide in slides:
        cases.setdefault(slide.case, []).append(slide)
    if len(cases) < count:
        raise InvalidParameterError(
            "there are fewer cases than parts",
            expected=f"at least {count} cases",
            found=f"{len(cases)}",
            hint="ask for fewer parts (--folds)",
        )
    rng = np.random.default_rng((_STREAM, seed))
    names = [str(name) for name in rng.permutation(sorted(cases))]
    # Events apart from censored cases, and then by label; the order among equals stays random.
    names.sort(key=lambda name: max((s.event, s.label) for s in cases[name]))
    part_of: dict[str, int] = {}
    if in_turn:
        order = rng.permutation(count)
        part_of = {name: int(order[index % count]) for index, name in enumerate(names)}
        return np.array([part_of[slide.case] for slide in slides])
    for start in range(0, len(names), count):
        # Every part gets one of each run of neighbours.
        block = names[start : start + count]
        part_of |= dict(zip(block, (int(p) for p in rng.permutation(count)), strict=False))
    return np.array([part_of[slide.case] for slide in slides])


def _where(splits: list[str], name: str) -> tuple[int, ...]:
    return tuple(index for index, split in enumerate(splits) if split == name)


def _check_count(count: int, least: int) -> None:
    if count < least:
        raise InvalidParameterError(
            "too few folds",
            expected=f"at least {least}",
            found=f"{count}",
            hint="each model tests on one part, validates on the next and learns from the others (--folds)",
        )
