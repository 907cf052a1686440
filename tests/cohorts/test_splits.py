"""Folds: every slide is tested once, cases stay whole, labels are alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.cohorts import Cohort, CohortSlide, check_folds, make_folds
from napari_nic.errors import InvalidParameterError


def cohort_of(cases: list[int], labels: list[float] | None = None, splits: list[str] | None = None) -> Cohort:
    slides = tuple(
        CohortSlide(
            f"s{i}",
            Path(f"s{i}.nic.zarr"),
            f"case {case}",
            labels[i] if labels else 0.0,
            split=splits[i] if splits else "",
        )
        for i, case in enumerate(cases)
    )
    return Cohort("classification", ("a", "b"), slides)


@given(st.lists(st.integers(0, 40), min_size=10, max_size=60), st.integers(3, 5), st.integers(0, 9))
def test_rotating_folds(cases: list[int], count: int, seed: int) -> None:
    if len(set(cases)) < count:
        with pytest.raises(InvalidParameterError, match="fewer cases"):
            make_folds(cohort_of(cases), count, seed=seed)
        return
    folds = make_folds(cohort_of(cases), count, seed=seed)
    assert sorted(index for fold in folds for index in fold.test) == list(range(len(cases)))
    for fold, after in zip(folds, (*folds[1:], folds[0]), strict=True):
        assert fold.validation == after.test
        assert sorted(fold.train + fold.validation + fold.test) == list(range(len(cases)))
        parts = [{cases[i] for i in part} for part in (fold.train, fold.validation, fold.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


def test_parts_are_alike() -> None:
    labels = [1.0] * 12 + [0.0] * 36
    cohort = cohort_of(list(range(48)), labels)
    for fold in make_folds(cohort, 4):
        assert len(fold.test) == 12
        assert sum(labels[i] for i in fold.test) == 3
    values = replace(
        cohort,
        task="regression",
        slides=tuple(replace(slide, label=float(i)) for i, slide in enumerate(cohort.slides)),
    )
    means = [np.mean(fold.test) for fold in make_folds(values, 4)]
    assert max(means) - min(means) < 3


def test_the_seed_decides() -> None:
    cohort = cohort_of(list(range(20)))
    assert make_folds(cohort, 4, seed=1) == make_folds(cohort, 4, seed=1)
    assert make_folds(cohort, 4, seed=1) != make_folds(cohort, 4, seed=2)


def test_the_tables_splits_are_kept() -> None:
    splits = ["train", "train", "validation", "test", "test"]
    (fold,) = make_folds(cohort_of(list(range(5)), splits=splits), 4)
    assert (fold.train, fold.validation, fold.test) == ((0, 1), (2,), (3, 4))
    folds = make_folds(cohort_of(list(range(5)), splits=["train"] * 4 + ["test"]), 2)
    assert [fold.test for fold in folds] == [(4,), (4,)]
    assert sorted(folds[0].validation + folds[1].validation) == [0, 1, 2, 3]
    assert sorted(folds[0].train + folds[0].validation) == [0, 1, 2, 3]


@pytest.mark.parametrize("splits", [["train", "", "test"], ["train", "validation", "train"]])
def test_half_a_split_is_refused(splits: list[str]) -> None:
    with pytest.raises(InvalidParameterError, match="not complete"):
        make_folds(cohort_of([0, 1, 2], splits=splits), 3)


def test_too_few_folds_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="too few folds"):
        make_folds(cohort_of([0, 1, 2]), 2)


def test_a_fold_that_learns_from_one_class_alone_is_named() -> None:
    splits = ["train", "train", "validation", "test"]
    cohort = cohort_of([1, 2, 3, 4], [0.0, 0.0, 1.0, 1.0], splits)
    with pytest.raises(InvalidParameterError, match="the model of fold 1 would learn from no slide with b"):
        check_folds(cohort, make_folds(cohort))
    check_folds(replace(cohort, task="regression"), make_folds(cohort))
    both = cohort_of([1, 2, 3, 4], [0.0, 1.0, 1.0, 1.0], splits)
    check_folds(both, make_folds(both))


def test_a_fold_without_an_event_is_named() -> None:
    cohort = replace(cohort_of([1, 2, 3], None, ["train", "validation", "test"]), task="survival")
    check_folds(cohort, make_folds(cohort))
    censored = tuple(replace(slide, event=False) for slide in cohort.slides)
    cohort = replace(cohort, slides=censored)
    with pytest.raises(InvalidParameterError, match="no slide with an event"):
        check_folds(cohort, make_folds(cohort))


@given(st.integers(0, 200), st.integers(3, 5), st.lists(st.integers(3, 7), min_size=2, max_size=4))
def test_three_slides_of_a_class_are_enough_to_learn_it_in_every_fold(
    seed: int, count: int, sizes: list[int]
) -> None:
    labels = [float(number) for number, size in enumerate(sizes) for _ in range(size)]
    cohort = cohort_of(list(range(len(labels))), labels)
    cohort = replace(cohort, class_names=tuple("abcd"[: len(sizes)]))
    folds = make_folds(cohort, count, seed=seed)
    check_folds(cohort, folds)
    assert sorted(index for fold in folds for index in fold.test) == list(range(len(labels)))
    lengths = [len(fold.test) for fold in folds]
    assert max(lengths) - min(lengths) <= 1
