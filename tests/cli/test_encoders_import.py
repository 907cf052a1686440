"""``napari-nic encoders import``, and what is imported at work on a slide."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import load_encoder
from napari_nic.encoders.external import trust
from napari_nic.slides import open_slide


def network(code_size: int) -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, code_size, 5, stride=4), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1)
    ).eval()


def export(net: torch.nn.Module, path: Path, side: int) -> Path:
    example = torch.zeros(2, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # makers are asked to leave these formats; we read what they made
        if path.suffix == ".pt":
            torch.jit.save(torch.jit.trace(net, example), path)
        else:
            torch.onnx.export(
                net, (example,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}}
            )
    return path


def test_a_timm_network_compresses_a_slide(cli, slide: Path) -> None:
    made = cli("encoders", "import", "timm:test_resnet", "--random-weights", "0", "--input-size", "64")
    assert made.code == 0, made.err
    assert "C = 96, use it with --encoder timm:test_resnet" in made.out
    done = cli("compress", slide, "--encoder", "timm:test_resnet", "--json")
    assert done.code == 0, done.err
    assert done.json[0]["code_size"] == 96
    assert "complete already" in cli("compress", slide, "--encoder", "timm:test_resnet").out
    assert cli("pca", slide, "--cell-px", "1").code == 0


def test_codes_on_the_slide_are_those_of_the_patches(cli, slide: Path, tmp_path: Path) -> None:
    file = export(network(2048), tmp_path / "wide.onnx", 48)
    options = ("--target-mpp", "0.5", "--patch-size", "96", "--input-size", "48", "--normalise", "symmetric")
    assert cli("encoders", "import", file, "--out", "wide", *options).code == 0
    assert cli("compress", slide, "--encoder", "wide", "--precision", "float32").code == 0
    store = CompressedSlide.open(slide.with_name("made.nic.zarr"))
    row, col = np.argwhere(store.encoded())[7]
    assert store.code_size == 2048
    with open_slide(slide) as opened:
        patch = opened.read_region(0, store.grid.patch_region(int(row), int(col)))
    small = patch.reshape(48, 2, 48, 2, 3).mean((1, 3))
    code = load_encoder("wide", device="cpu").encode(np.rint(small).astype(np.uint8)[None])[0]
    assert np.abs(store.read()[row, col] - code).max() < 0.02


def test_two_numbers_a_patch_are_drawn_too(cli, slide: Path, tmp_path: Path) -> None:
    sidecar = {
        "num_classes": 2,
        "class_names": ["Other", "Tumor"],
        "patch_size_pixels": 100,
        "spacing_um_px": 0.5,
        "transform": [{"name": "Resize", "arguments": {"size": 64}}, {"name": "ToTensor"}],
    }
    (tmp_path / "config.json").write_text(json.dumps(sidecar))
    file = export(network(2), tmp_path / "torchscript_model.pt", 64)
    refused = cli("encoders", "import", file, "--out", "classifier")
    assert refused.code == 1
    assert "you have not said that it may" in refused.err
    made = cli("encoders", "import", file, "--out", "classifier", "--trust")
    assert made.code == 0, made.err
    assert "Licence: not stated" in made.err
    assert cli("compress", slide, "--encoder", "classifier").code == 0
    assert cli("pca", slide).code == 0


def test_a_projection_is_fitted_on_tiles(cli, tmp_path: Path, tile_folder: Path) -> None:
    file = export(network(24), tmp_path / "net.onnx", 32)
    options = ("--target-mpp", "0.5", "--patch-size", "64", "--input-size", "32", "--project", "pca:4")
    assert cli("encoders", "import", file, "--out", "short", *options).code == 1
    tiles = ("--tiles", f"{tile_folder}=0.5", "--project-patches", "64")
    made = cli("encoders", "import", file, "--out", "short", *options, *tiles, "--json")
    assert made.json["code_size"] == 4
    assert made.json["options"]["projection"]["method"] == "pca"
    shown = cli("encoders", "show", "short").out
    assert "code size     4" in shown


def test_terms_are_told_before_the_first_use_only(cli, slide: Path, tmp_path: Path) -> None:
    file = export(network(4), tmp_path / "net.onnx", 32)
    options = ("--target-mpp", "0.5", "--input-size", "32", "--licence", "CC0")
    cli("encoders", "import", file, "--out", "mine", *options)
    (tmp_path / "home" / "encoders" / ".terms-shown.json").unlink()
    assert "Licence: CC0" in cli("compress", slide, "--encoder", "mine").err
    assert "Licence" not in cli("compress", slide, "--encoder", "mine").err


def test_who_wants_quiet_is_told_of_licences_too(cli, tmp_path: Path) -> None:
    file = export(network(4), tmp_path / "net.pt", 32)
    options = ("--target-mpp", "0.5", "--input-size", "32", "--licence", "CC0", "--quiet")
    told = cli("encoders", "import", file, "--out", "mine", "--trust", *options).err
    assert "Licence: CC0" in told


def test_a_model_of_another_encoder_says_what_to_do(cli, slide: Path, tiny_model: Path) -> None:
    cli("encoders", "import", "timm:test_resnet", "--random-weights", "0", "--input-size", "64")
    cli("compress", slide, "--encoder", "timm:test_resnet")
    outcome = cli("predict", slide, "--model", "tiny")
    assert outcome.code == 1
    assert "compress the slide with encoder 'mean-rgb'" in outcome.err


def test_local_weights_are_taken_and_their_licence_told(cli, tmp_path: Path) -> None:
    import timm

    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), tmp_path / "w.safetensors")
    made = cli("encoders", "import", "timm:test_resnet", "--weights", tmp_path / "w.safetensors")
    assert made.code == 0, made.err
    assert "Licence: apache-2.0" in made.err
    assert "apache-2.0" in cli("encoders", "list").out


def test_a_card_can_be_read_before_importing(cli) -> None:
    card = cli("encoders", "show", "timm:hf-hub:paige-ai/Virchow2").out
    assert "not imported yet" in card
    assert "code size     2560" in card
    assert "https://huggingface.co/paige-ai/Virchow2" in card
    assert "read the model's own page" in card
    assert cli("encoders", "show", "timm:test_resnet", "--json").json["licence"] == "apache-2.0"
    assert cli("encoders", "show", "timm:no_such_model").code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("timm:test_resnet",), "--allow-download"),
        (("timm:hf-hub:MahmoodLab/UNI",), "--allow-download"),
        (("model.onnx",), "--out NAME"),
        (("model.onnx", "--out", "x", "--random-weights", "0"), "timm:MODEL"),
        (("model.onnx", "--out", "x", "--project", "pca"), "pca:128"),
        (("model.onnx", "--out", "x"), "no such file"),
    ],
)
def test_what_is_missing_is_said(cli, arguments: tuple[str, ...], said: str) -> None:
    outcome = cli("encoders", "import", *arguments)
    assert outcome.code in (1, 2)
    assert said in outcome.err


def test_an_encoder_that_was_not_imported(cli, slide: Path) -> None:
    outcome = cli("compress", slide, "--encoder", "timm:hf-hub:MahmoodLab/UNI")
    assert outcome.code == 1
    assert "gated" in outcome.err
    assert "--weights" in outcome.err


def evil_folder(cli, tmp_path: Path) -> tuple[Path, Path]:
    """Return an encoder folder whose program unpickles an object, and what that object makes."""
    import os
    import pickle

    marker, folder = tmp_path / "ran", tmp_path / "nice"

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(marker),)

    program = torch.export.export(network(4), (torch.zeros(2, 3, 32, 32),))
    torch.export.save(program, tmp_path / "net.pt2")
    options = ("--target-mpp", "0.5", "--input-size", "32", "--trust")
    assert cli("encoders", "import", tmp_path / "net.pt2", "--out", "mine", *options).code == 0
    shutil.copytree(tmp_path / "home" / "encoders" / "mine", folder)
    changed = io.BytesIO()
    with zipfile.ZipFile(folder / "model.pt2") as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickle.dumps(Touch()) if "sample_inputs" in name else old.read(name))
    (folder / "model.pt2").write_bytes(changed.getvalue())
    described = json.loads((folder / "encoder.json").read_text())
    del described["content_sha256"]
    described["weights_sha256"] = hashlib.sha256(changed.getvalue()).hexdigest()
    (folder / "encoder.json").write_text(json.dumps(described))
    return folder, marker


def test_an_encoder_folder_runs_nothing_unasked_and_its_pickles_never(
    cli, slide: Path, tmp_path: Path, tile_folder: Path
) -> None:
    folder, marker = evil_folder(cli, tmp_path)
    assert "it is not opened without --trust" in cli("encoders", "show", folder).out
    commands = (
        ("encoders", "import", folder, "--out", "copy"),
        ("compress", slide, "--encoder", folder),
        ("encoders", "evaluate", "--encoders", folder, "--set", f"a={tile_folder}@0.5"),
        ("models", "train-demo", "--out", tmp_path / "model", "--encoder", folder),
    )
    for command in commands:
        refused = cli(*command)
        assert (refused.code, marker.exists()) == (1, False), command
        assert "you have not said that it may" in refused.err
        trusted = cli(*command, "--trust")
        assert (trusted.code, marker.exists()) == (1, False), command
        assert "unpickling it would run code" in trusted.err
        (tmp_path / "home" / "trusted-programs.json").unlink()
        trust._given.clear()
