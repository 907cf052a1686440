"""From a map to an area: smoothing within tissue, a threshold, no specks; and the Jaccard index."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_nic.errors import InvalidParameterError
from napari_nic.explain import AreaOptions, SaliencyMap, compare_area, salient_area
from napari_nic.explain.area import smoothed


def a_map(values: np.ndarray, mask: np.ndarray | None = None) -> SaliencyMap:
    mask = np.ones(values.shape, bool) if mask is None else mask
    return SaliencyMap(values.astype(np.float32), "lesion", 1, "Grad-CAM", 0, "toy", mask)


def lesion() -> np.ndarray:
    inside = np.zeros((60, 80), bool)
    inside[20:45, 30:60] = True
    return inside


def test_a_noisy_lesion_is_found_and_specks_are_not() -> None:
    rng = np.random.default_rng(0)
    truth = lesion()
    values = np.where(truth, 2.0, -0.5) + rng.normal(0, 0.7, truth.shape)
    values[5, 5] = 9  # a hot cell
    raw = salient_area(a_map(values), AreaOptions(sigma=0, min_cells=0))
    cleaned = salient_area(a_map(values), AreaOptions(min_cells=30))
    assert raw[5, 5]
    assert not cleaned[5, 5]
    assert compare_area(cleaned, truth).jaccard > 0.9 > compare_area(raw, truth).jaccard


def test_smoothing_equals_a_gaussian_far_from_edges_and_glass_dilutes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(60, 80))
    everywhere = np.ones(values.shape, bool)
    inner = (slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(
        smoothed(values, everywhere, 2.0)[inner], gaussian_filter(values, 2.0)[inner], atol=2e-3
    )
    island = lesion()
    flat = smoothed(np.where(island, 3.0, np.nan), island, 2.0)
    np.testing.assert_allclose(flat[island], 3, rtol=1e-5)
    assert not flat[~island].any()


def test_a_threshold_may_be_given_in_raw_units() -> None:
    values = np.linspace(-1, 1, 21)[None].repeat(5, 0)
    area = salient_area(a_map(values), AreaOptions(sigma=0, threshold=0.45, min_cells=0))
    np.testing.assert_array_equal(area, values >= 0.45)


def test_only_encoded_cells_are_in_the_area() -> None:
    mask = lesion()
    area = salient_area(a_map(np.ones(mask.shape), mask), AreaOptions(sigma=0, threshold=0.5))
    np.testing.assert_array_equal(area, mask)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_what_speaks_for_nothing_has_no_area(value: float) -> None:
    assert not salient_area(a_map(np.full((9, 9), value))).any()


def test_nothing_encoded_has_no_area() -> None:
    assert not salient_area(a_map(np.ones((9, 9)), np.zeros((9, 9), bool))).any()


def test_the_jaccard_index_is_that_of_the_two_areas() -> None:
    truth = lesion()
    shifted = np.roll(truth, 10, axis=1)
    found = compare_area(shifted, truth)
    assert found.jaccard == pytest.approx((truth & shifted).sum() / (truth | shifted).sum())
    assert compare_area(truth, truth).jaccard == 1
    assert compare_area(np.zeros_like(truth), truth).jaccard == 0


@pytest.mark.parametrize("options", [{"sigma": -1}, {"min_cells": -1}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match="negative"):
        AreaOptions(**options)  # type: ignore[arg-type]
