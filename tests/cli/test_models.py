"""``napari-nic models`` and ``napari-nic predict``, with a small network of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic import demo
from napari_nic.embeddings import CompressedSlide
from napari_nic.jobs import Progress
from napari_nic.slide_models import ModelBundle


def test_list_and_show(cli, tiny_model: Path) -> None:
    assert "tiny" in cli("models", "list").out
    assert "tiny" in [card["name"] for card in cli("models", "list", "--json").json]
    shown = cli("models", "show", "tiny").out
    assert "classification: healthy, lesion" in shown
    assert "mean-rgb, C = 3" in shown
    assert cli("models", "show", tiny_model, "--json").json["class_names"] == ["healthy", "lesion"]


def test_unknown_model(cli, store: Path) -> None:
    for command in (("models", "show", "none"), ("predict", store, "--model", "none")):
        outcome = cli(*command)
        assert outcome.code == 1
        assert "napari-nic models list" in outcome.err


def test_predict_for_people_and_scripts(cli, store: Path, tiny_model: Path) -> None:
    outcome = cli("predict", store, "--model", "tiny")
    assert outcome.code == 0
    assert outcome.out.startswith(f"{store}: ")
    (record,) = cli("predict", store, "--model", "tiny", "--json").json
    scores = record["scores"]
    assert scores["healthy"]["mean"] + scores["lesion"]["mean"] == pytest.approx(1, abs=1e-5)
    assert record["class"] == max(scores, key=lambda name: scores[name]["mean"])
    assert f"{record['class']}: {scores[record['class']]['mean']:.2f}" in outcome.out


def test_cell_scores_as_an_array(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert cli("predict", store, "--model", "tiny", "--out", tmp_path / "cells.npy").code == 0
    scores = np.load(tmp_path / "cells.npy")
    encoded = CompressedSlide.open(store).encoded()
    assert scores.shape == (*encoded.shape, 2)
    np.testing.assert_array_equal(np.isnan(scores[..., 0]), ~encoded)
    np.testing.assert_allclose(scores[encoded].sum(-1), 1, atol=1e-5)


def test_model_of_another_encoder(cli, slide: Path, tiny_model: Path, other_encoder: str) -> None:
    cli("compress", slide, "--encoder", other_encoder, "--overwrite")
    outcome = cli("predict", slide, "--model", "tiny")
    assert outcome.code == 1
    assert "compress the slide with encoder 'mean-rgb'" in outcome.err


def test_train_demo_hands_its_options_on_and_shows_the_card(
    cli, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(folder: Path | str, options: Any, _token: Any) -> Any:
        asked.append(options)
        yield Progress(1, 1)
        ModelBundle.load(tiny_model).save(folder)

    monkeypatch.setattr(demo, "train_demo_bundle", train)
    numbers = ("--train", "4", "--validation", "2", "--test", "2", "--epochs", "3", "--seed", "0")
    outcome = cli("models", "train-demo", "--out", tmp_path / "made", "--encoder", "mean-rgb", *numbers)
    assert outcome.code == 0
    assert "classification: healthy, lesion" in outcome.out
    (options,) = asked
    assert (options.encoder, options.train, options.test, options.seed) == ("mean-rgb", 4, 2, 0)
    assert options.settings.epochs == 3
    again = ("models", "train-demo", "--out", tmp_path / "made", "--json")
    assert cli(*again).code == 1  # a model is there
    assert len(asked) == 1
    assert cli(*again, "--overwrite").json["name"] == "tiny"
    assert asked[1] == demo.DemoTraining()


def test_maps_are_compared_with_those_of_random_weights(cli, store: Path, tiny_model: Path) -> None:
    command = ("models", "check-saliency", store, "--model", "tiny", "--draws", "2")
    outcome = cli(*command)
    assert outcome.code == 0
    for text in ("output", "dense layer", "layer 1", "what the model learned"):
        assert text in outcome.out
    found = cli(*command, "--json").json[0]
    assert [len(row) for row in found["signed"]] == [2] * len(found["stages"])
    assert cli(*command, "--seed", "7", "--json").json[0]["signed"] != found["signed"]
    assert cli(*command, "--json").json[0] == found
    unknown = cli(*command, "--target", "tumour")
    assert (unknown.code, "0 (healthy), 1 (lesion)" in unknown.err) == (2, True)
