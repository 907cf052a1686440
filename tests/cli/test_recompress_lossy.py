"""``napari-nic recompress --mode lossy`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.cli.main import main


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal((185, 95, 160), 20, (600, 700, 3)), 0, 255).astype(np.uint8)
    pixels[:, :256] = 244
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        pixels,
        tile=(128, 128),
        photometric="rgb",
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )
    return path


def run(*arguments: object) -> int:
    return main(["recompress", *(str(argument) for argument in arguments)])


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_written_told_and_checked(slide: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out" / "b.svs"
    assert run(slide, "--mode", "lossy", "--codec", "jpeg", "--out", out, "--quiet") == 0
    said = capsys.readouterr().out
    assert "opens jpeg in svs" in said
    assert "OpenSlide" in said
    assert "QuPath" in said
    assert "% saved" in said
    assert run("validate", out, "--against", slide, "--quiet") == 0
    assert "grey levels from a.tif" in capsys.readouterr().out
    assert names(tmp_path / "out") == ["b.svs"]


def test_programs_choose_the_settings(slide: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "out"
    assert run(slide, "--mode", "lossy", "--opens-in", "openslide,libvips", "--out", folder, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    report = facts["results"][0] if "results" in facts else facts
    assert "jpeg" in json.dumps(report)
    assert names(folder) == ["a.tif"]
    assert run(slide, "--mode", "lossy", "--opens-in", "openslide", "--codec", "avif", "--out", folder) == 1
    assert "no settings are opened" in capsys.readouterr().err


def test_a_target_is_found_and_kept(slide: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out" / "b.tif"
    given = ("--mode", "lossy", "--codec", "jpegxl", "--quality", "psnr=36", "--out", out, "--quiet")
    assert run(slide, *given) == 0
    assert "reaches psnr 36" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(slide: Path, tmp_path: Path, capsys) -> None:
    assert run(slide, "--mode", "lossy", "--dry-run", "--glass", "white", "--margin", 10, "--quiet") == 0
    assert "nothing was written" in capsys.readouterr().out
    assert names(tmp_path) == ["a.tif"]


def test_the_slide_is_replaced_when_asked(slide: Path, tmp_path: Path) -> None:
    before = slide.stat().st_size
    assert run(slide, "--mode", "lossy", "--codec", "jpeg", "--replace", "--quiet") == 0
    assert slide.stat().st_size < before
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--codec", "jpeg"), "belongs to --mode lossy"),
        (("--mode", "lossy", "--quality", "good"), "is no quality"),
        (("--mode", "lossy", "--quality", "ssim=2"), "no such ssim"),
        (("--mode", "lossy", "--codec", "webp", "--subsampling", "4:4:4"), "no such chroma subsampling"),
        (("--mode", "lossy", "--container", "dicom"), "DICOM is not written"),
        (("--mode", "lossy", "--label-text", "X"), "new label"),
        (("--mode", "lossy", "--against", "b"), "belongs to validate"),
        (("--mode", "lossy", "--tile", "100"), "side of tiles"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    slide: Path, tmp_path: Path, capsys, given: tuple[str, ...], said: str
) -> None:
    code = run(slide, *given, "--out", tmp_path / "out" / "b.tif", "--quiet")
    captured = capsys.readouterr()
    assert code in (1, 2)
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "out" / "b.tif").exists()
