"""Cohorts of small slides made by code, and runs over them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nic.runs import RunFolder, RunSettings, SlideResult, iter_run

SETTINGS = RunSettings(("tissue", "compress", "report"), ("mean-rgb",), threads=1)


@pytest.fixture
def settings() -> RunSettings:
    return SETTINGS


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def run_all(folder: RunFolder) -> Callable[..., dict[str, SlideResult]]:
    """``run_all(slides, settings, part=(1, 1))`` -> results by name."""

    def run(slides: list[Path], settings: RunSettings = SETTINGS, **more: object) -> dict[str, SlideResult]:
        reports = iter_run(slides, folder, settings, **more)
        found = [report.result for report in reports if report.result is not None]
        return {result.name: result for result in found}

    return run


@pytest.fixture(scope="session")
def small_slide(tmp_path_factory: pytest.TempPathFactory, make_tiff, make_tissue) -> Path:
    """A slide of 600 x 700 px with tissue. Do not change it."""
    return make_tiff(tmp_path_factory.mktemp("small") / "s.tif", make_tissue(600, 700))


@pytest.fixture
def slide(small_slide: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(small_slide, _made(tmp_path / "slides") / "s.tif"))


@pytest.fixture
def cohort(small_slide: Path, make_tiff, tmp_path: Path) -> list[Path]:
    """Eight slides: two good ones of one name, one with a wrong suffix, one of glass, four bad ones."""
    one, other = _made(tmp_path / "slides" / "one"), _made(tmp_path / "slides" / "other")
    good = [Path(shutil.copy(small_slide, place / "s.tif")) for place in (one, other)]
    renamed = Path(shutil.copy(small_slide, one / "renamed.ndpi"))
    glass = make_tiff(one / "glass.tif", np.full((600, 700, 3), 243, np.uint8))
    cut = one / "cut.tif"
    cut.write_bytes(small_slide.read_bytes()[:2000])
    bare = make_tiff(one / "bare.tif", np.full((600, 700, 3), 200, np.uint8), mpp=None)
    text = one / "text.svs"
    text.write_text("this is no slide")
    return [*good, renamed, glass, cut, bare, text, one / "gone.svs"]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
