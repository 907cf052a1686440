"""The share of tissue in patches: exact for every placement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, Placement
from napari_nic.grid import PatchGrid
from napari_nic.tissue import TissueMask


def make_grid(rows=4, cols=5, patch=128, stride=128, downsample=(1.0, 1.0), mpp=0.5) -> PatchGrid:
    pixel = PixelSize(mpp, mpp)
    return PatchGrid(rows, cols, 0, patch, stride, 128, downsample, pixel)


def overlaps(edges: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Length of each interval [first, last) within each element [edge, next edge)."""
    low = np.maximum(first[:, None], edges[None, :-1])
    return np.maximum(np.minimum(last[:, None], edges[None, 1:]) - low, 0)


def exact_fraction(tissue: TissueMask, grid: PatchGrid) -> np.ndarray:
    """The oracle: areas of overlap of every patch with every element of the mask, in micrometres."""
    weights, sides = [], []
    for axis, mpp in enumerate((grid.pixel_size.y, grid.pixel_size.x)):
        scale = grid.downsample[axis] * mpp
        first = np.arange(grid.shape[axis]) * grid.stride_px * scale
        side = grid.patch_px * scale
        step, origin = tissue.placement.step_um[axis], tissue.placement.origin_um[axis]
        edges = origin + np.arange(tissue.mask.shape[axis] + 1) * step
        weights.append(overlaps(edges, first, first + side))
        sides.append(side)
    return weights[0] @ tissue.mask @ weights[1].T / (sides[0] * sides[1])


@given(
    mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)),
    origin=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
    step=st.tuples(st.floats(1, 90), st.floats(1, 90)),
    patch=st.integers(1, 300),
    stride=st.integers(1, 300),
    downsample=st.tuples(st.floats(1, 5), st.floats(1, 5)),
)
@settings(deadline=None)
def test_fraction_is_exact(mask, origin, step, patch, stride, downsample):
    tissue = TissueMask.from_array(mask, Placement(origin, step))
    grid = make_grid(patch=patch, stride=stride, downsample=downsample)
    fraction = tissue.fraction(grid)
    assert fraction.dtype == np.float32
    assert fraction.shape == grid.shape
    np.testing.assert_allclose(fraction, exact_fraction(tissue, grid), atol=1e-5)


def test_aligned_cells_read_off_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[:2, :3] = True  # 16 um elements under patches of 32 um
    tissue = TissueMask.from_array(mask, Placement((0, 0), (16, 16)))
    fraction = tissue.fraction(make_grid(2, 2, patch=64, stride=64))
    np.testing.assert_allclose(fraction, [[1, 0.5], [0, 0]])


def test_what_overruns_the_mask_is_not_tissue():
    tissue = TissueMask.from_array(np.ones((2, 2)), Placement((0, 0), (32, 32)))
    fraction = tissue.fraction(make_grid(1, 2, patch=256, stride=96))  # patches of 128 um, 48 um apart
    np.testing.assert_allclose(fraction, [[0.25, 64 * 16 / 128**2]])


def test_overlapping_patches_have_their_own_share():
    mask = np.zeros((1, 8), bool)
    mask[0, 4:] = True
    tissue = TissueMask.from_array(mask, Placement((0, 0), (64, 16)))
    fraction = tissue.fraction(make_grid(1, 3, patch=128, stride=64))
    np.testing.assert_allclose(fraction, [[0, 0.5, 1]])


def test_cells_take_the_least_share():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    tissue = TissueMask.from_array(mask, Placement((0, 0), (32, 32)))
    grid = make_grid(2, 2, patch=128, stride=128)  # 64 um patches: a quarter of the first is tissue
    assert tissue.cells(grid).tolist() == [[True, False], [False, False]]
    assert tissue.cells(grid, min_fraction=0.26).sum() == 0
    assert tissue.cells(grid, min_fraction=0).sum() == 1


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1(share):
    tissue = TissueMask.from_array(np.ones((2, 2)), Placement((0, 0), (32, 32)))
    with pytest.raises(InvalidParameterError):
        tissue.cells(make_grid(), min_fraction=share)


def test_an_edited_layer_becomes_a_mask():
    tissue = TissueMask.from_array([[0, 3], [1, 0]], Placement((0, 0), (10, 20)))
    assert tissue.mask.tolist() == [[False, True], [True, False]]
    assert tissue.method == "edited"
    assert tissue.area_um2 == 400


@pytest.mark.parametrize("mask", [np.ones((2, 2, 2), bool), np.ones((2, 2), np.uint8), np.ones((0, 2), bool)])
def test_what_is_no_mask(mask):
    with pytest.raises(InvalidParameterError, match="two-dimensional"):
        TissueMask(mask, Placement((0, 0), (1, 1)), "test")
