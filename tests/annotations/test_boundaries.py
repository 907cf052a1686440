"""Distances of boundaries: by hand, and those of shapely and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from napari_nic.annotations import mask_distances, outline_distances
from napari_nic.errors import InvalidParameterError


def test_concentric_discs_are_apart_by_the_difference_of_their_radii() -> None:
    inner, outer = (shapely.Point(0, 0).buffer(radius, quad_segs=200) for radius in (100, 130))
    found = outline_distances(inner, outer, step_um=0.5)
    assert found.mean_um == pytest.approx(30, abs=0.05)
    assert found.p95_um == pytest.approx(30, abs=0.05)
    assert found.max_um == pytest.approx(30, abs=0.05)
    assert found.surface_dice(29.8) == 0
    assert found.surface_dice(30.2) == 1


def test_a_shifted_square_by_hand() -> None:
    square = shapely.box(0, 0, 100, 100)
    found = outline_distances(square, shapely.box(10, 0, 110, 100), step_um=0.1)
    # Of 400 um, the left side is 10 um away (1000 um2 in all), the right side 10 um but for its ends, where
    # the other square's upper and lower sides are nearer (900), and 10 um at the end of the others (50 each).
    assert found.max_um == pytest.approx(10)
    assert found.mean_um == pytest.approx(2000 / 400, abs=0.01)
    assert found.surface_dice(0) == pytest.approx(180 / 400, abs=0.01)
    assert found.surface_dice(5) == pytest.approx((2 * 5 + 2 * 95) / 400, abs=0.01)
    assert found.surface_dice(10) == 1


def test_corners_that_nobody_needs_change_nothing() -> None:
    """An outline traced along pixels has more corners than one drawn by hand, and weighs no more."""
    square, other = shapely.box(0, 0, 100, 100), shapely.box(0, 0, 100, 140)
    dense = shapely.union(shapely.segmentize(shapely.box(0, 0, 100, 50), 0.05), square)
    plain, crowded = (outline_distances(one, other, step_um=0.5) for one in (square, dense))
    assert crowded.mean_um == pytest.approx(plain.mean_um, rel=1e-3)
    assert crowded.p95_um == pytest.approx(plain.p95_um, abs=0.5)
    assert crowded.surface_dice(5) == pytest.approx(plain.surface_dice(5), abs=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_the_largest_distance_is_shapelys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (
        shapely.MultiPoint(rng.uniform(0, 90, (8, 2)) + rng.uniform(0, 60, 2)).convex_hull for _ in range(2)
    )
    found = outline_distances(first, second, step_um=0.5)
    dense = [shapely.segmentize(one.exterior, 0.5) for one in (first, second)]
    assert found.max_um == pytest.approx(shapely.hausdorff_distance(*dense), abs=0.5)
    assert 0 <= found.mean_um <= found.max_um
    assert found.p95_um <= found.max_um
    swapped = outline_distances(second, first, step_um=0.5)
    assert swapped.mean_um == pytest.approx(found.mean_um)
    assert swapped.p95_um == found.p95_um


@given(st.integers(0, 2**32 - 1))
def test_on_a_raster_distances_are_those_of_scipys_tree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((2, 12, 17)) < 0.3
    masks[:, 3, 4] = True
    step = (0.5, 2.0)
    found = mask_distances(masks[0], masks[1], step)
    rims = [_rim(mask) * step for mask in masks]
    for own, other, distances in zip(rims, rims[::-1], found.distances, strict=True):
        np.testing.assert_allclose(distances, cKDTree(other).query(own)[0])


def _rim(mask: np.ndarray) -> np.ndarray:
    """Places of the pixels with a neighbour outside, one by one."""
    padded = np.pad(mask, 1)
    return np.array(
        [
            (y, x)
            for y, x in np.argwhere(mask)
            if not (padded[y, x + 1] and padded[y + 2, x + 1] and padded[y + 1, x] and padded[y + 1, x + 2])
        ]
    )


def test_a_raster_s_pixels_need_not_be_square() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    along_x, along_y = np.roll(mask, 2, axis=1), np.roll(mask, 2, axis=0)
    assert mask_distances(mask, along_x, (1.0, 0.25)).max_um == 0.5
    assert mask_distances(mask, along_y, (1.0, 0.25)).max_um == 2


def test_nothing_has_no_boundary() -> None:
    some, nothing = shapely.box(0, 0, 1, 1), shapely.Polygon()
    for found in (
        outline_distances(some, nothing),
        outline_distances(nothing, nothing),
        mask_distances(np.ones((2, 2), bool), np.zeros((2, 2), bool), (1, 1)),
    ):
        assert not found.is_known
        numbers = found.mean_um, found.p95_um, found.max_um, found.surface_dice(3)
        assert all(math.isnan(number) for number in numbers)
    with pytest.raises(InvalidParameterError, match="different shapes"):
        mask_distances(np.ones((2, 2), bool), np.ones((2, 3), bool), (1, 1))
