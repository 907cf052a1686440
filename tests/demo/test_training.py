"""Training and evaluation of the demonstration model, on a handful of small slides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_nic.demo import BundleTrained, DemoTraining, train_demo_bundle
from napari_nic.demo.training import evaluate
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import ModelBundle, TrainingSettings


def run(generator):
    """Return what a generator returns."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def test_evaluation_tells_a_good_model_from_a_blind_one(mean_rgb_model, coded_slides):
    good = run(evaluate(mean_rgb_model, coded_slides[16:]))
    assert good["slides"] == 8
    assert good["slides_with_lesion"] == good["localisation"]["Grad-CAM"]["slides"] == 4
    assert good["auc"] == 1.0
    assert good["localisation"]["cell scores"]["pixel_auc"] > 0.8

    blind_slides = [replace(slide, codes=np.zeros_like(slide.codes)) for slide in coded_slides[16:]]
    blind = run(evaluate(mean_rgb_model, blind_slides))
    assert blind["auc"] == 0.5
    assert blind["localisation"]["cell scores"]["pixel_auc"] < 0.7


def test_a_bundle_is_trained_saved_and_described(tmp_path):
    options = DemoTraining(
        encoder="mean-rgb",
        train=4,
        validation=2,
        test=2,
        sides=(8, 8),
        settings=TrainingSettings(epochs=1, steps=1, batch_size=4),
    )
    *reports, last = train_demo_bundle(tmp_path / "model", options)
    assert isinstance(last, BundleTrained)
    stages = list(dict.fromkeys(report.stage for report in reports))
    assert stages == ["painting and compressing", "training", "evaluating on held-out slides"]

    loaded = ModelBundle.load(tmp_path / "model")
    assert loaded.card == last.bundle.card
    assert loaded.card.encoder_name == "mean-rgb"
    test = loaded.card.metrics["test"]
    assert test["slides"] == 2
    text = (tmp_path / "model" / "CARD.md").read_text(encoding="utf-8")
    assert f"| AUC of the slides' scores | {test['auc']:.3f} |" in text
    assert "Not for" in text


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_every_part_needs_both_classes(part):
    with pytest.raises(InvalidParameterError, match="either class"):
        DemoTraining(**{part: 1})
