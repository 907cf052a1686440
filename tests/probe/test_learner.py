"""Strokes that come and go, and what is learned of those that are there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from napari_nic.embeddings import UNKNOWN_SLIDE
from napari_nic.errors import CancelledError, InvalidParameterError, StoreMismatchError
from napari_nic.jobs import CancellationToken
from napari_nic.probe import Learner, LearningSlide, Stroke

FIXTURES = [HealthCheck.function_scoped_fixture]


def weights_of(
    slide: LearningSlide, strokes: list[Stroke], **options: float
) -> tuple[np.ndarray, np.ndarray]:
    learner = Learner()
    learner.set_strokes(slide, strokes)
    return learner.solve(**options).linear()


@settings(deadline=None, max_examples=25, suppress_health_check=FIXTURES)
@given(data=st.data())
def test_what_is_learned_follows_from_the_strokes_and_not_from_how_they_came(slide, strokes, data):
    learner = Learner()
    for _ in range(data.draw(st.integers(1, 8))):
        learner.set_strokes(slide, data.draw(st.lists(st.sampled_from(strokes), unique=True)))
    last = data.draw(st.permutations(strokes))
    learner.set_strokes(slide, last)
    for found, wanted in zip(learner.solve().linear(), weights_of(slide, strokes), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_a_stroke_that_is_undone_leaves_no_trace(slide, strokes):
    learner = Learner()
    learner.set_strokes(slide, strokes[:-1])
    before = learner.solve().linear()
    for _ in range(50):
        learner.set_strokes(slide, strokes)
        learner.set_strokes(slide, strokes[:-1])
    for found, wanted in zip(learner.solve().linear(), before, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@settings(deadline=None, max_examples=15, suppress_health_check=FIXTURES)
@given(seed=st.integers(0, 1000), count=st.integers(6, 15), prior=st.sampled_from([1e-3, 1.0, 100.0]))
def test_scoring_a_stroke_without_it_is_fitting_without_it(resident, slide, made, seed, count, prior):
    strokes = made.strokes(resident, count, seed)
    learner = Learner()
    learner.set_strokes(slide, strokes)
    discriminant = learner.solve(prior_cells=prior)
    for stroke in strokes:
        weights, offsets = weights_of(slide, [s for s in strokes if s is not stroke], prior_cells=prior)
        wanted = stroke.codes @ weights.T + offsets
        np.testing.assert_allclose(discriminant.without(stroke), wanted, rtol=1e-7, atol=1e-6)


def test_the_only_stroke_of_its_class_cannot_be_tested(slide, strokes):
    learner = Learner()
    learner.set_strokes(slide, strokes[:4])
    discriminant = learner.solve()
    assert discriminant.without(strokes[1]) is None
    assert discriminant.without(strokes[0]) is not None


def test_without_a_prior_it_is_linear_discriminant_analysis(slide, strokes):
    codes = np.concatenate([stroke.codes for stroke in strokes]).astype(float)
    labels = np.concatenate([[stroke.label] * len(stroke) for stroke in strokes])
    oracle = LinearDiscriminantAnalysis(solver="svd", priors=np.full(3, 1 / 3)).fit(codes, labels)
    weights, offsets = weights_of(slide, strokes, prior_cells=1e-7)
    scores = codes @ weights.T + offsets
    np.testing.assert_array_equal(oracle.classes_, sorted(set(labels)))
    wanted = oracle.decision_function(codes) * (len(codes) - 3) / len(codes)  # it divides the scatter by N
    centred = scores - scores.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, wanted - wanted.mean(axis=1, keepdims=True), rtol=1e-5, atol=1e-4)


def test_the_prior_counts_as_so_many_cells_of_the_slides_own_spread(slide, strokes):
    """The oracle gets them as cells: two for each channel, on both sides of a class's mean."""
    codes = np.concatenate([(stroke.codes - slide.moments.mean) / slide.moments.spread for stroke in strokes])
    labels = np.concatenate([[stroke.label] * len(stroke) for stroke in strokes])
    prior, size = 40.0, codes.shape[1]
    steps = np.sqrt(prior / 2) * np.eye(size)
    middle = codes[labels == "glass"].mean(axis=0)
    more = np.concatenate([codes, middle + steps, middle - steps])
    oracle = LinearDiscriminantAnalysis(solver="svd", priors=np.full(3, 1 / 3))
    oracle.fit(more, np.concatenate([labels, ["glass"] * (2 * size)]))
    weights, offsets = weights_of(slide, strokes, prior_cells=prior)
    plain = np.concatenate([stroke.codes for stroke in strokes])
    scores = plain @ weights.T + offsets
    wanted = oracle.decision_function(codes) * (len(codes) - 3 + prior) / len(more)
    centred = scores - scores.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, wanted - wanted.mean(axis=1, keepdims=True), rtol=1e-6, atol=1e-6)


def test_a_few_strokes_tell_the_tissues_of_the_whole_slide_apart(resident, slide, made):
    strokes = made.strokes(resident, 9)
    learner = Learner()
    learner.set_strokes(slide, strokes)
    trained = learner.train(made.colors)
    found = trained.probe.classify(resident.codes)[0]
    truth = made.tissue()[resident.cells[:, 0], resident.cells[:, 1]]
    for number in range(3):
        assert (found[truth == number] == number).mean() > 0.85


def test_one_class_is_not_enough(slide, strokes):
    learner = Learner()
    assert learner.why_not() == "Draw strokes of two classes or more"
    with pytest.raises(InvalidParameterError, match="nothing to learn from"):
        learner.solve()
    learner.set_strokes(slide, strokes[:1])
    assert learner.why_not() == "Draw strokes of two classes or more; so far: gland"
    with pytest.raises(InvalidParameterError, match="tells classes apart"):
        learner.solve()
    learner.set_strokes(slide, strokes[:2])
    assert learner.why_not() == ""


def test_several_slides_make_one_classifier(resident, slide, strokes, made):
    other = made.resident("other", seed=1)
    learner = Learner()
    learner.set_strokes(slide, strokes)
    learner.set_strokes(LearningSlide.of(other), made.strokes(other, 6, seed=3))
    trained = learner.train(made.colors)
    assert trained.probe.card.training["slides"] == ["slide", "other"]
    assert trained.probe.card.training["strokes"] == {"gland": 5, "glass": 5, "stroma": 5}
    assert not any("one slide" in warning for warning in trained.warnings)
    learner.forget_slide("sha256:other")
    for found, wanted in zip(learner.solve().linear(), weights_of(slide, strokes), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_features_imported_without_their_slides_are_learned_from_side_by_side(made):
    learner, codes = Learner(), [made.resident(name, seed=seed) for seed, name in enumerate("ab")]
    for name, resident in zip("ab", codes, strict=True):
        unknown = replace(
            resident.header, slide_fingerprint=UNKNOWN_SLIDE, origin={"files": {"features.h5": name}}
        )
        imported = replace(resident, header=unknown)
        learner.set_strokes(LearningSlide.of(imported), made.strokes(imported))
    assert [slide.name for slide in learner.slides] == ["a", "b"]
    assert len(learner.strokes) == 2 * len(made.strokes(codes[0]))


def test_slides_of_two_encoders_are_refused(slide, strokes, made):
    other = made.resident("other", weights_sha256="1" * 64)
    learner = Learner()
    learner.set_strokes(slide, strokes)
    with pytest.raises(StoreMismatchError, match=r"(?s)two encoders.*weights_sha256"):
        learner.set_strokes(LearningSlide.of(other), made.strokes(other))
    assert learner.slides == (slide,)


def test_a_slide_that_was_encoded_anew_is_learned_anew(slide, strokes, made):
    again = made.resident("slide", seed=5, weights_sha256="1" * 64)
    learner = Learner()
    learner.set_strokes(slide, strokes)
    newer = made.strokes(again)
    learner.set_strokes(LearningSlide.of(again), newer)
    for found, wanted in zip(
        learner.solve().linear(), weights_of(LearningSlide.of(again), newer), strict=True
    ):
        np.testing.assert_allclose(found, wanted)


def test_the_user_is_warned_of_what_does_not_suffice(resident, slide, made):
    learner = Learner()
    learner.set_strokes(slide, made.strokes(resident, 2))
    trained = learner.train(made.colors)
    text = "\n".join(trained.warnings)
    assert "Few strokes (gland 1, glass 1): draw at least 3 strokes of each class" in text
    assert "one slide" in text
    assert "Accuracy is not known" in text
    assert trained.check.accuracy is None
    assert not trained.check.calibrated
    learner.set_strokes(slide, made.strokes(resident, 12))
    trained = learner.train(made.colors)
    assert trained.check.calibrated
    assert not any("Few strokes" in warning for warning in trained.warnings)


def test_training_can_be_cancelled(slide, strokes, made):
    learner = Learner()
    learner.set_strokes(slide, strokes)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        learner.train(made.colors, token=token)
