"""Run the command line in process and look at what it printed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_nic.cli.main import main


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
