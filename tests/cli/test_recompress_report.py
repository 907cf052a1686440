"""``recompress --report`` and ``recompress report``: pages, numbers, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

QUICK = ("--views", "2", "--encoder", "mean-rgb")


def test_a_page_beside_the_result(cli, slide: Path, tmp_path: Path) -> None:
    outcome = cli("recompress", slide, "--mode", "optimize", "--out", tmp_path / "out", "--report", *QUICK)
    assert outcome.code == 0, outcome.err
    page = tmp_path / "out" / f"{slide.name}.report.html"
    assert str(page) in outcome.out
    assert "Drift of embeddings" in page.read_text("utf-8")
    numbers = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert {one["psnr"] for one in numbers["quality"]} == {None}
    assert numbers["saved"] > 0


def test_any_two_files_after_the_fact(cli, slide: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = cli("recompress", "report", slide, slide, "--out", page, "--json", *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.json["saved"] == 0
    assert page.is_file()
    again = cli("recompress", "report", slide, slide, "--out", page, *QUICK)
    assert again.code == 1
    assert "the output exists" in again.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--report", "--replace"], "no two files"),
        (["--report", "--dry-run"], "no two files"),
        (["--views", "3", "--out", "x"], "none is made"),
    ],
)
def test_usage(cli, slide: Path, options: list[str], text: str) -> None:
    outcome = cli("recompress", slide, *options)
    assert outcome.code == 2
    assert text in outcome.err


def test_a_report_is_of_two_files(cli, slide: Path, tmp_path: Path) -> None:
    assert cli("recompress", "report", slide).code == 2
    outcome = cli("recompress", "report", slide, slide, "--out", tmp_path / "page.txt")
    assert outcome.code == 2
    assert "no page" in outcome.err


def test_codecs_against_each_other(cli, slide: Path, tmp_path: Path) -> None:
    page = tmp_path / "codecs.html"
    outcome = cli("recompress", "compare", slide, "--try", "jpegxl=80", "--views", "1", "--out", page)
    assert outcome.code == 0, outcome.err
    assert "jpegxl 4:4:4 effort 3, 80" in outcome.out
    assert "<svg" in page.read_text("utf-8")
    assert json.loads(page.with_suffix(".json").read_text("utf-8"))["all"]


def test_a_learned_codec_against_others(cli, slide: Path, tmp_path: Path, learned_folder: Path) -> None:
    shutil.copytree(learned_folder, tmp_path / "home/codecs/tissue")
    outcome = cli("recompress", "compare", slide, "--try", "neural:tissue", "--views", "1", "--json")
    assert outcome.code == 0, outcome.err
    (found,) = [row for row in outcome.json["all"] if row["name"].startswith("neural:")]
    assert found["name"] == "neural:wavelet 4:4:4"
    assert found["ssim"]["mean"] > 0.8
    outcome = cli("recompress", "compare", slide, "--try", "neural:none")
    assert outcome.code == 1
    assert "one of tissue" in outcome.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--try", "jpegxl"], "no codec with its qualities"),
        (["--try", "gif=3"], "unknown codec"),
        (["--labels", "labels.csv"], "goes with one --model"),
        (["--out", "page.txt"], "no page"),
    ],
)
def test_what_compare_refuses(cli, slide: Path, options: list[str], text: str) -> None:
    outcome = cli("recompress", "compare", slide, *options)
    assert outcome.code != 0
    assert text in outcome.err


def test_the_page_of_a_lossy_run_has_its_checks_and_times(cli, slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "lossy.tif"
    outcome = cli("recompress", slide, "--mode", "lossy", "--quality", "70", "--out", out, "--report", *QUICK)
    assert outcome.code == 0, outcome.err
    page = out.with_name("lossy.tif.report.html").read_text("utf-8")
    assert "The check of every tile" in page
    assert "to encode a tile" in page
    numbers = json.loads(out.with_name("lossy.tif.report.json").read_text("utf-8"))
    assert numbers["checks"]["0"]["tiles"] > 0
    assert numbers["encode_ms_per_tile"] > 0
