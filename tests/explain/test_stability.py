"""Agreement of maps, and the crops that they are taken from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_nic.explain.stability import LEAST_CELLS, cell_spread, crops_of, mean_agreement, rank_correlation

MASK = np.ones((6, 7), bool)


def test_agreement_is_the_mean_over_pairs() -> None:
    maps = list(np.random.default_rng(0).normal(size=(3, 6, 7)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean([spearmanr(maps[i].ravel(), maps[k].ravel()).statistic for i, k in pairs])
    assert mean_agreement(maps, MASK) == pytest.approx(expected)
    assert np.isnan(mean_agreement(maps[:1], MASK))


def test_what_has_no_order_agrees_with_nothing() -> None:
    assert rank_correlation(np.zeros(20), np.arange(20.0)) == 0
    assert rank_correlation(np.arange(3.0), np.arange(3.0)) == 0, "too few to say"


def test_spread_of_a_cell_is_that_of_its_rank() -> None:
    first = np.arange(42.0).reshape(6, 7)
    spread = cell_spread([first, first * 10], MASK)
    assert not spread.any()
    spread = cell_spread([first, -first], MASK)
    np.testing.assert_allclose(spread.ravel()[[0, 41]], 0.5 * 41 / 42, rtol=1e-6)
    mask = MASK.copy()
    mask[0] = False
    np.testing.assert_array_equal(np.isnan(cell_spread([first, first], mask)), ~mask)


@pytest.mark.parametrize("shape", [(6, 7), (40, 12), (12, 40), (40, 40)])
def test_crops_lie_within_the_slide_and_cover_its_ends(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, bool)
    parts = crops_of(mask, 16)
    assert 2 <= len(parts) <= 4
    seen = np.any(parts, axis=0)
    assert seen[0, 0]
    assert seen[-1, -1]
    assert all(part.sum() >= LEAST_CELLS for part in parts)
    assert len({part.tobytes() for part in parts}) == len(parts)


def test_crops_without_tissue_are_left_out() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:3, :3] = True
    assert len(crops_of(mask, 24)) == 1
    assert crops_of(np.zeros((20, 20), bool), 16) == []
