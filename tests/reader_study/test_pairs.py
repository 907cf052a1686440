"""Readings against each other: exact, on a raster, with models that saw a part of the slide only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from napari_nic.annotations import Annotation, AnnotationSet, cell_area
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study import (
    CompareOptions,
    Reading,
    ValueMap,
    areas_of_classes,
    box_of,
    compare_readings,
    square_grid,
)

HALF = PixelSize(0.5, 0.5)


def reading(name: str, *shapes: shapely.Geometry, label: str = "T", **options: object) -> Reading:
    annotations = tuple(Annotation(label, "polygon", one) for one in shapes)
    return Reading(name, AnnotationSet(annotations), **options)


def test_each_pair_with_the_earlier_one_as_the_truth() -> None:
    readers = [
        reading(name, shapely.box(0, 0, 100 * side, 100)) for name, side in zip("abc", (1, 2, 4), strict=True)
    ]
    found = compare_readings("s", readers, HALF)
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.areas.sensitivity for one in found] == [1, 1, 1]
    assert [one.areas.precision for one in found] == [0.5, 0.25, 0.5]
    record = found[0].to_dict()
    assert (record["slide"], record["label"], record["auc"]) == ("s", "T", None)


def test_on_a_raster_of_whole_pixels_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth, other = rng.random((2, 20, 30)) < 0.4
    grid = square_grid(RegionPx(0, 0, 40, 60), HALF, 1.0)
    readers = [
        Reading(name, areas_of_classes({"T": mask}, grid, source=name))
        for name, mask in (("a", truth), ("b", other))
    ]
    (exact,) = compare_readings("s", readers, HALF)
    (found,) = compare_readings("s", readers, HALF, CompareOptions(raster_um=1.0))
    for one in (exact.areas, found.areas):
        assert one.dice == pytest.approx(f1_score(truth.ravel(), other.ravel()))
        assert one.sensitivity == pytest.approx(recall_score(truth.ravel(), other.ravel()))
        assert one.precision == pytest.approx(precision_score(truth.ravel(), other.ravel()))
    assert found.areas.first_mm2 == pytest.approx(truth.sum() / 1e6)


def test_one_pixel_on_a_raster() -> None:
    far = [reading("a", shapely.box(0, 0, 2, 2)), reading("b", shapely.box(20, 0, 22, 2))]
    (found,) = compare_readings("s", far, HALF, CompareOptions(raster_um=1.0))
    assert (found.areas.dice, found.areas.boundary_max_um, found.areas.boundary_mean_um) == (0, 10, 10)
    (same,) = compare_readings("s", [far[0], far[0]], HALF, CompareOptions(raster_um=1.0))
    assert (same.areas.dice, same.areas.boundary_max_um, same.areas.surface_dice) == (1, 0, 1)


def test_what_a_model_did_not_see_is_left_out_and_told() -> None:
    """A reader's lesion lies half on cells that were not encoded: the model is not blamed for those."""
    reader = reading("reader", shapely.box(0, 0, 200, 100))
    model = reading("model", shapely.box(0, 0, 100, 100), seen=shapely.box(0, 0, 100, 100))
    (found,) = compare_readings("s", [reader, model], HALF)
    assert found.areas.dice == 1
    assert found.areas.first_mm2 == pytest.approx(50 * 50 / 1e6)
    assert found.unseen_mm2 == pytest.approx(50 * 50 / 1e6)
    (whole,) = compare_readings("s", [reader, reading("x", shapely.box(0, 0, 100, 100))], HALF)
    assert whole.areas.dice == pytest.approx(2 / 3)
    assert whole.unseen_mm2 == 0


def test_pixel_auc_of_a_map_is_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    grid = square_grid(RegionPx(0, 0, 40, 60), HALF, 1.0)
    mask = rng.random(grid.shape) < 0.8
    values = rng.random(grid.shape).astype(np.float32)
    inside = np.zeros(grid.shape, bool)
    inside[5:12, 6:20] = True
    values[inside] += 0.3
    model = reading(
        "model",
        cell_area(values > 0.7, grid),
        maps={"T": ValueMap(values, mask, grid)},
        seen=cell_area(mask, grid),
    )
    reader = reading("reader", cell_area(inside, grid))
    expected = roc_auc_score(inside[mask], values[mask])
    for order in ([reader, model], [model, reader]):
        (found,) = compare_readings("s", order, HALF)
        assert found.auc == pytest.approx(expected)
    (both,) = compare_readings("s", [model, model], HALF)
    assert math.isnan(both.auc), "two maps: neither is the truth"
    (none,) = compare_readings("s", [reading("reader", label="T"), model], HALF)
    assert math.isnan(none.auc)


def test_names_of_classes_can_differ() -> None:
    first = reading("a", shapely.box(0, 0, 10, 10), label="Tumor")
    second = reading("b", shapely.box(0, 0, 10, 10), label="tumour")
    assert [one.areas.dice for one in compare_readings("s", [first, second], HALF)] == [0, 0]
    (found,) = compare_readings("s", [first, second.renamed({"tumour": "Tumor"})], HALF)
    assert (found.label, found.areas.dice) == ("Tumor", 1)


def test_only_the_classes_that_are_asked_for() -> None:
    first = reading("a", shapely.box(0, 0, 10, 10))
    (found,) = compare_readings("s", [first, first], HALF, CompareOptions(labels=("absent",)))
    assert found.label == "absent"
    assert math.isnan(found.areas.dice)
    with pytest.raises(InvalidParameterError, match="distances must be positive"):
        CompareOptions(step_um=0)


def test_cells_become_their_squares() -> None:
    grid = square_grid(RegionPx(8, 4, 40, 60), PixelSize(1.0, 0.5), 4.0)
    mask = np.zeros(grid.shape, bool)
    mask[1, 2] = mask[1, 3] = mask[2, 4] = True
    area = cell_area(mask, grid)
    top, left = grid.patch_corner_px(1, 2)
    assert area.equals(
        shapely.MultiPolygon(
            [shapely.box(left, top, left + 16, top + 4), shapely.box(left + 16, top + 4, left + 24, top + 8)]
        )
    ) or area.area == pytest.approx(3 * 4 * 8)
    assert box_of([area]) == RegionPx(int(top), int(left), 8, 24)
    assert cell_area(np.zeros(grid.shape, bool), grid).is_empty
    with pytest.raises(InvalidParameterError, match="too fine a raster"):
        square_grid(RegionPx(0, 0, 100_000, 100_000), HALF, 0.5)
