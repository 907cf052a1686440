"""Several tasks on one network: each is learned, becomes a bundle, and one alone is as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.errors import InvalidParameterError
from napari_nic.explain import grad_cam
from napari_nic.metrics import concordance, spearman
from napari_nic.slide_models import (
    EpochDone,
    Head,
    LabelledSlide,
    ModelCard,
    Outcome,
    SlideNetConfig,
    TrainingSettings,
    predict_codes,
    train,
    train_together,
)
from napari_nic.slide_models.targets import Labels, joint_loss, make_targets

SETTINGS = TrainingSettings(epochs=10, steps=8, batch_size=16, learning_rate=1e-2, seed=1)
SIDE, SLIDES, TEST = 12, 90, 30
NETWORK = SlideNetConfig.adaptive(6, 1, SIDE, width=8)


@pytest.fixture(scope="module")
def slides(toys: Any) -> list[LabelledSlide]:
    """Slides of noise in which a share of the cells is shifted; the class tells whether that is the half."""
    rng = np.random.default_rng(0)
    made = []
    for index, share in enumerate(shares()):
        codes = rng.normal(0, 1, (SIDE, SIDE, toys.code_size))
        codes[rng.random((SIDE, SIDE)) < share, :2] += 2
        mask = np.ones((SIDE, SIDE), bool)
        made.append(LabelledSlide(f"{index}", codes.astype(np.float16), mask, float(share > 0.5)))
    return made


def shares() -> np.ndarray:
    return np.random.default_rng(7).uniform(0, 1, SLIDES)


@pytest.fixture(scope="module")
def heads(toys: Any) -> list[Head]:
    """A class, a value of which a third is not known, and a risk."""

    def card(name: str, **changes: Any) -> ModelCard:
        return toys.card(NETWORK, name=name, **changes)

    values = {f"{i}": Outcome(100 + 40 * share) for i, share in enumerate(shares()) if i % 3}
    times = {f"{i}": Outcome(float(np.exp(-3 * share)), i % 4 != 0) for i, share in enumerate(shares())}
    return [
        Head(card("grade")),
        Head(card("value", task="regression", class_names=("value",)), values, 0.5),
        Head(card("risk", task="survival", class_names=("risk",)), times, 0.5),
    ]


@pytest.fixture(scope="module")
def trained(slides: list[LabelledSlide], heads: list[Head]) -> EpochDone:
    learn, choose = slides[: -TEST - 16], slides[-TEST - 16 : -TEST]
    return list(train_together(heads, learn, choose, settings=SETTINGS, device="cpu"))[-1]


def test_every_head_is_learned_and_is_a_bundle(
    trained: EpochDone, slides: list[LabelledSlide], toys: Any, tmp_path: Path
) -> None:
    assert trained.best is not None
    test, known = slides[-TEST:], shares()[-TEST:]
    found = []
    for bundle in (trained.best, *trained.further):
        loaded = type(bundle).load(bundle.save(tmp_path / bundle.name))
        scores = [
            predict_codes(loaded, slide.codes, slide.mask, toys.placement, device="cpu").mean[-1]
            for slide in test
        ]
        found.append(np.array(scores))
    assert spearman(found[0], known) > 0.7
    assert spearman(found[1], known) > 0.7
    assert np.abs(found[1] - (100 + 40 * known)).mean() < 12  # in the labels' own unit
    assert concordance(found[2], np.exp(-3 * known), np.ones(TEST, bool)) > 0.75


def test_bundles_share_all_but_the_output(trained: EpochDone, slides: list[LabelledSlide]) -> None:
    assert trained.best is not None
    for bundle in trained.further:
        different = {n for n, w in bundle.weights.items() if not np.array_equal(w, trained.best.weights[n])}
        assert different == {"output.weight", "output.bias"}
        assert bundle.weights["output.weight"].shape == (1, NETWORK.width)
        assert bundle.card.training["together_with"][0] == "grade"
        cam = grad_cam(bundle, slides[0].codes, slides[0].mask, device="cpu")
        assert np.isfinite(cam.values).all()
    value, risk = trained.further
    assert value.card.training["slides"] == 29  # of 44: two thirds
    assert set(value.card.metrics["validation"]) >= {"spearman", "loss"}
    assert set(risk.card.metrics["validation"]) >= {"c_index", "loss"}


def test_slides_of_which_nothing_is_known_pull_at_nothing(
    slides: list[LabelledSlide], heads: list[Head]
) -> None:
    value = make_targets(heads, slides, slides)[1]
    outputs = torch.zeros(SLIDES, 3, requires_grad=True)
    value.loss(outputs, value.training).backward()
    assert outputs.grad is not None
    moved = outputs.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [index % 3 > 0 for index in range(SLIDES)]
    assert not outputs.grad[:, [0, 2]].any()
    unknown = Labels.of([None, None])
    assert joint_loss([value], torch.ones(2, 3), [unknown]) == 0


def test_further_heads_belong_to_the_checkpoint(
    slides: list[LabelledSlide], heads: list[Head], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    settings = replace(SETTINGS, epochs=3, steps=2)
    options: dict[str, Any] = {"settings": settings, "device": "cpu", "checkpoint": file}
    whole = list(train_together(heads, slides, slides, settings=settings, device="cpu"))[-1]
    next(train_together(heads, slides, slides, **options))
    with pytest.raises(InvalidParameterError, match="further heads"):
        next(train(heads[0].card, slides, slides, **options))
    again = list(train_together(heads, slides, slides, **options))[-1]
    for ours, theirs in zip(again.further, whole.further, strict=True):
        assert ours.card == theirs.card
        np.testing.assert_array_equal(ours.weights["output.weight"], theirs.weights["output.weight"])


def test_heads_that_cannot_share_are_refused(slides: list[LabelledSlide], heads: list[Head]) -> None:
    first, value, _ = heads
    wide = replace(value.card, network=replace(NETWORK, width=9))
    for wrong, match in (
        ([value, first], "first head"),
        ([first, replace(value, card=wide)], "cannot share"),
        ([first, replace(value, weight=0)], "weight above 0"),
        ([first, Head(first.card, value.outcomes)], "name of its own"),
        ([first, replace(value, outcomes={})], "some slides must have"),
    ):
        with pytest.raises(InvalidParameterError, match=match):
            train_together(wrong, slides, slides)
