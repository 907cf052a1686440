"""Accuracy without the stroke that is asked about, and what probabilities are worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score

from napari_nic.probe import Learner, LearningSlide
from napari_nic.probe.calibration import HOTTEST, HeldOut, cross_entropy, fit_temperature


def test_accuracy_is_that_of_probes_that_never_saw_the_stroke(slide, strokes, made):
    learner = Learner()
    learner.set_strokes(slide, strokes)
    check = learner.train(made.colors).check
    truth, found = [], []
    for stroke in strokes:
        other = Learner()
        other.set_strokes(slide, [s for s in strokes if s is not stroke])
        classes = other.train(made.colors).probe.classify(stroke.codes)[0]
        found += [made.labels[number] for number in classes]
        truth += [stroke.label] * len(stroke)
    assert check.accuracy == pytest.approx(balanced_accuracy_score(truth, found))
    assert check.strokes == len(strokes)
    assert 0.5 < check.accuracy <= 1


def test_simple_shot_is_the_nearest_mean_of_normalised_codes(slide, strokes, made):
    learner = Learner()
    learner.set_strokes(slide, strokes)
    check = learner.train(made.colors).check

    def normalised(codes: np.ndarray) -> np.ndarray:
        centred = codes - slide.moments.mean
        return centred / np.linalg.norm(centred, axis=1, keepdims=True)

    truth, found = [], []
    for stroke in strokes:
        rest = [s for s in strokes if s is not stroke]
        means = np.stack(
            [
                np.concatenate([normalised(s.codes) for s in rest if s.label == label]).mean(axis=0)
                for label in made.labels
            ]
        )
        distance = np.linalg.norm(normalised(stroke.codes)[:, None] - means, axis=2)
        found += [made.labels[number] for number in distance.argmin(axis=1)]
        truth += [stroke.label] * len(stroke)
    assert check.floor == pytest.approx(balanced_accuracy_score(truth, found))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 1.0, 300.0]))
def test_the_temperature_makes_the_classes_as_likely_as_they_can_be(seed, scale):
    rng = np.random.default_rng(seed)
    held_out = []
    for _ in range(6):
        truth = int(rng.integers(3))
        scores = rng.normal(0, 1, (int(rng.integers(1, 9)), 3))
        scores[:, truth] += 1
        held_out.append(HeldOut(scores * scale, truth, 2))
    found = fit_temperature(held_out)
    oracle = minimize_scalar(
        lambda log: cross_entropy(held_out, np.exp(log)), bounds=(-12, np.log(HOTTEST)), method="bounded"
    )
    assert cross_entropy(held_out, found) <= oracle.fun + 1e-6


def test_scores_worse_than_chance_make_all_classes_alike():
    wrong = np.array([[0.0, 5.0]] * 4)
    assert fit_temperature([HeldOut(wrong, 0, 3), HeldOut(-wrong, 1, 3)]) == HOTTEST


def test_few_strokes_make_no_certainty():
    """All are told right, with room: with S strokes of K classes nothing is surer than (S + 1) / (S + K)."""
    right = np.array([[9.0, -9.0]] * 50)
    temperature = fit_temperature([HeldOut(right, 0, 3), HeldOut(-right, 1, 3)])
    assert 1 / (1 + np.exp(-18 / temperature)) == pytest.approx(4 / 5, abs=1e-4)


def test_probabilities_are_right_about_as_often_as_they_say(made):
    """On tissue that no stroke was drawn on, where classes overlap."""
    resident = made.resident("hard", seed=4, spread=2.5)
    learner = Learner()
    learner.set_strokes(LearningSlide.of(resident), made.strokes(resident, 60))
    trained = learner.train(made.colors)
    likely = trained.probe.probabilities(resident.codes)
    truth = made.tissue()[resident.cells[:, 0], resident.cells[:, 1]]
    right = likely.argmax(axis=1) == truth
    assert likely.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.07)
