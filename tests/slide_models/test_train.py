"""Training: learns a planted lesion from labels alone, repeats itself, balances, and can be stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.metrics import auc, concordance, mean_class_auc, ranking, spearman
from napari_nic.slide_models import (
    EpochDone,
    Head,
    SlideNetConfig,
    StoredSlide,
    TrainingSettings,
    predict_codes,
    train,
)
from napari_nic.slide_models.loop import TrainingLoop

QUICK = TrainingSettings(epochs=8, steps=6, seed=3)


@pytest.fixture(scope="module")
def trained(toys: Any) -> list[EpochDone]:
    learn = [planted.slide for planted in toys.plant(40, seed=0)]
    choose = [planted.slide for planted in toys.plant(16, seed=1)]
    return list(train(toys.card(), learn, choose, settings=QUICK, device="cpu"))


def test_labels_alone_teach_the_lesion(trained: list[EpochDone], toys: Any) -> None:
    bundle = trained[-1].best
    assert bundle is not None
    scores, labels, inside, outside = [], [], [], []
    for planted in toys.plant(20, seed=2):
        slide = planted.slide
        result = predict_codes(bundle, slide.codes, slide.mask, toys.placement, device="cpu")
        scores.append(result.mean[1])
        labels.append(slide.label)
        if slide.label:
            inside.append(result.cell_scores[planted.lesion, 1].mean())
            outside.append(result.cell_scores[slide.mask & ~planted.lesion, 1].mean())
    assert roc_auc_score(labels, scores) > 0.9
    assert np.mean(np.array(inside) > outside) > 0.9


def test_reports_and_what_is_kept(trained: list[EpochDone]) -> None:
    assert [report.done for report in trained] == list(range(1, QUICK.epochs + 1))
    best = max(trained, key=lambda report: (report.metric, -report.validation_loss))
    assert best.is_best
    final = trained[-1].best
    assert final is not None
    assert final.card.training["epoch"] == best.done
    assert final.card.metrics["validation"]["auc"] == best.metric
    assert final.card.training["settings"]["seed"] == QUICK.seed


def test_the_same_seed_gives_the_same_model_and_leaves_random_numbers_alone(toys: Any) -> None:
    learn = [planted.slide for planted in toys.plant(8, seed=0)]
    settings = TrainingSettings(epochs=2, steps=2, batch_size=4)

    def run() -> dict[str, np.ndarray]:
        best = None
        for report in train(toys.card(), learn, learn, settings=settings, device="cpu"):
            torch.rand(1)  # a consumer that uses random numbers must not matter
            best = report.best
        assert best is not None
        return dict(best.weights)

    torch.manual_seed(5)
    first = run()
    torch.manual_seed(6)
    state = torch.get_rng_state()
    second = run()
    torch.set_rng_state(state)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


@pytest.mark.parametrize(
    "wrong", [{"weight_decay": -1.0}, {"learning_rate": 0.0}, {"final_learning_rate": 1.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match="out of range"):
        TrainingSettings(**wrong)


def test_weight_decay_is_adams_and_of_weights_alone(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(2, seed=0)]
    loop = TrainingLoop([Head(toys.card())], slides, slides, TrainingSettings(weight_decay=1.0), device="cpu")
    decays = [group["weight_decay"] for group in loop._optimiser.param_groups]
    assert decays == [1.0, 0]
    assert all(weight.ndim > 1 for weight in loop._optimiser.param_groups[0]["params"])


def test_three_classes_and_regression_learn_too(toys: Any) -> None:
    planted = toys.plant(24, seed=4)
    areas = [replace(p.slide, label=float(p.lesion.sum()) / 50) for p in planted]
    settings = TrainingSettings(epochs=6, steps=6, learning_rate=3e-3)
    one = toys.card(task="regression", class_names=("area",))
    reports = list(train(one, areas, areas, settings=settings, device="cpu"))
    assert max(report.metric for report in reports) > 0.7
    three = toys.card(SlideNetConfig.compact(toys.code_size, 3, 24), class_names=("a", "b", "c"))
    thirds = [replace(p.slide, label=min(2, int(p.lesion.sum() / 30))) for p in planted]
    if {slide.label for slide in thirds} == {0, 1, 2}:
        first = next(train(three, thirds, thirds, settings=settings, device="cpu"))
        assert first.best is not None
        assert 0 <= first.metric <= 1


def test_training_stops_when_cancelled(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(4, seed=0)]
    token = CancellationToken()
    run = train(toys.card(), slides, slides, settings=QUICK, device="cpu", token=token)
    next(run)
    token.cancel()
    with pytest.raises(CancelledError):
        next(run)


def test_slides_that_cannot_teach_are_refused(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(4, seed=0)]
    card = toys.card()
    with pytest.raises(InvalidParameterError, match="no training slide"):
        train(card, [], slides)
    with pytest.raises(InvalidParameterError, match="lesion"):
        train(card, slides[::2], slides)
    with pytest.raises(InvalidParameterError, match="labels of the validation"):
        train(card, slides, [replace(slides[0], label=7)])
    with pytest.raises(InvalidParameterError, match="slide 0"):
        train(card, [replace(slides[0], mask=np.zeros_like(slides[0].mask)), *slides], slides)
    with pytest.raises(InvalidParameterError, match="do not fit its mask"):
        replace(slides[0], mask=np.ones((3, 3), bool))
    survival = toys.card(task="survival", class_names=("risk",))
    with pytest.raises(InvalidParameterError, match="slide 0"):
        train(survival, slides, slides)
    with pytest.raises(InvalidParameterError, match="at least one event"):
        train(survival, [replace(slide, label=1, event=False) for slide in slides], slides)
    with pytest.raises(InvalidParameterError, match="out of range"):
        TrainingSettings(batch_size=1)
    network = SlideNetConfig.compact(toys.code_size, 2, 24)
    two = toys.card(network, task="regression", class_names=("a", "b"))
    with pytest.raises(InvalidParameterError, match="one value"):
        train(two, slides, slides)


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 5, 50).astype(float), rng.random(50) > 0.5
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert np.isnan(auc(scores, np.zeros(50, bool)))
    assert spearman(np.arange(9.0), np.arange(9.0) ** 3) == pytest.approx(1)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert np.isnan(mean_class_auc(np.ones((3, 2)), np.zeros(3)))


def test_slides_on_disk_teach_the_same_as_slides_in_memory(toys: Any, tmp_path: Path) -> None:
    memory = [planted.slide for planted in toys.plant(4, seed=0)]
    stores = [toys.store(tmp_path / f"{i}.nic.zarr", s.codes, s.mask) for i, s in enumerate(memory)]
    disk = [StoredSlide.from_store(store, s.label) for store, s in zip(stores, memory, strict=True)]
    settings = TrainingSettings(epochs=1, steps=2, batch_size=4)
    ours, theirs = (
        next(train(toys.card(), slides, slides, settings=settings, device="cpu")).best
        for slides in (memory, disk)
    )
    assert ours is not None
    assert theirs is not None
    for name, value in ours.weights.items():
        np.testing.assert_array_equal(value, theirs.weights[name])


def test_half_precision_trains_too(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(4, seed=0)]
    settings = TrainingSettings(epochs=1, steps=1, batch_size=4, precision="bfloat16")
    report = next(train(toys.card(), slides, slides, settings=settings, device="cpu"))
    assert np.isfinite(report.loss)
    assert report.best is not None
    assert all(value.dtype != np.float16 for value in report.best.weights.values())


def test_concordance_counts_comparable_pairs() -> None:
    times, events = np.array([1.0, 2, 2, 3]), np.array([True, True, False, False])
    # Comparable: the first with all others, the second with the third (censored then) and the last.
    assert concordance(np.array([4.0, 3, 2, 1]), times, events) == 1
    assert concordance(np.array([1.0, 2, 3, 4]), times, events) == 0
    assert concordance(np.ones(4), times, events) == 0.5
    assert concordance(np.array([4.0, 2, 3, 1]), times, events) == 4 / 5
    assert np.isnan(concordance(np.ones(4), times, np.zeros(4, bool)))
    apart = np.array([0, 1, 0, 1])
    assert concordance(np.array([4.0, 9, 2, 1]), times, events, apart) == 1
    assert ranking("survival", np.ones((4, 1)), times, events) == 0.5
