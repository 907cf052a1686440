from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.embeddings import BLOCK
from napari_nic.geometry import LevelGeometry, PixelSize, RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.pipeline.plan import (
    Block,
    WorkOrder,
    blocks_within,
    count_tile_uses,
    pending_blocks,
    strips,
)


def make_grid(height=5000, width=7000, **options):
    return PatchGrid.plan([LevelGeometry(height, width)], PixelSize(0.5, 0.5), **options)


def test_pending_blocks_are_those_not_done_that_hold_covered_cells():
    coverage = np.zeros((40, 40), bool)
    coverage[0, 0] = coverage[20, 20] = coverage[39, 39] = True
    done = np.zeros((3, 3), bool)
    done[1, 1] = True
    assert pending_blocks(done, coverage) == [Block(0, 0), Block(2, 2)]


def test_rows_of_blocks_are_walked_back_and_forth_so_that_neighbours_share_tiles():
    blocks = pending_blocks(np.zeros((2, 3), bool), np.ones((32, 48), bool))
    assert [(b.row, b.col) for b in blocks] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]


def test_the_visible_region_comes_first_from_its_centre_outwards():
    grid = make_grid(128 * 16 * 5, 128 * 16 * 5)
    blocks = pending_blocks(np.zeros((5, 5), bool), np.ones(grid.shape, bool))
    view = RegionPx(2048 + 100, 2048 + 100, 3 * 2048 - 200, 3 * 2048 - 200)
    order = WorkOrder(blocks, grid, view)
    taken = [order.take() for _ in range(25)]
    assert taken[0] == Block(2, 2)
    assert set(taken[:9]) == blocks_within(grid, view)
    assert set(taken[5:9]) == {Block(1, 1), Block(1, 3), Block(3, 1), Block(3, 3)}
    assert order.take() is None


def test_the_focus_can_move_while_blocks_are_taken():
    grid = make_grid(128 * 16 * 3, 128 * 16 * 3)
    order = WorkOrder(pending_blocks(np.zeros((3, 3), bool), np.ones(grid.shape, bool)), grid)
    assert order.take() == Block(0, 0)
    order.focus(RegionPx(2 * 2048, 2 * 2048, 10, 10))
    assert order.take() == Block(2, 2)


@given(
    height=st.integers(60, 6000),
    width=st.integers(60, 6000),
    patch=st.integers(8, 300),
    stride=st.integers(8, 300),
    seed=st.integers(0, 99),
)
def test_strips_hold_every_covered_cell_once_and_their_window_holds_its_patch(
    height, width, patch, stride, seed
):
    grid = make_grid(height, width, patch_size=patch, stride=stride)
    coverage = np.random.default_rng(seed).random(grid.shape) < 0.3
    seen = np.zeros(grid.shape, int)
    for block in pending_blocks(np.zeros((-(-grid.rows // BLOCK), -(-grid.cols // BLOCK)), bool), coverage):
        for strip in strips(block, grid, coverage):
            seen[strip.rows, strip.cols] += 1
            for row, col in (
                (strip.rows.start, strip.cols.start),
                (strip.rows.stop - 1, strip.cols.stop - 1),
            ):
                need = grid.patch_region(row, col)
                assert strip.region.intersect(need) == need
    assert (seen[coverage] == 1).all()
    assert seen.max(initial=0) <= 1


def test_tile_uses_count_the_strips_that_touch_a_tile(monkeypatch):
    grid = make_grid(2 * 2048, 2048)
    coverage = np.ones(grid.shape, bool)
    blocks = pending_blocks(np.zeros((2, 1), bool), coverage)
    size = {"tile": (240, 240), "level_shape": (4096, 2048)}
    monkeypatch.setattr("napari_nic.pipeline.plan.STRIP_BYTES", 2**40)  # a block is one strip
    uses = count_tile_uses(blocks, grid, coverage, **size)
    assert len(uses) == 18 * 9
    boundary = 2048 // 240
    assert all(count == (2 if row == boundary else 1) for (row, _), count in uses.items())
    monkeypatch.setattr("napari_nic.pipeline.plan.STRIP_BYTES", 1)  # a strip is one row of cells
    uses = count_tile_uses(blocks, grid, coverage, **size)
    for (row, _), count in uses.items():
        assert count == len({y // 128 for y in range(row * 240, min(4096, row * 240 + 240))})


@given(
    height=st.integers(60, 6000),
    width=st.integers(60, 6000),
    patch=st.integers(8, 300),
    stride=st.integers(8, 300),
    tile=st.tuples(st.integers(16, 700), st.integers(16, 700)),
    seed=st.integers(0, 99),
)
def test_tile_uses_are_what_the_strips_ask_for_one_by_one(height, width, patch, stride, tile, seed):
    grid = make_grid(height, width, patch_size=patch, stride=stride)
    random = np.random.default_rng(seed)
    coverage = random.random(grid.shape) < random.choice([0.02, 0.3, 0.9])
    done = random.random((-(-grid.rows // BLOCK), -(-grid.cols // BLOCK))) < 0.3
    blocks = pending_blocks(done, coverage)
    size = {"tile": tile, "level_shape": (height, width)}
    asked = Counter(
        position
        for block in blocks
        for strip in strips(block, grid, coverage)
        for position in strip.tiles(grid, coverage, **size)
    )
    assert count_tile_uses(blocks, grid, coverage, **size) == asked


@given(
    height=st.integers(200, 1500),
    width=st.integers(200, 1500),
    patch=st.integers(8, 300),
    stride=st.integers(8, 300),
    tile=st.tuples(st.integers(16, 400), st.integers(16, 400)),
)
def test_exactly_the_tiles_that_covered_patches_touch_are_asked_for(height, width, patch, stride, tile):
    """Neither the glass between two pieces of tissue, nor tiles past the level's edge."""
    grid = make_grid(height, width, patch_size=patch, stride=stride)
    coverage = np.random.default_rng(0).random(grid.shape) < 0.2
    for block in pending_blocks(np.zeros((-(-grid.rows // BLOCK), -(-grid.cols // BLOCK)), bool), coverage):
        for strip in strips(block, grid, coverage):
            wanted = set()
            for row, col in np.argwhere(coverage[strip.rows, strip.cols]):
                patch_px = grid.patch_region(strip.rows.start + int(row), strip.cols.start + int(col))
                inside = patch_px.intersect(RegionPx(0, 0, height, width))
                wanted |= {
                    (y, x)
                    for y in range(inside.y // tile[0], -(-inside.bottom // tile[0]))
                    for x in range(inside.x // tile[1], -(-inside.right // tile[1]))
                    if not inside.is_empty
                }
            asked = list(strip.tiles(grid, coverage, tile=tile, level_shape=(height, width)))
            assert asked == sorted(wanted)


@pytest.mark.parametrize("stride", [64, 128, 200])
def test_windows_past_the_edge_ask_for_existing_tiles_only(stride):
    grid = make_grid(1000, 900, stride=stride)
    coverage = np.ones(grid.shape, bool)
    for strip in strips(Block(0, 0), grid, coverage):
        for row, col in strip.tiles(grid, coverage, tile=(256, 256), level_shape=(1000, 900)):
            assert 0 <= row < 4
            assert 0 <= col < 4
