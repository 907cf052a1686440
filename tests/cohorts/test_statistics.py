"""Statistics against published examples and others' programs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, confusion_matrix

from napari_nic.cohorts.statistics import (
    SHARE_EDGES,
    balanced_accuracy,
    by_size,
    calibration,
    confusion,
    kaplan_meier,
    log_rank,
)
from napari_nic.metrics import bootstrapped

# Weeks in remission of 42 children with leukaemia (Freireich et al. 1963), + is censored.
TREATED = """6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"""
PLACEBO = """1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"""


@pytest.fixture
def leukaemia() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, events, and who had the placebo."""
    entries = f"{TREATED} {PLACEBO}".split()
    times = np.array([float(entry.rstrip("+")) for entry in entries])
    events = np.array([not entry.endswith("+") for entry in entries])
    return times, events, np.arange(len(entries)) >= len(TREATED.split())


def test_log_rank_of_the_leukaemia_trial(leukaemia: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    # Chi-square 16.79 with one degree of freedom, in every textbook.
    assert log_rank(*leukaemia) == pytest.approx(4.17e-5, rel=0.01)


def test_kaplan_meier_of_the_leukaemia_trial(leukaemia: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    times, events, placebo = leukaemia
    curve = kaplan_meier(times[~placebo], events[~placebo])
    assert (curve.cases, curve.events) == (21, 9)
    shares = dict(zip(curve.times, curve.shares, strict=True))
    expected = {0: 1, 6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    for time, share in expected.items():
        assert shares[time] == pytest.approx(share, abs=5e-4)


def test_groups_that_cannot_be_compared() -> None:
    times, events = np.arange(1.0, 5), np.ones(4, bool)
    assert np.isnan(log_rank(times, events, np.ones(4, bool)))
    assert np.isnan(log_rank(times, events, np.zeros(4, bool)))
    assert np.isnan(log_rank(times, ~events, np.array([True, True, False, False])))


def test_a_bootstrap_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        values = rng.normal(0, 1, 40)
        found = bootstrapped(
            lambda i, v=values: float(v[i].mean()), [str(k) for k in range(40)], resamples=200, seed=trial
        )
        assert found.value == pytest.approx(values.mean())
        covered += found.low <= 0 <= found.high
    assert 88 <= covered <= 99


def test_slides_of_a_case_are_drawn_together() -> None:
    cases = ["a"] * 9 + ["b"]
    seen = set()

    def measure(indices: np.ndarray) -> float:
        seen.add(len(indices))
        return float(np.mean(indices))

    bootstrapped(measure, cases, resamples=50)
    assert seen == {2, 10, 18}


def test_undefined_resamples_are_left_out() -> None:
    found = bootstrapped(lambda i: np.nan if len(set(i)) < 3 else 1.0, ["a", "b", "c"], resamples=50)
    assert (found.value, found.low, found.high) == (1, 1, 1)
    never = bootstrapped(lambda _: np.nan, ["a", "b"], resamples=5)
    assert np.isnan([never.value, never.low, never.high]).all()


def test_classes_are_counted_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 3, 60).astype(float), rng.integers(0, 3, 60)
    np.testing.assert_array_equal(confusion(labels, found, 3), confusion_matrix(labels, found))
    assert balanced_accuracy(labels, found) == pytest.approx(balanced_accuracy_score(labels, found))


def test_calibration_of_honest_and_of_bold_probabilities() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0, 1, 4000)
    outcomes = rng.random(4000) < probabilities
    honest = calibration(probabilities, outcomes)
    assert honest.error < 0.03
    assert honest.counts == (800,) * 5
    assert honest.brier == pytest.approx(brier_score_loss(outcomes, probabilities))
    bold = calibration((probabilities > 0.5).astype(float), outcomes)
    assert bold.error > 0.15
    few = calibration(np.array([0.2, 0.8]), np.array([False, True]))
    assert few.counts == (1, 1)


def test_small_lesions_are_found_less() -> None:
    rng = np.random.default_rng(0)
    sizes = np.concatenate([np.full(300, np.nan), rng.uniform(0, 1, 300)])
    positive = ~np.isnan(sizes)
    scores = 1 / (1 + np.exp(-(rng.normal(0, 1, 600) + 4 * np.nan_to_num(sizes) - 1)))
    bins = by_size(scores, positive, sizes)
    assert [b.high for b in bins] == list(SHARE_EDGES[1:])
    assert sum(b.slides for b in bins) == 300
    assert bins[-1].auc > 0.95
    assert bins[-1].auc > bins[-2].auc > bins[-3].auc
    assert bins[-1].found > bins[-3].found
    pixels = by_size(scores, positive, sizes * 5000)
    assert len(pixels) == 4
    assert [b.slides for b in pixels] == [75] * 4


def test_no_curve_without_sizes() -> None:
    assert by_size(np.ones(3), np.array([True, False, True]), np.full(3, np.nan)) == ()
    assert by_size(np.ones(2), np.ones(2, bool), np.ones(2)) == ()
