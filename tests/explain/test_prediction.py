"""Predictions as overlays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_nic.errors import OutOfBoundsError
from napari_nic.explain import prediction_overlay
from napari_nic.slide_models import Prediction, SlideNetConfig


def make_prediction(toys: Any, **card: Any) -> Prediction:
    """Scores of 2 x 2 cells; class 1 wins in the right column."""
    scores = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.3, 0.7]]], np.float32)
    mask = np.array([[True, True], [True, False]])
    mean, std = np.array([0.1, 0.9], np.float32), np.array([0.02, 0.02], np.float32)
    return Prediction(toys.card(**card), mean, std, 1, 8, scores, mask, toys.placement)


def test_every_cell_has_the_color_of_its_best_class(toys: Any) -> None:
    prediction = make_prediction(toys)
    overlay = prediction_overlay(prediction)
    normal, lesion = prediction.card.class_colors
    assert overlay.legend == (("normal", normal), ("lesion", lesion))
    np.testing.assert_array_equal(overlay.data, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(overlay.to_rgba()[0, :, :3], [normal, lesion])
    assert not overlay.to_rgba()[1, 1].any()
    assert "lesion: 0.90" in overlay.note
    assert overlay.placement == toys.placement


def test_scores_of_one_class(toys: Any) -> None:
    prediction = make_prediction(toys)
    overlay = prediction_overlay(prediction, target=1)
    np.testing.assert_array_equal(overlay.data, prediction.cell_scores[..., 1])
    assert overlay.limits == (0, 1)
    assert "'lesion'" in overlay.note
    with pytest.raises(OutOfBoundsError):
        prediction_overlay(prediction, target=2)


def test_a_regression_shows_values(toys: Any) -> None:
    network = SlideNetConfig.compact(toys.code_size, 2, 24)
    prediction = make_prediction(toys, network=network, task="regression", class_names=("area", "age"))
    overlay = prediction_overlay(prediction)
    assert overlay.name == "Prediction: area"
    assert overlay.limits is not None
    assert overlay.limits[1] < 1
    assert "area: 0.1 " in overlay.note
    assert "age: 0.9 " in overlay.note
