"""Run the command line in process and look at what it printed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.cli.main import main
from napari_nic.encoders import EncoderSpec, get_spec
from napari_nic.encoders.nets import NicEncoderNet
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slide_models.network import SlideNet
from napari_nic.training.publish import save_encoder


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """``cli("info", path, ...)`` -> Outcome, with a user folder of its own."""
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capfd.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture
def slide(slide_path: Path, tmp_path: Path) -> Path:
    """A slide in a folder of its own, so that its store lies there too."""
    folder = tmp_path / "slides"
    folder.mkdir()
    return Path(shutil.copy(slide_path, folder / "made.tif"))


@pytest.fixture
def bad_slide(slide: Path) -> Path:
    """A file beside `slide` that is no slide but is called like one."""
    path = slide.with_name("bad.svs")
    path.write_bytes(b"this is not a slide" * 100)
    return path


@pytest.fixture
def store(cli: Cli, slide: Path) -> Path:
    """The compressed slide beside `slide`, mean-RGB codes of 8 x 11 cells."""
    assert cli("compress", slide, "--encoder", "mean-rgb").code == 0
    return slide.with_name("made.nic.zarr")


@pytest.fixture
def tiny_model(cli: Cli, tmp_path: Path) -> Path:
    """A model ``tiny`` of two classes among the user's models: random weights, for mean-RGB codes."""

    config = SlideNetConfig(3, outputs=1, crop_size=8, width=4, strides=(1, 2))
    card = ModelCard("tiny", "classification", ("healthy", "lesion"), get_spec("mean-rgb").to_dict(), config)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
    scaling = Standardiser(np.zeros(3, np.float32), np.ones(3, np.float32))
    return ModelBundle(card, weights, scaling).save(tmp_path / "home" / "models" / "tiny")


@pytest.fixture
def other_encoder(cli: Cli, tmp_path: Path) -> str:
    """Name of an encoder of the user's with codes of three numbers, like mean-RGB's but not the same."""

    spec = EncoderSpec("other", 3, 128, 0.5, 64, "nic-64")
    torch.manual_seed(0)
    save_encoder(NicEncoderNet(3), spec, tmp_path / "home" / "encoders" / "other", card="", training={})
    return "other"
