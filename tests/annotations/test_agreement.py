"""Agreement of a map with an area, against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from napari_nic.annotations import agreement
from napari_nic.errors import InvalidParameterError

maps = hnp.arrays(np.float64, (6, 5), elements=st.integers(-4, 4).map(lambda n: n / 3))
areas = hnp.arrays(bool, (6, 5)).filter(lambda mask: mask.any() and not mask.all())


@settings(deadline=None)
@given(values=maps, mask=areas)
def test_auc_equals_sklearns_with_ties(values, mask):
    assert agreement(values, mask).auc == pytest.approx(roc_auc_score(mask.ravel(), values.ravel()))


@settings(deadline=None)
@given(values=maps, mask=areas, threshold=st.floats(-1.5, 1.5))
def test_jaccard_and_dice_equal_sklearns(values, mask, threshold):
    found = agreement(values, mask, threshold=threshold)
    chosen = (values >= threshold).ravel()
    assert found.threshold == threshold
    assert found.jaccard == pytest.approx(jaccard_score(mask.ravel(), chosen, zero_division=0))
    assert found.dice == pytest.approx(f1_score(mask.ravel(), chosen, zero_division=0))


@settings(deadline=None)
@given(values=maps, mask=areas)
def test_best_threshold_is_the_best_of_all(values, mask):
    found = agreement(values, mask)
    others = [agreement(values, mask, threshold=level).jaccard for level in np.unique(values)]
    assert found.jaccard == pytest.approx(max(others))
    assert found.jaccard == pytest.approx(agreement(values, mask, threshold=found.threshold).jaccard)


def test_only_valid_cells_count():
    rng = np.random.default_rng(0)
    values, mask, valid = rng.normal(size=(9, 9)), rng.random((9, 9)) < 0.4, rng.random((9, 9)) < 0.5
    masked = np.where(valid, values, np.nan)
    found = agreement(masked, mask, valid)
    assert found.auc == pytest.approx(roc_auc_score(mask[valid], values[valid]))
    assert (found.n_cells, found.n_inside) == (valid.sum(), (mask & valid).sum())


def test_perfect_and_undefined_maps():
    mask = np.array([[True, False], [True, False]])
    found = agreement(mask.astype(float), mask)
    assert (found.auc, found.jaccard, found.dice, found.threshold) == (1, 1, 1, 1)
    everywhere = agreement(np.ones((2, 2)), np.ones((2, 2), bool))
    assert math.isnan(everywhere.auc)
    assert everywhere.jaccard == 1


def test_what_cannot_be_compared_is_said():
    values, mask = np.zeros((2, 2)), np.eye(2, dtype=bool)
    with pytest.raises(InvalidParameterError, match="different shapes"):
        agreement(values, mask[:1])
    with pytest.raises(InvalidParameterError, match="not finite"):
        agreement(np.full((2, 2), np.inf), mask)
    with pytest.raises(InvalidParameterError, match="no valid cell"):
        agreement(values, mask, ~mask)
