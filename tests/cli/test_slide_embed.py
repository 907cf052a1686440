"""``napari-nic slide-embed`` and models on its vectors, from a store to a prediction."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_nic.embeddings import CompressedSlide


class Pooled(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([features.mean(dim=1), features.amax(dim=1)], dim=1)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "pooled.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # makers are asked to leave it; we read what they made
        torch.onnx.export(
            Pooled(), (torch.zeros(1, 5, 3),), path, dynamo=False, input_names=["features"],
            output_names=["vector"], dynamic_axes={"features": {1: "patches"}},
        )  # fmt: skip
    return path


def test_the_mean_needs_no_file(cli, store: Path) -> None:
    made = cli("slide-embed", store, "--slide-encoder", "mean", "--json")
    assert made.code == 0, made.err
    file = Path(made.json[0]["files"][0])
    assert file == store.with_name("made.mean.vector.h5")
    opened = CompressedSlide.open(store)
    with h5py.File(file) as written:
        expected = opened.read()[opened.encoded()].astype(float).mean(axis=0)
        assert written["features"][:] == pytest.approx(expected, abs=1e-5)
    again = cli("slide-embed", store, "--slide-encoder", "mean")
    assert again.code == 1
    assert "exists" in again.err or "already" in again.err
    assert cli("slide-embed", store, "--slide-encoder", "mean", "--overwrite").code == 0
    assert cli("slide-embed", store, "--slide-encoder", "mean", "--coords", "um").code == 2


def test_a_network_and_its_form(cli, store: Path, network: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors"
    made = cli("slide-embed", store, "--slide-encoder", network, "--out", out)
    assert made.code == 0, made.err
    opened = CompressedSlide.open(store)
    codes = opened.read()[opened.encoded()].astype(np.float32)
    with h5py.File(out / "made.h5") as written:
        assert written["features"][:3] == pytest.approx(codes.mean(axis=0), abs=1e-4)
        assert written["features"][3:] == pytest.approx(codes.max(axis=0), abs=1e-4)
    assert "pooled is given: features" in made.err
    wrong = cli("slide-embed", store, "--slide-encoder", network, "--patch-encoder", "uni", "--out", tmp_path)
    assert wrong.code == 1
    assert "made for another encoder's codes" in wrong.err
    places = cli("slide-embed", store, "--slide-encoder", network, "--inputs", "features", "coords")
    assert places.code == 1
    assert "another number of inputs" in places.err


def test_train_predict_and_compare(cli, make_tissue, make_tiff, one_thread, tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    folder.mkdir()
    lines = ["slide,label"]
    for index in range(6):
        image = make_tissue(500, 600, seed=index).astype(int)
        image[..., 0] += 40 * (index % 2)
        make_tiff(folder / f"s{index}.tif", np.clip(image, 0, 255).astype(np.uint8))
        lines.append(f"s{index}.tif,{'high' if index % 2 else 'low'}")
    table = folder / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    assert cli("compress", folder, "--encoder", "mean-rgb", "--quiet").code == 0
    assert cli("slide-embed", folder, "--slide-encoder", "mean", "--out", tmp_path / "v").code == 0
    quick = ("--folds", 3, "--epochs", 2, "--steps", 2, "--batch-size", 4, "--width", 4, "--device", "cpu")
    common = ("models", "train", table, "--classes", "low,high", *quick, "--quiet")
    for name, more in (("grid", ("--architecture", "attention")), ("linear", ("--architecture", "linear"))):
        done = cli(*common, "--out", tmp_path / name, *more)
        assert done.code == 0, done.err
    vectors = ("--stores", tmp_path / "v", "--architecture", "mlp", "--out", tmp_path / "mlp")
    done = cli(*common, *vectors)
    assert done.code == 0, done.err
    refused = cli(*common, "--stores", tmp_path / "v", "--out", tmp_path / "no")
    assert refused.code == 1
    assert "--architecture linear or mlp" in refused.err
    compared = cli("models", "compare", *(tmp_path / name for name in ("grid", "linear", "mlp")), "--json")
    assert compared.code == 0, compared.err
    assert {model["architecture"] for model in compared.json["models"]} == {"attention", "linear", "mlp"}
    written = cli("models", "compare", tmp_path / "grid", tmp_path / "mlp", "--out", tmp_path / "t.csv")
    assert written.code == 0, written.err
    assert "AUC" in written.out
    assert (tmp_path / "t.csv").read_text().startswith("name,architecture,learned from,AUC")
    assert cli("models", "compare", tmp_path / "grid", "--out", tmp_path / "t.txt").code == 2
    model = tmp_path / "mlp" / "fold1-seed0"
    by_file = cli("predict", tmp_path / "v" / "s0.h5", "--model", model, "--json")
    by_store = cli("predict", folder / "s0.nic.zarr", "--model", model, "--json")
    assert by_file.code == by_store.code == 0
    assert by_file.json[0]["scores"] == by_store.json[0]["scores"]
    cells = cli("predict", folder / "s0.nic.zarr", "--model", model, "--out", tmp_path / "cells.npy")
    assert cells.code == 1
    assert "no scores of their own" in cells.err
    saliency = cli("saliency", folder / "s0.nic.zarr", "--model", model, "--out", tmp_path / "s.png")
    assert saliency.code == 1
    assert "there is no saliency" in saliency.err
    shown = cli("models", "show", model, "--json")
    assert shown.json["network"]["kind"] == "mlp"
    assert "one vector of 3 numbers" in cli("models", "show", model).out
    other = cli("predict", tmp_path / "v" / "s0.h5", "--model", tmp_path / "grid" / "fold1-seed0")
    assert other.code == 1
    assert "takes codes of patches" in other.err


def test_no_patches_no_vector(cli, make_tiff, tmp_path: Path) -> None:
    glass = make_tiff(tmp_path / "glass.tif", np.full((400, 400, 3), 243, np.uint8))
    cli("compress", glass, "--encoder", "mean-rgb", "--quiet")
    made = cli("slide-embed", glass.with_name("glass.nic.zarr"), "--slide-encoder", "mean", "--json")
    assert made.code == 1
    assert not list(tmp_path.glob("*.vector.h5"))
    assert json.loads(made.out)[0]["ok"] is False
