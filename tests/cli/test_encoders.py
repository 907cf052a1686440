"""``napari-nic encoders``."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from napari_nic.training import publish


def test_list_for_people_and_scripts(cli) -> None:
    assert "mean-rgb" in cli("encoders", "list").out
    names = [spec["name"] for spec in cli("encoders", "list", "--json").json]
    assert "mean-rgb" in names


def test_list_says_what_a_patch_costs_and_what_was_measured(cli) -> None:
    before = {spec["name"]: spec for spec in cli("encoders", "list", "--json").json}
    assert 45e6 < before["nic-default"]["multiply_adds"] < 46e6
    assert before["mean-rgb"]["multiply_adds"] is None
    assert before["mean-rgb"]["speed"] is None
    (measured,) = cli("encoders", "benchmark", "mean-rgb", "--repeats", 1, "--threads", 1, "--json").json
    after = {spec["name"]: spec for spec in cli("encoders", "list", "--json").json}
    assert after["mean-rgb"]["speed"]["median"] == measured["median"] > 0
    assert f"{measured['median']:,.0f}" in cli("encoders", "list").out


def test_benchmark_of_a_network_without_weights(cli) -> None:
    options = ("--architecture", "nic-64-tiny", "--repeats", 2, "--threads", 1, "--device", "cpu")
    outcome = cli("encoders", "benchmark", *options)
    assert outcome.code == 0, outcome.err
    assert "untrained nic-64-tiny  11.4" in outcome.out
    assert "2 repeats" in outcome.out
    assert cli("encoders", "benchmark", "--architecture", "nic-65").code == 1


def test_show(cli) -> None:
    outcome = cli("encoders", "show", "mean-rgb")
    assert "code size     3" in outcome.out
    assert cli("encoders", "show", "mean-rgb", "--json").json["code_size"] == 3


def test_unknown_encoder(cli) -> None:
    outcome = cli("encoders", "show", "none")
    assert outcome.code == 1
    assert "napari-nic encoders list" in outcome.err


def test_import_of_the_published_weights(cli, data_dir: Path) -> None:
    (file,) = (data_dir / "weights" / "nic-tellez").glob("*bigan*.h5")
    outcome = cli("encoders", "import", file, "--out", "bigan", "--json")
    assert outcome.code == 0
    assert outcome.json["code_size"] == 128
    assert "bigan" in [spec["name"] for spec in cli("encoders", "list", "--json").json]


def test_import_of_something_else(cli, slide: Path) -> None:
    outcome = cli("encoders", "import", slide, "--out", "mine")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {slide}")


def test_train_and_use(
    cli, slide: Path, make_tissue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "EVALUATION_PATCHES", 8)
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    for seed in range(2):
        cv2.imwrite(str(tiles / f"{seed}.png"), make_tissue(200, 200, seed))
    options = ("--steps", "2", "--batch-size", "2", "--code-size", "4", "--device", "cpu")
    options += ("--set", "decoder_width=16")
    outcome = cli("encoders", "train", "vae", "--tiles", f"{tiles}=0.5", "--name", "mine", *options)
    assert outcome.code == 0, outcome.err
    assert "--encoder mine" in outcome.out
    assert "Variational autoencoder" in cli("encoders", "show", "mine").out
    (record,) = cli("compress", slide, "--encoder", "mine", "--json").json
    assert record["code_size"] == 4


def test_distil_from_an_encoder_at_hand(
    cli, make_tissue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "EVALUATION_PATCHES", 8)
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    for seed in range(2):
        cv2.imwrite(str(tiles / f"{seed}.png"), make_tissue(200, 200, seed))
    data = ("--tiles", f"{tiles}=0.5", "--name", "mine", "--device", "cpu")
    options = ("--steps", "2", "--batch-size", "4", "--code-size", "4", "--architecture", "nic-64-tiny")
    outcome = cli("encoders", "train", "distill", "--teacher", "mean-rgb", *data, *options)
    assert outcome.code == 0, outcome.err
    card = cli("encoders", "show", "mine").out
    assert "Distillation" in card
    assert "mean-rgb" in card
    assert cli("encoders", "train", "distill", *data, *options).code == 1  # nobody to learn from
    wrong = cli("encoders", "train", "vae", "--teacher", "mean-rgb", *data, *options)
    assert wrong.code == 2
    assert "learns from no other encoder" in wrong.err


@pytest.mark.parametrize("tiles", ["folder", "folder=zero", "folder=0"])
def test_tiles_need_their_resolution(cli, tiles: str) -> None:
    assert cli("encoders", "train", "vae", "--name", "mine", "--tiles", tiles).code == 2
