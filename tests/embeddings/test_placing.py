"""Patches at any places: the stride and the grid that fit them, and none shared without need."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.embeddings.interchange.placing import Laid, commonest_distance, lay, sharing_a_place
from napari_nic.jobs import CancellationToken


def island(rows: int, cols: int, step: int, y: int, x: int) -> np.ndarray:
    """(y, x) of a grid of its own that starts anywhere."""
    return np.array([(y + r * step, x + c * step) for r in range(rows) for c in range(cols)], float)


@given(
    step=st.integers(16, 3000),
    rows=st.integers(2, 9),
    cols=st.integers(1, 9),
    start=st.tuples(st.integers(0, 50_000), st.integers(0, 50_000)),
    seed=st.integers(0, 99),
)
def test_one_grid_is_found_exactly_wherever_it_starts_and_in_any_order(step, rows, cols, start, seed):
    corners = island(rows, cols, step, *start)
    corners = corners[np.random.default_rng(seed).permutation(len(corners))]
    assert commonest_distance(corners) == (step, step)
    laid = lay(corners, step, CancellationToken())
    assert (laid.lost, laid.largest_shift, laid.phases) == (0, 0.0, 1)
    assert (laid.origin + laid.cells * step == corners).all()
    assert laid.cells.min() >= 0
    assert max(map(abs, laid.origin)) <= step


@given(
    step=st.integers(16, 600),
    starts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=2, max_size=4),
)
def test_islands_of_several_phases_stay_within_half_a_stride(step, starts):
    begins = [(20 * step * number + y % step, x) for number, (y, x) in enumerate(starts)]
    corners = np.concatenate([island(4, 4, step, *begin) for begin in begins])
    laid = lay(corners, step, CancellationToken())
    assert laid.largest_shift <= step / 2
    assert (laid.origin + laid.cells * step + laid.shift() == corners).all()
    assert laid.kept.all()
    assert laid.phases == len({(y % step, x % step) for y, x in begins})


def test_boxes_that_overlap_are_parted_where_a_grid_can():
    """Two outlines whose boxes overlap: on the grid of most patches two of them share a cell."""
    corners = np.concatenate([island(6, 6, 100, 0, 0), island(1, 3, 100, 540, 40)])
    laid = lay(corners, 100, CancellationToken())
    assert laid.lost == 0
    assert laid.largest_shift <= 50


def test_the_nearest_patch_keeps_a_cell():
    corners = np.array([(0.0, 0.0), (0.0, 30.0), (0.0, 100.0), (60.0, 95.0)])
    laid = Laid.on(corners, (0, 0), 100)
    assert laid.cells.tolist() == [[0, 0], [0, 0], [0, 1], [1, 1]]
    assert laid.kept.tolist() == [True, False, True, True]
    assert laid.without_lost().shift().tolist() == [[0, 0], [0, 0], [-40, -5]]


def test_the_distance_is_that_of_neighbours_not_of_chance():
    two = np.concatenate([island(3, 3, 256, 0, 0), island(3, 3, 256, 1024, 128)])
    assert commonest_distance(two) == (256, 256)
    assert commonest_distance(np.array([(0.0, 0.0)])) is None
    assert commonest_distance(island(1, 5, 64, 3, 3)) == (64, 64)
    anywhere = np.random.default_rng(0).integers(0, 10**6, (500, 2)).astype(float)
    assert commonest_distance(anywhere) is None


@given(
    pairs=st.lists(st.tuples(st.integers(-9, 9), st.integers(-(10**8), 10**8)), max_size=40),
    more=st.lists(st.integers(0, 39), max_size=9),
)
def test_places_that_are_shared_are_found_whatever_they_are(pairs, more):
    pairs += [pairs[number % len(pairs)] for number in more if pairs]
    wanted = [number for number, pair in enumerate(pairs) if pairs.count(pair) > 1]
    found = sharing_a_place(np.array(pairs, np.int32).reshape(-1, 2))
    assert found.tolist() == wanted


@given(
    step=st.integers(16, 600),
    starts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_whole_numbers_lie_as_they_do_as_floats_in_any_order(step, starts, seed):
    corners = np.unique(np.concatenate([island(4, 5, step, *start) for start in starts]), axis=0)
    order = np.random.default_rng(seed).permutation(len(corners))
    one, other = corners, corners[order].astype(np.int32)
    assert commonest_distance(one) == commonest_distance(other)
    laid, again = lay(one, step, CancellationToken()), lay(other, step, CancellationToken())
    assert (laid.origin, laid.lost, laid.phases) == (again.origin, again.lost, again.phases)
    np.testing.assert_array_equal(laid.cells[order], again.cells)
    np.testing.assert_array_equal(laid.kept[order], again.kept)
    np.testing.assert_array_equal(laid.shift()[order], again.shift())
