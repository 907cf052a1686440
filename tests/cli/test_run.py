"""``napari-nic run``."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from napari_nic import extras
from napari_nic.cli import run_processes
from napari_nic.cli.run_table import MOST_ROWS, RunTable
from napari_nic.jobs import Progress
from napari_nic.runs import RunFolder, RunProgress, SlideRecord, SlideResult, Source, Tally

LINE = ("--encoder", "mean-rgb", "--threads", "1")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_good_ones_are_done_and_a_bad_one_is_named(cli, slide: Path, bad_slide: Path, out: Path) -> None:
    outcome = cli("run", slide.parent, "--out", out, *LINE)
    assert outcome.code == 1
    assert "made: done, " in outcome.out
    assert "2 slides: 1 done, 1 failed" in outcome.out
    assert f"1 failed: {bad_slide}" in outcome.err
    assert (out / "stores" / "made.mean-rgb.nic.zarr").is_dir()
    assert "made: done" in (out / "summary.html").read_text("utf-8")


def test_all_steps_and_again(cli, slide: Path, out: Path, tiny_model: Path) -> None:
    line = ("run", slide, "--out", out, "--model", "tiny", "--format", "npy", "--threads", "1")
    outcome = cli(*line)
    assert outcome.code == 0, outcome.err
    place = out / "slides" / "made"
    scores = json.loads((place / "prediction-tiny.json").read_text())
    assert set(scores["scores"]) == {"healthy", "lesion"}
    assert (place / "saliency-tiny.png").is_file()
    assert list((out / "exports" / "npy" / "mean-rgb").glob("made*.npy"))
    page = (out / "summary.html").read_text("utf-8")
    assert "saliency-tiny.png" in page
    again = cli(*line)
    assert again.code == 0
    assert "1 slide: 1 done; 1 was done before" in again.out
    assert "made: done" not in again.out


def test_a_model_trained_anew_is_asked_anew(cli, slide: Path, out: Path, tiny_model: Path) -> None:
    line = ("run", slide, "--out", out, "--model", "tiny", "--steps", "predict", "--threads", "1", "--json")
    cli(*line)
    before = (out / "stores").stat().st_mtime_ns
    card = tiny_model / "model.json"
    card.write_text(
        json.dumps({k: v for k, v in json.loads(card.read_text()).items() if k != "content_sha256"})
    )
    (record,) = cli(*line).json
    assert record["worked"]
    assert (out / "stores").stat().st_mtime_ns == before


def test_two_of_one_name_have_names_of_their_own(cli, slide: Path, out: Path) -> None:
    other = slide.parent / "sub" / slide.name
    other.parent.mkdir()
    shutil.copy(slide, other)
    assert cli("run", slide, other, "--out", out, *LINE).code == 0
    assert sorted(path.name for path in (out / "stores").iterdir()) == [
        "made.mean-rgb.nic.zarr",
        "sub-made.mean-rgb.nic.zarr",
    ]


def test_status(cli, slide: Path, bad_slide: Path, out: Path) -> None:
    cli("run", slide.parent, "--out", out, *LINE)
    outcome = cli("run", "status", out)
    assert outcome.code == 1
    assert f"{out}: 2 slides" in outcome.out
    assert "bad: " in outcome.err
    found = cli("run", "status", out, "--json").json
    assert found["counts"] == {"done": 1, "failed": 1}
    assert found["slides_per_hour"] > 0
    assert found["seconds_left"] == 0
    assert {entry["name"]: entry["state"] for entry in found["slides"]} == {"made": "done", "bad": "failed"}
    elsewhere = cli("run", "status", slide.parent)
    assert elsewhere.code == 1
    assert "no folder of a run" in elsewhere.err


def test_a_damaged_record_is_named_and_the_others_go_on(cli, slide: Path, out: Path) -> None:
    other = Path(shutil.copy(slide, slide.with_name("other.tif")))
    cli("run", slide, other, "--out", out, *LINE)
    record = out / "slides" / "made" / "slide.json"
    record.write_text(record.read_text().replace('"done"', '"empty"'))
    outcome = cli("run", slide, other, "--out", out, *LINE)
    assert outcome.code == 1
    assert "changed or damaged" in outcome.err
    assert "1 done, 1 failed; 1 was done before" in outcome.out


def test_status_names_some_of_very_many(cli, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write_plan({"settings": {}, "tasks": ["tissue"]})
    for number in range(23):
        folder.write(SlideRecord(f"s{number:02}", Source(""), reason="cut off"))
    outcome = cli("run", "status", folder.root)
    assert outcome.code == 1
    assert outcome.err.count("cut off") == 20
    assert outcome.err.splitlines()[-1] == "error: and 3 more failed; --json lists all"
    assert len(cli("run", "status", folder.root, "--json").json["slides"]) == 23


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--out with a folder"),
        (("--out", "o", "--steps", "bake"), "unknown step"),
        (("--out", "o", "--steps", "predict"), "--model NAME"),
        (("--out", "o", "--steps", "export"), "--format NAME"),
        (("--out", "o", "--shard", "3/2"), "I/N"),
        (("--out", "o", "--steps", "tissue,,"), "names of steps"),
        (("--out", "o", "--job-script"), "--slurm JOBS"),
        (("--out", "o", "--dashboard"), "--workers or --gpus"),
        (("--out", "o", "--slurm", "2", "--workers", "2"), "not allowed with"),
        (("--out", "o", "--slurm", "2", "--copy-ahead", "near"), "--shard"),
        (("--out", "o", "--copy-ahead", "near", "--copy-limit", "a lot"), "50GB"),
        (("--out", "o", "--copy-ahead", "near", "--copy-limit", "0"), "50GB"),
    ],
)
def test_wrong_usage(cli, slide: Path, tmp_path: Path, monkeypatch, words, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("run", slide, *words)
    assert (outcome.code, said in outcome.err) == (2, True)
    assert not (tmp_path / "o").exists()


def test_the_table_shows_all_and_no_markup_of_names() -> None:
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.add(RunProgress(1, 30, "", name="x", result=SlideResult("x", "x", "done")))
    for number in range(MOST_ROWS + 2):
        tally.add(RunProgress(1, 30, "compressing", name=f"[red]{number}.svs", inner=Progress(1, 2)))
    now[0] = 60
    screen = Console(width=100, record=True, file=io.StringIO())
    screen.print(RunTable(tally))
    text = screen.export_text()
    assert f"30 slides: 1 done, {MOST_ROWS + 2} at work, {30 - MOST_ROWS - 3} waiting" in text
    assert "60 slides/h, about 29:00 left" in text
    assert "[red]0.svs" in text
    assert "and 2 more" in text


def test_slides_are_copied_ahead_and_nothing_of_them_stays(cli, slide: Path, out: Path, tmp_path) -> None:
    near = tmp_path / "near"
    outcome = cli("run", slide, "--out", out, *LINE, "--copy-ahead", near, "--copy-limit", "0.5GB")
    assert outcome.code == 0, outcome.err
    assert not list(near.iterdir())
    assert json.loads((out / "slides" / "made" / "slide.json").read_text())["source"]["path"] == str(slide)


@pytest.mark.parametrize(
    ("text", "size"), [("50GB", 50 * 10**9), ("1.5 TB", 15 * 10**11), ("700", 700), ("3M", 3_000_000)]
)
def test_sizes(text: str, size: int) -> None:
    assert run_processes._bytes(text) == size


def test_what_slurm_would_be_given_is_printed_and_nothing_is_done(cli, slide: Path, out: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    outcome = cli("run", slide, "--out", out, "--slurm", "3", "--partition", "gpu", "--job-script")
    assert outcome.code == 0
    assert outcome.out.startswith("#!/usr/bin/env bash\n")
    assert "#SBATCH -p gpu\n" in outcome.out
    assert not out.exists()


def test_dasks_page_needs_its_library(cli, slide: Path, out: Path, monkeypatch) -> None:
    whole = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "bokeh" else whole(name))
    outcome = cli("run", slide, "--out", out, *LINE, "--workers", "1", "--dashboard")
    assert outcome.code == 1
    assert "pip install bokeh" in outcome.err
