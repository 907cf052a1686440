"""Two sets against each other: numbers that can be computed by hand, and those of scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from sklearn.metrics import f1_score, jaccard_score

from napari_nic.annotations import Annotation, AnnotationSet, compare_sets
from napari_nic.geometry import PixelSize

HALF = PixelSize(0.5, 0.5)


def areas(*geometries, label="T"):
    return AnnotationSet(tuple(Annotation(label, "polygon", one) for one in geometries))


def test_one_square_inside_another():
    (found,) = compare_sets(
        areas(shapely.box(0, 0, 2000, 2000)), areas(shapely.box(200, 200, 1800, 1800)), HALF
    )
    assert found.first_mm2 == pytest.approx(1)
    assert found.second_mm2 == pytest.approx(0.64)
    assert found.common_mm2 == pytest.approx(0.64)
    assert found.dice == pytest.approx(2 * 0.64 / 1.64)
    assert found.jaccard == pytest.approx(0.64)
    # From each point of the inner boundary it is 100 um; from the outer one's corners, 100 * sqrt(2).
    assert found.boundary_max_um == pytest.approx(100 * math.sqrt(2))
    assert 100 < found.boundary_mean_um < 103


def test_distances_are_exact_between_parallel_sides_of_pixels_that_are_not_square():
    first, second = shapely.box(0, 0, 1000, 10_000), shapely.box(0, 40, 1000, 10_000)
    (found,) = compare_sets(areas(first), areas(second), PixelSize(0.25, 1.0))
    assert found.boundary_max_um == pytest.approx(10)
    (same,) = compare_sets(areas(first), areas(first), PixelSize(0.25, 1.0))
    assert (same.dice, same.jaccard, same.boundary_max_um) == (1, 1, 0)


def test_the_largest_distance_is_shapelys():
    rng = np.random.default_rng(0)
    first, second = (shapely.MultiPoint(rng.uniform(0, 900, (30, 2))).convex_hull for _ in range(2))
    (found,) = compare_sets(areas(first), areas(second), PixelSize(1.0, 1.0), step_um=0.5)
    dense = [shapely.segmentize(one.exterior, 0.5) for one in (first, second)]
    assert found.boundary_max_um == pytest.approx(shapely.hausdorff_distance(*dense), abs=0.5)


def test_indices_are_scikit_learns_on_whole_pixels():
    rng = np.random.default_rng(1)
    masks = rng.random((2, 30, 40)) < 0.4
    sets = [
        areas(*(shapely.box(x, y, x + 1, y + 1) for y, x in np.argwhere(mask).tolist())) for mask in masks
    ]
    (found,) = compare_sets(*sets, PixelSize(1.0, 1.0))
    truth, other = (mask.ravel() for mask in masks)
    assert found.dice == pytest.approx(f1_score(truth, other))
    assert found.jaccard == pytest.approx(jaccard_score(truth, other))
    assert (found.n_first, found.n_second) == tuple(int(mask.sum()) for mask in masks)
    assert found.first_mm2 == pytest.approx(masks[0].sum() / 1e6)


def test_overlapping_areas_of_one_set_count_once():
    square = shapely.box(0, 0, 10, 10)
    (found,) = compare_sets(areas(square, square), areas(square), HALF)
    assert found.dice == 1
    assert (found.n_first, found.n_second) == (2, 1)


def test_classes_that_only_one_has_and_shapes_without_area():
    line = AnnotationSet((Annotation("L", "line", shapely.LineString([(0, 0), (1, 1)])),))
    (found,) = compare_sets(areas(shapely.box(0, 0, 1, 1)), line, HALF)
    assert (found.label, found.dice, found.jaccard, found.n_second) == ("T", 0, 0, 0)
    assert math.isnan(found.boundary_mean_um)
    assert found.to_dict()["boundary_mean_um"] is None
    assert compare_sets(line, line, HALF) == ()


def test_sensitivity_and_precision_take_the_first_for_the_truth():
    (found,) = compare_sets(
        areas(shapely.box(0, 0, 2000, 2000)), areas(shapely.box(1000, 0, 2000, 4000)), HALF, tolerance_um=5
    )
    assert found.sensitivity == pytest.approx(0.5)
    assert found.precision == pytest.approx(0.5)
    assert found.common_mm2 == pytest.approx(0.5)
    assert found.tolerance_um == 5
    assert 0 < found.surface_dice < 1


def test_what_only_one_has_is_missed_and_not_left_undefined():
    (found,) = compare_sets(areas(shapely.box(0, 0, 1, 1)), AnnotationSet(), HALF)
    assert (found.dice, found.jaccard, found.sensitivity, found.surface_dice) == (0, 0, 0, 0)
    assert math.isnan(found.precision)
    (nothing,) = compare_sets(AnnotationSet(), AnnotationSet(), HALF, labels=["T"])
    assert all(math.isnan(x) for x in (nothing.dice, nothing.sensitivity, nothing.surface_dice))
    assert nothing.to_dict()["dice"] is None
