"""Cross-validation on codes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from napari_nic.errors import CancelledError, InvalidParameterError, UnknownNameError
from napari_nic.evaluation import Scores, evaluate_codes
from napari_nic.evaluation.classifiers import CLASSIFIERS, CodeTable, group_folds
from napari_nic.jobs import CancellationToken

GROUPS, PER_GROUP, SIZE = 12, 10, 6
ALL = sorted(CLASSIFIERS)


def make_codes(distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes of two classes `distance` standard deviations apart, labels and groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(GROUPS), PER_GROUP)
    labels = (groups % 2).astype(np.int64)
    codes = rng.normal(size=(len(labels), SIZE))
    codes[:, 0] += distance * labels
    return codes.astype(np.float32), labels, groups.astype(str)


@pytest.mark.parametrize("classifier", ALL)
def test_separate_classes_are_told_apart(classifier: str) -> None:
    result = evaluate_codes(*make_codes(8), seeds=2, classifier=classifier)
    assert result.patch.balanced_accuracy.min() > 0.97
    assert result.patch.confusion.shape == (2, 2, 2)
    assert result.patch.confusion.sum() == 2 * GROUPS * PER_GROUP


@pytest.mark.parametrize("classifier", ALL)
def test_codes_that_name_the_slide_alone_are_worth_nothing(classifier: str) -> None:
    """Patches of a slide look alike: split by patch nearly all are right, split by slide it is chance."""
    rng = np.random.default_rng(0)
    _, labels, groups = make_codes(0)
    slides = rng.normal(size=(GROUPS, 3 * SIZE))
    codes = slides[groups.astype(int)] + rng.normal(scale=0.01, size=(len(labels), 3 * SIZE))
    by_slide = evaluate_codes(codes, labels, groups, seeds=1, classifier=classifier)
    by_patch = evaluate_codes(
        codes, labels, np.arange(len(labels)).astype(str), seeds=1, classifier=classifier
    )
    assert by_patch.patch.accuracy[0] > 0.85
    assert by_slide.patch.accuracy[0] < 0.75


@pytest.mark.parametrize("classifier", ALL)
def test_same_seed_gives_the_same_result(classifier: str) -> None:
    first, again = (evaluate_codes(*make_codes(1), seeds=[7], classifier=classifier) for _ in range(2))
    assert np.array_equal(first.patch.confusion, again.patch.confusion)


@pytest.mark.parametrize("classifier", ALL)
def test_classes_weigh_equally_whatever_their_sizes(classifier: str) -> None:
    codes, labels, groups = make_codes(2.0, seed=3)
    kept = (labels == 0) | (np.arange(len(labels)) % 5 == 0)
    result = evaluate_codes(codes[kept], labels[kept], groups[kept], seeds=2, classifier=classifier)
    assert result.patch.recall[:, 1].mean() > 0.55


@pytest.mark.parametrize("classifier", ALL)
def test_probabilities_sum_to_one_and_missing_classes_get_none(classifier: str) -> None:
    codes, labels, groups = make_codes(4)
    table = CodeTable(codes, 2 * labels, groups, 3)
    chances = CLASSIFIERS[classifier](table, codes[:7], 0)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert set(chances.argmax(axis=1)) <= {0, 2}


@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_one_group_a_class_leaves_none_to_choose_by(classifier: str) -> None:
    codes, labels, _ = make_codes(8)
    table = CodeTable(codes, labels, labels.astype(str), 2)
    assert (CLASSIFIERS[classifier](table, codes, 0).argmax(axis=1) == labels).mean() > 0.95


def test_no_group_is_in_training_and_test_and_each_code_is_tested_once() -> None:
    _, labels, groups = make_codes(0)
    folds = group_folds(groups, labels, 3, seed=1)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(labels)))


def test_nearest_neighbours_do_not_amplify_numbers_that_are_noise() -> None:
    """A number that hardly varies must not become as loud as one that does."""
    codes, labels, groups = make_codes(8)
    noisy = np.concatenate([codes[:, :1], 1e-3 * np.random.default_rng(1).normal(size=(len(codes), 60))], 1)
    result = evaluate_codes(noisy, labels, groups, seeds=1, classifier="knn")
    assert result.patch.accuracy[0] > 0.97


def test_rarest_class_bounds_the_folds() -> None:
    codes, labels, groups = make_codes(8)
    kept = (labels == 0) | np.isin(groups, ["1", "3", "5"])
    assert evaluate_codes(codes[kept], labels[kept], groups[kept], seeds=1, classifier="knn").folds == 3


def test_class_of_one_group_is_left_out_and_named() -> None:
    codes, labels, groups = make_codes(8)
    labels = np.where(groups == "0", 2, labels)
    names = ("a", "b", "c")
    result = evaluate_codes(codes, labels, groups, seeds=1, classifier="knn", class_names=names)
    assert result.left_out == ("c",)
    assert result.patch.class_names == ("a", "b")
    assert result.patch.confusion.sum() == (GROUPS - 1) * PER_GROUP


def test_one_usable_class_is_refused_with_the_counts() -> None:
    codes, labels, _ = make_codes(8)
    with pytest.raises(InvalidParameterError, match="0 in 1, 1 in 1"):
        evaluate_codes(codes, labels, labels.astype(str), seeds=1, classifier="knn")


def test_tiles_are_predicted_by_the_mean_of_their_patches() -> None:
    codes, labels, groups = make_codes(1.5)
    tiles = np.repeat(np.arange(len(labels) // 5), 5)
    result = evaluate_codes(codes, labels, groups, seeds=2, classifier="linear", tiles=tiles)
    assert result.tile is not None
    assert result.tile.confusion.sum() == 2 * len(np.unique(tiles))
    assert result.tile.accuracy.mean() > result.patch.accuracy.mean()


def test_tiles_of_several_classes_have_no_result_of_their_own() -> None:
    codes, labels, groups = make_codes(8)
    tiles = np.zeros(len(labels), int)
    assert evaluate_codes(codes, labels, groups, seeds=1, classifier="knn", tiles=tiles).tile is None


def test_unknown_classifier_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="knn, linear, mlp"):
        evaluate_codes(*make_codes(8), classifier="forest")


def test_evaluation_can_be_cancelled() -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        evaluate_codes(*make_codes(8), classifier="knn", token=token)


def test_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(3, size=80), rng.integers(3, size=(2, 80))
    scores = Scores.of(("a", "b", "c"), truth, predicted)
    for seed in range(2):
        assert np.array_equal(scores.confusion[seed], confusion_matrix(truth, predicted[seed]))
        assert scores.balanced_accuracy[seed] == pytest.approx(
            balanced_accuracy_score(truth, predicted[seed])
        )
    described = scores.to_dict()
    assert described["accuracy"]["mean"] == pytest.approx((predicted == truth).mean())
    assert np.sum(described["confusion"]) == 160


def test_mlp_leaves_the_callers_random_numbers_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    evaluate_codes(*make_codes(8), seeds=1, classifier="mlp")
    assert torch.equal(torch.rand(1), expected)
