"""Non-maximum suppression, against the plain loop over all cells."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_nic.similarity import apart
from napari_nic.similarity.apart import near, pick_apart

STEP = (4.0, 5.0)


def greedy(values: np.ndarray, most: int, distance: float, blocked: np.ndarray) -> list[tuple[int, int]]:
    """The definition, cell by cell."""
    order = sorted(np.ndindex(values.shape), key=lambda cell: (-values[cell], cell))
    picked: list[tuple[int, int]] = []
    for cell in order:
        if len(picked) == most or not np.isfinite(values[cell]):
            break
        apart_from_all = all(
            np.hypot((cell[0] - other[0]) * STEP[0], (cell[1] - other[1]) * STEP[1]) >= distance
            for other in picked
        )
        if apart_from_all and not blocked[cell]:
            picked.append(cell)
    return picked


@given(
    # Few different values, so that many are equal.
    arrays.arrays(np.float32, (9, 13), elements=st.sampled_from([-np.inf, -1, 0, 0.25, 0.5, 1])),
    st.integers(1, 60),
    st.sampled_from([0, 3, 4, 4.1, 9, 20, 500]),
    st.integers(0, 5),
)
def test_picks_are_those_of_the_plain_loop(values, most, distance, seed) -> None:
    blocked = np.random.default_rng(seed).random(values.shape) < 0.2
    found = pick_apart(values, most, distance, STEP, blocked)
    assert [tuple(cell) for cell in found.tolist()] == greedy(values, most, distance, blocked)


def test_more_candidates_are_looked_at_where_the_first_lie_together(monkeypatch) -> None:
    monkeypatch.setattr(apart, "FIRST", 2)
    rng = np.random.default_rng(0)
    values = rng.random((40, 40)).astype(np.float32)
    values[:20, :20] += 1  # the best 400 lie in one corner
    found = pick_apart(values, 3, 120, (4.0, 4.0))
    assert len(found) == 3
    assert found[0].max() < 20
    assert (found[1:].max(axis=1) >= 20).all()


@given(st.integers(0, 30), st.sampled_from([0, 4, 4.5, 11, 100]))
def test_near_is_all_cells_within_a_distance(seed, distance) -> None:
    cells = np.random.default_rng(seed).random((7, 9)) < 0.06
    y, x = np.indices(cells.shape)
    expected = cells.copy()
    for row, col in np.argwhere(cells):
        expected |= np.hypot((y - row) * STEP[0], (x - col) * STEP[1]) < distance
    np.testing.assert_array_equal(near(cells, distance, STEP), expected)
