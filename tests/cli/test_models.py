"""``napari-nic models`` and ``napari-nic predict``, with a small network of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_nic.compressed import CompressedSlide


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
