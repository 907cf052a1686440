"""The patch grid: levels, rounding, cells and pixels."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import LevelGeometry, PixelSize, RegionPx
from napari_nic.grid import MPP_TOLERANCE, PatchGrid


def pyramid(height: int, width: int, factors=(1, 2, 4, 16)) -> list[LevelGeometry]:
    return [LevelGeometry(height // f, width // f, float(f), float(f)) for f in factors]


HALF = PixelSize(0.5, 0.5)
QUARTER = PixelSize(0.25, 0.25)

plans = st.builds(
    lambda height, width, mpp, patch, stride, target: (height, width, mpp, patch, stride, target),
    st.integers(64, 20_000),
    st.integers(64, 20_000),
    st.floats(0.1, 2.0),
    st.integers(16, 512),
    st.integers(16, 512),
    st.floats(0.2, 4.0),
)


def plan_or_skip(args) -> tuple[PatchGrid, list[LevelGeometry]]:
    height, width, mpp, patch, stride, target = args
    assume(target / mpp >= 0.5)
    levels = pyramid(height, width)
    pixel = PixelSize(mpp, mpp)
    return PatchGrid.plan(levels, pixel, patch_size=patch, stride=stride, mpp=target), levels


def test_the_papers_grid():
    grid = PatchGrid.plan(pyramid(2967, 2220), PixelSize(0.499, 0.499))
    assert (grid.level, grid.patch_px, grid.stride_px, grid.patch_size) == (0, 128, 128, 128)
    assert grid.shape == (2967 // 128, 2220 // 128)
    assert grid.mpp == pytest.approx(0.499)


@pytest.mark.parametrize(
    ("pixel", "mpp", "level", "patch_px"),
    [
        (QUARTER, 0.5, 1, 128),  # a level that fits
        (QUARTER, 0.25, 0, 128),
        (HALF, 1.5, 1, 192),  # between levels: the finer one, larger patches
        (PixelSize(0.52, 0.52), 0.5, 0, 128),  # within the tolerance: read as it is
        (PixelSize(0.55, 0.55), 0.5, 0, 116),  # coarser than that: smaller patches, enlarged
        (QUARTER, 4.0, 3, 128),
        (QUARTER, 40.0, 3, 1280),
    ],
)
def test_the_cheapest_sufficient_level(pixel, mpp, level, patch_px):
    grid = PatchGrid.plan(pyramid(40_000, 30_000), pixel, mpp=mpp)
    assert (grid.level, grid.patch_px) == (level, patch_px)


def test_too_coarse_a_slide():
    with pytest.raises(InvalidParameterError, match=r"too coarse(.|\n)*at most 1 um/px(.|\n)*--mpp"):
        PatchGrid.plan(pyramid(1000, 1000), PixelSize(1.1, 1.1), mpp=0.5)


@pytest.mark.parametrize("options", [{"patch_size": 0}, {"stride": 0}, {"mpp": 0.0}, {"mpp": float("nan")}])
def test_sizes_must_be_positive(options):
    with pytest.raises(InvalidParameterError, match="positive"):
        PatchGrid.plan(pyramid(1000, 1000), HALF, **options)


@given(plans)
def test_planned_resolution_is_the_one_asked_for(args):
    grid, _ = plan_or_skip(args)
    rounding = 0.5 / grid.patch_px  # whole pixels
    target = args[-1]
    assert abs(grid.mpp / target - 1) <= max(MPP_TOLERANCE, rounding) + 1e-9


@given(plans)
def test_no_level_coarser_than_needed_is_read(args):
    grid, levels = plan_or_skip(args)
    target = args[-1]
    for index, level in enumerate(levels):
        if args[2] * level.downsample_x <= target * (1 + MPP_TOLERANCE):
            assert grid.level >= index
    assert grid.level == 0 or grid.level_mpp <= target * (1 + MPP_TOLERANCE) * (1 + 1e-9)


@given(plans)
def test_cells_cover_the_level_but_for_less_than_a_stride(args):
    grid, levels = plan_or_skip(args)
    level = levels[grid.level]
    for count, side in zip(grid.shape, level.shape, strict=True):
        assert count >= 1
        assert count == 1 or count * grid.stride_px <= side
        assert side - count * grid.stride_px < grid.stride_px


@given(plans)
def test_json(args):
    grid, _ = plan_or_skip(args)
    assert PatchGrid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid


@given(plans, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_cells_square_is_centred_on_its_patch(args, row, col):
    grid, _ = plan_or_skip(args)
    row, col = row % grid.rows, col % grid.cols
    corner = grid.placement.corner_um(row, col)
    patch = grid.patch_corner_px(row, col)
    for axis in range(2):
        mpp = (grid.pixel_size.y, grid.pixel_size.x)[axis]
        patch_centre = (patch[axis] + grid.patch_px * grid.downsample[axis] / 2) * mpp
        assert corner[axis] + grid.stride_um[axis] / 2 == pytest.approx(patch_centre)


@given(plans, st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_cell_at_the_middle_of_its_square(args, row, col):
    grid, _ = plan_or_skip(args)
    row, col = row % grid.rows, col % grid.cols
    y_um, x_um = grid.placement.corner_um(row + 0.5, col + 0.5)
    assert grid.cell_at(y_um / grid.pixel_size.y, x_um / grid.pixel_size.x) == (row, col)


def test_points_off_the_grid_are_in_no_cell():
    grid = PatchGrid.plan(pyramid(1000, 1000), HALF)
    assert grid.cell_at(0, 0) == (0, 0)
    assert grid.cell_at(-0.1, 0) is None
    assert grid.cell_at(7 * 128 - 0.1, 0) == (6, 0)
    assert grid.cell_at(7 * 128, 0) is None


def test_overlapping_patches_inset_their_squares():
    grid = PatchGrid.plan(pyramid(1000, 1000), HALF, patch_size=128, stride=64)
    assert grid.placement.origin_um == (16.0, 16.0)
    assert grid.cell_at(20, 40) is None  # the rim belongs to no cell's square
    assert grid.cell_at(40, 40) == (0, 0)


@given(plans, st.integers(0, 50), st.integers(0, 50), st.integers(1, 20), st.integers(1, 20))
def test_a_blocks_region_is_the_hull_of_its_patches(args, top, left, height, width):
    grid, _ = plan_or_skip(args)
    rows, cols = slice(top, top + height), slice(left, left + width)
    region = grid.cells_region(rows, cols)
    first = grid.patch_region(rows.start, cols.start)
    last = grid.patch_region(rows.stop - 1, cols.stop - 1)
    assert (region.y, region.x) == (first.y, first.x)
    assert (region.bottom, region.right) == (last.bottom, last.right)
    assert grid.cells_region(slice(top, top), cols).is_empty


@given(
    plans, st.integers(-500, 25_000), st.integers(-500, 25_000), st.integers(0, 3000), st.integers(0, 3000)
)
def test_cells_within_a_region_are_those_that_touch_it(args, y, x, height, width):
    grid, _ = plan_or_skip(args)
    rows, cols = grid.cells_within(RegionPx(y, x, height, width))
    for found, count, start, length, axis in (
        (rows, grid.rows, y, height, 0),
        (cols, grid.cols, x, width, 1),
    ):
        mpp = (grid.pixel_size.y, grid.pixel_size.x)[axis]
        origin, step = grid.placement.origin_um[axis] / mpp, grid.placement.step_um[axis] / mpp
        assert 0 <= found.start <= found.stop <= count
        touched = [
            i
            for i in range(max(0, found.start - 2), min(count, found.stop + 2))
            if origin + i * step < start + length - 1e-6 and origin + (i + 1) * step > start + 1e-6
        ]
        assert set(touched) <= set(range(found.start, found.stop))
        assert found.stop - found.start <= math.ceil(length / step) + 2


def test_level_mpp_of_uneven_pixels_is_their_geometric_mean():
    grid = PatchGrid(1, 1, 0, 100, 100, 100, (2.0, 8.0), PixelSize(0.5, 0.5))
    assert grid.level_mpp == pytest.approx(0.5 * 4.0)
    assert grid.stride_um == (100.0, 400.0)
