"""``recompress`` and ``restore``: tables, counts, exit codes, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_nic.slides import open_slide


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def content(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return np.asarray(slide.pyramid()[0])


def test_repacked_checked_and_restored(cli, slide: Path, out: Path) -> None:
    before = slide.read_bytes()
    outcome = cli("recompress", slide, "--out", out)
    assert outcome.code == 0, outcome.err
    packed = out / slide.name
    assert f"{slide} -> {packed}: {len(before):,} bytes, then {packed.stat().st_size:,} (" in outcome.out
    assert packed.stat().st_size < len(before)
    np.testing.assert_array_equal(content(packed), content(slide))
    checked = cli("recompress", "validate", packed)
    assert checked.code == 0
    assert "whole" in checked.out
    assert "gives back" in checked.out
    assert cli("restore", packed, "--out", out / "back.tif").code == 0
    assert (out / "back.tif").read_bytes() == before


def test_optimised_in_its_place(cli, slide: Path, out: Path) -> None:
    before, pixels = slide.stat().st_size, content(slide)
    outcome = cli("recompress", slide, "--mode", "optimize", "--replace", "--json")
    assert outcome.code == 0, outcome.err
    (record,) = outcome.json
    assert record["after"] == slide.stat().st_size
    assert record["before"] == before
    np.testing.assert_array_equal(content(slide), pixels)
    outcome = cli("restore", slide, "--out", out)
    assert outcome.code == 1
    assert "cannot be had back" in outcome.err


def test_what_a_sample_would_save(cli, slide: Path) -> None:
    before = slide.read_bytes()
    outcome = cli("recompress", slide, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "estimated from a sample of " in outcome.out
    assert "nothing was written" in outcome.out
    assert [entry.name for entry in slide.parent.iterdir()] == [slide.name]
    assert slide.read_bytes() == before


def test_a_folder_goes_on_after_a_bad_slide(cli, slide: Path, bad_slide: Path, out: Path) -> None:
    shutil.copy(slide, slide.with_name("other.tif"))
    outcome = cli("recompress", slide.parent, "--out", out, "--json")
    assert outcome.code == 1
    assert {Path(record["input"]).name: record["ok"] for record in outcome.json} == {
        "bad.svs": False,
        "made.tif": True,
        "other.tif": True,
    }
    assert "not a TIFF file" in outcome.err
    assert sorted(entry.name for entry in out.iterdir()) == ["made.tif", "other.tif"]
    assert cli("recompress", "validate", out).code == 0
    assert cli("recompress", "validate", slide).code == 1


def test_what_was_there_stays_unless_told(cli, slide: Path, out: Path) -> None:
    out.mkdir()
    (out / slide.name).write_text("mine")
    for command in (("recompress",), ("restore",)):
        outcome = cli(*command, slide, "--out", out)
        assert outcome.code == 1
        assert "the output exists" in outcome.err
    assert (out / slide.name).read_text() == "mine"
    assert cli("recompress", slide, "--out", out, "--overwrite").code == 0
    assert cli("recompress", slide, "--out", slide).code == 1
    assert cli("recompress", slide, "--out", slide.parent).code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("recompress", "a.svs"),
        ("recompress", "a.svs", "--out", "b.svs", "--replace"),
        ("recompress", "a.svs", "b.svs", "--out", "c.svs"),
        ("recompress", "a.svs", "--mode", "neural", "--out", "c"),
        ("recompress", "a.svs", "--out", "c", "--workers", "0"),
        ("restore", "a.svs"),
    ],
)
def test_wrong_usage(cli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert "error: " in outcome.err


def test_without_its_library_the_install_line_is_told(cli, slide: Path, out: Path, monkeypatch) -> None:
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _: None)
    outcome = cli("recompress", slide, "--mode", "optimize", "--out", out)
    assert outcome.code == 1
    assert 'pip install "napari-nic[recompress]"' in outcome.err
    assert not out.exists()


def test_glass_is_removed_and_counted(cli, slide: Path, out: Path) -> None:
    options = ("--mode", "optimize", "--glass", "white", "--margin", "20")
    outcome = cli("recompress", slide, *options, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    (record,) = outcome.json
    assert record["painted"] > 0
    assert record["tissue"]
    assert cli("recompress", "validate", out / slide.name).code == 0
    table = cli("recompress", slide, *options, "--dry-run")
    assert "all glass" in table.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--glass", "white"), "gives the original back"),
        (("--mode", "optimize", "--margin", "20"), "add --glass white"),
        (("--mode", "optimize", "--glass", "white", "--margin", "-1"), "margin"),
    ],
)
def test_options_about_glass_that_do_not_fit(cli, slide: Path, out: Path, options: tuple, said: str) -> None:
    outcome = cli("recompress", slide, *options, "--out", out)
    assert outcome.code == 2
    assert said in outcome.err
    assert not out.exists()
