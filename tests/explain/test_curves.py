"""Deletion and insertion against closed forms: a score that adds up; maps right, wrong and random."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import Curve, measure_curves
from napari_nic.explain.curves import N_RANDOM, SHARES
from napari_nic.jobs import CancellationToken, result_of

MASK = np.ones((10, 10), bool)
LESION = np.zeros((10, 10))
LESION[:2, :5] = 0.1
"""Ten of a hundred cells share a score of 1."""


def added(kept: np.ndarray) -> float:
    """A score that is the sum over the cells that are left: its saliency is exact."""
    return float(LESION[kept].sum())


def curves(values: np.ndarray, mask: np.ndarray = MASK) -> tuple[Curve, Curve]:
    return result_of(measure_curves(added, values, mask))


def test_an_exact_map_has_the_curves_of_the_closed_form() -> None:
    """The score falls by one per tenth of the cells and is 0 then; shown first, it rises likewise."""
    deletion, insertion = curves(LESION)
    shares = np.array(SHARES)
    np.testing.assert_allclose(deletion.scores, np.maximum(0, 1 - shares * 10), atol=1e-12)
    np.testing.assert_allclose(insertion.scores, np.minimum(1, shares * 10), atol=1e-12)
    assert deletion.auc == pytest.approx(0.05)  # a triangle of 0.1 by 1
    assert insertion.auc == pytest.approx(0.95)


def test_the_opposite_map_has_the_opposite_curves() -> None:
    (right, _), (wrong, shown) = curves(LESION), curves(-LESION)
    assert (right.auc, wrong.auc, shown.auc) == pytest.approx((0.05, 0.8, 0.2))  # 1 up to 0.6, then 0 at 1


def test_random_masks_lie_around_the_diagonal() -> None:
    """In the mean over orders, a share of the cells holds as large a share of a score that adds up."""
    deletion = result_of(measure_curves(added, LESION, MASK, n_random=200))[0]
    np.testing.assert_allclose(deletion.random.mean(axis=0), 1 - np.array(SHARES), atol=0.08)
    assert deletion.random_auc == pytest.approx(0.5, abs=0.05)


def test_equal_inputs_give_equal_curves_and_another_seed_others() -> None:
    first, again = (result_of(measure_curves(added, LESION, MASK))[0] for _ in range(2))
    other = result_of(measure_curves(added, LESION, MASK, seed=1))[0]
    np.testing.assert_array_equal(first.random, again.random)
    assert first.random.shape == (N_RANDOM, len(SHARES))
    assert not np.array_equal(first.random, other.random)


def test_only_encoded_cells_are_masked() -> None:
    mask = MASK.copy()
    mask[:, 5:] = False
    mask[5:] = False
    seen = []
    job = measure_curves(lambda kept: float(seen.append(kept) or 0), LESION, mask, n_random=1)
    result_of(job)
    assert not any((kept & ~mask).any() for kept in seen)
    masked = {round(share * 25) for share in SHARES}
    assert {int(kept.sum()) for kept in seen} == masked | {25 - count for count in masked}


def test_it_is_cancelled_at_any_score() -> None:
    token, scores = CancellationToken(), []

    def score(kept: np.ndarray) -> float:
        scores.append(kept)
        if len(scores) == 7:
            token.cancel()
        return 0.0

    with pytest.raises(CancelledError):
        result_of(measure_curves(score, LESION, MASK, token=token))
    assert len(scores) == 7


def test_nothing_to_mask_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="encoded cells"):
        curves(LESION, np.zeros_like(MASK))
    with pytest.raises(InvalidParameterError, match="random masks"):
        result_of(measure_curves(added, LESION, MASK, n_random=0))
