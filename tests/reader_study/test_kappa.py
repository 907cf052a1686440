"""Kappa: scikit-learn's of two readers, Fleiss' own example of many, and classes of cells and objects."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study import square_grid
from napari_nic.reader_study.kappa import cohen_kappa, fleiss_kappa, kappa_of_readers
from napari_nic.reader_study.units import NOTHING, cell_units, object_units

# Fleiss 1971, Psychol Bull 76:378, table 1: 30 patients, six psychiatrists, five diagnoses.
FLEISS_1971 = """
0 0 0 6 0  0 3 0 0 3  0 1 4 0 1  0 0 0 0 6  0 3 0 3 0  2 0 4 0 0  0 0 4 0 2  2 0 3 1 0  2 0 0 4 0  0 0 0 0 6
1 0 0 5 0  1 1 0 4 0  0 3 3 0 0  1 0 0 5 0  0 2 0 3 1  0 0 5 0 1  3 0 0 1 2  5 1 0 0 0  0 2 0 4 0  1 0 2 0 3
0 0 0 0 6  0 1 0 5 0  0 2 0 1 3  2 0 0 4 0  1 0 0 4 1  0 5 0 1 0  4 0 0 0 2  0 2 0 4 0  1 0 5 0 0  0 0 0 0 6
"""


def test_fleiss_example() -> None:
    counts = np.array(FLEISS_1971.split(), int).reshape(30, 5)
    assert (counts.sum(axis=1) == 6).all()
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43]
    assert fleiss_kappa(counts) == pytest.approx(0.430, abs=5e-4)


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_cohens_kappa_is_scikit_learns(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, classes, 60)
    second = np.where(rng.random(60) < 0.5, first, rng.integers(0, classes, 60))
    table = np.zeros((classes, classes), int)
    np.add.at(table, (first, second), 1)
    if len({*first, *second}) < 2:
        return
    for weights, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        expected = cohen_kappa_score(first, second, labels=np.arange(classes), weights=theirs)
        assert cohen_kappa(table, weights) == pytest.approx(expected)


def test_fleiss_of_two_readers_is_scotts_pi() -> None:
    first, second = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    counts = np.stack([(first == k).astype(int) + (second == k) for k in range(3)], axis=1)
    agree, share = 4 / 6, counts.sum(axis=0) / 12
    assert fleiss_kappa(counts) == pytest.approx((agree - (share**2).sum()) / (1 - (share**2).sum()))


def test_where_kappa_says_nothing() -> None:
    assert math.isnan(cohen_kappa(np.array([[7, 0], [0, 0]])))
    assert math.isnan(cohen_kappa(np.zeros((2, 2), int)))
    assert math.isnan(fleiss_kappa(np.array([[3, 0], [3, 0]])))
    assert math.isnan(fleiss_kappa(np.empty((0, 2))))
    with pytest.raises(InvalidParameterError, match="as many readers"):
        fleiss_kappa(np.array([[2, 1], [1, 1]]))
    with pytest.raises(InvalidParameterError, match="unknown weights"):
        cohen_kappa(np.eye(2), "cubic")


def test_intervals_are_over_slides() -> None:
    rng = np.random.default_rng(0)
    units = []
    for _ in range(8):
        truth = rng.integers(0, 3, 200)
        readers = [np.where(rng.random(200) < 0.8, truth, rng.integers(0, 3, 200)) for _ in range(3)]
        units.append(np.stack(readers, axis=1))
    slides = [f"s{number}" for number in range(8)]
    found = kappa_of_readers(units, slides, ["a", "b", "c"], ["x", "y", "z"])
    everything = np.concatenate(units)
    assert [(one, other) for one, other, _ in found.pairs] == [("x", "y"), ("x", "z"), ("y", "z")]
    for (_, _, estimate), (a, b) in zip(found.pairs, [(0, 1), (0, 2), (1, 2)], strict=True):
        assert estimate.value == pytest.approx(cohen_kappa_score(everything[:, a], everything[:, b]))
        assert estimate.low < estimate.value < estimate.high
    votes = np.stack([(everything == k).sum(axis=1) for k in range(3)], axis=1)
    assert found.fleiss.value == pytest.approx(fleiss_kappa(votes))
    assert (found.n_units, found.n_slides) == (1600, 8)
    alone = kappa_of_readers(units[:1], slides[:1], ["a", "b", "c"], ["x", "y", "z"])
    assert math.isnan(alone.fleiss.low)
    assert alone.to_dict()["fleiss"]["low"] is None


def areas(**classes: shapely.Geometry) -> AnnotationSet:
    return AnnotationSet(tuple(Annotation(label, "polygon", one) for label, one in classes.items()))


def test_cells_have_the_class_of_most_of_them() -> None:
    grid = square_grid(RegionPx(0, 0, 10, 40), PixelSize(1, 1), 10)
    first = areas(a=shapely.box(0, 0, 16, 10), b=shapely.box(16, 0, 30, 10))
    second = areas(a=shapely.box(0, 0, 4, 10), b=shapely.box(14, 0, 20, 10))
    classes = [NOTHING, "a", "b"]
    found = cell_units([first, second], grid, classes)
    np.testing.assert_array_equal(found.classes, [[1, 0], [1, 2], [2, 0]])
    assert found.left_out == 1, "nobody annotated the last cell"
    every = cell_units([first, second], grid, classes, counted=np.ones(grid.shape, bool))
    np.testing.assert_array_equal(every.classes[-1], [0, 0])
    strict = cell_units([first, second], grid, ["a", "b"])
    np.testing.assert_array_equal(strict.classes, [[0, 1]])
    assert strict.left_out == 3


def test_objects_are_matched_by_their_outlines() -> None:
    boxes = [shapely.box(20 * k, 0, 20 * k + 10, 10) for k in range(4)]
    first = AnnotationSet(tuple(Annotation("ab"[k % 2], "polygon", one) for k, one in enumerate(boxes)))
    moved = [shapely.box(20 * k + 2, 0, 20 * k + 12, 10) for k in (3, 1, 0)]
    second = AnnotationSet(tuple(Annotation("a", "polygon", one) for one in moved))
    found = object_units([first, second], ["a", "b"])
    np.testing.assert_array_equal(found.classes, [[0, 0], [1, 0], [1, 0]])
    assert found.left_out == 1
    apart = AnnotationSet((Annotation("a", "polygon", shapely.box(5, 0, 15, 10)),))
    assert len(object_units([first, apart], ["a", "b"]).classes) == 0, "a third in common is another object"
    assert object_units([first, AnnotationSet()], ["a", "b"]).left_out == 4
    with pytest.raises(InvalidParameterError, match="no objects to compare"):
        object_units([AnnotationSet(), first], ["a", "b"])
