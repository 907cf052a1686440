"""Regression and survival find a signal that was planted, and nothing where labels were shuffled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_nic.metrics import concordance, spearman
from napari_nic.slide_models import (
    LabelledSlide,
    SlideNetConfig,
    TrainingSettings,
    predict_codes,
    train,
)

SETTINGS = TrainingSettings(epochs=16, steps=10, batch_size=16, learning_rate=1e-2, seed=1)
SIDE, SLIDES, TEST = 12, 90, 40


def planted_slides(toys: Any, seed: int = 0) -> tuple[list[LabelledSlide], np.ndarray]:
    """Slides of noise in which a share of the cells is shifted, and that share."""
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0, 1, SLIDES)
    slides = []
    for index, share in enumerate(shares):
        codes = rng.normal(0, 1, (SIDE, SIDE, toys.code_size))
        codes[rng.random((SIDE, SIDE)) < share, :2] += 2
        slides.append(LabelledSlide(f"{index}", codes.astype(np.float16), np.ones((SIDE, SIDE), bool), 0))
    return slides, shares


def as_regression(slides: list[LabelledSlide], shares: np.ndarray) -> list[LabelledSlide]:
    return [replace(slide, label=100 + 40 * share) for slide, share in zip(slides, shares, strict=True)]


def as_survival(slides: list[LabelledSlide], shares: np.ndarray) -> list[LabelledSlide]:
    """Exponential times with a hazard that grows with the share; a third is censored."""
    rng = np.random.default_rng(5)
    times = rng.exponential(1, len(slides)) / np.exp(6 * (shares - 0.5))
    ends = rng.exponential(2, len(slides)) / np.exp(6 * (shares.mean() - 0.5))
    return [
        replace(slide, label=float(min(time, end)), event=bool(time <= end))
        for slide, time, end in zip(slides, times, ends, strict=True)
    ]


def score_of(toys: Any, task: Any, slides: list[LabelledSlide], network: SlideNetConfig) -> float:
    """Train on all but the last slides, and measure on those."""
    card = toys.card(network, task=task, class_names=("value",))
    learn, choose, test = slides[: -TEST - 16], slides[-TEST - 16 : -TEST], slides[-TEST:]
    best = list(train(card, learn, choose, settings=SETTINGS, device="cpu"))[-1].best
    scores = [
        float(predict_codes(best, slide.codes, slide.mask, toys.placement, device="cpu").mean[0])
        for slide in test
    ]
    labels = np.array([slide.label for slide in test])
    if task == "regression":
        return spearman(np.array(scores), labels)
    return concordance(np.array(scores), labels, np.array([slide.event for slide in test]))


def shuffled(slides: list[LabelledSlide]) -> list[LabelledSlide]:
    order = np.random.default_rng(3).permutation(len(slides))
    return [
        replace(slide, label=slides[k].label, event=slides[k].event)
        for slide, k in zip(slides, order, strict=True)
    ]


def networks(toys: Any) -> dict[str, SlideNetConfig]:
    return {
        "cnn": SlideNetConfig.adaptive(toys.code_size, 1, SIDE, width=8),
        "attention": SlideNetConfig.attention(toys.code_size, 1, SIDE, width=8),
    }


@pytest.mark.parametrize("kind", ["cnn", "attention"])
def test_a_planted_value_is_recovered(toys: Any, kind: str) -> None:
    slides = as_regression(*planted_slides(toys))
    assert score_of(toys, "regression", slides, networks(toys)[kind]) >= 0.8


@pytest.mark.parametrize("kind", ["cnn", "attention"])
def test_a_planted_risk_is_recovered(toys: Any, kind: str) -> None:
    slides = as_survival(*planted_slides(toys))
    assert score_of(toys, "survival", slides, networks(toys)[kind]) >= 0.75


def test_shuffled_labels_give_chance(toys: Any) -> None:
    slides, shares = planted_slides(toys)
    network = networks(toys)["cnn"]
    # 40 slides: two standard errors of a rank correlation are 0.32, of a concordance index about 0.12.
    assert abs(score_of(toys, "regression", shuffled(as_regression(slides, shares)), network)) < 0.35
    assert abs(score_of(toys, "survival", shuffled(as_survival(slides, shares)), network) - 0.5) < 0.15


def test_values_come_in_the_labels_unit(toys: Any) -> None:
    slides = as_regression(*planted_slides(toys))
    card = toys.card(networks(toys)["cnn"], task="regression", class_names=("value",))
    best = list(train(card, slides, slides, settings=SETTINGS, device="cpu"))[-1].best
    assert best is not None
    found = [
        float(predict_codes(best, s.codes, s.mask, toys.placement, device="cpu").mean[0]) for s in slides[:20]
    ]
    expected = np.array([slide.label for slide in slides[:20]])
    assert np.abs(np.array(found) - expected).mean() < 8
