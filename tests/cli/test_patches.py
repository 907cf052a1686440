"""Taking patches into a store, and looking at it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.cli import console, patches
from napari_nic.errors import CancelledError
from napari_nic.patches import PatchStore


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made.patches.zarr"


def test_slides_and_tiles_become_a_store_that_info_describes(cli, slide, bad_slide, tile_folder, out):
    made = cli(
        *("patches", "extract", slide.parent, "--tiles", f"{tile_folder}=1.0", "--labelled"),
        *("--out", out, "--target-mpp", 1, "--size", 64, "--per-slide", 10, "--seed", 7),
    )
    assert made.code == 1
    assert "82 patches of 64 px at 1 um/px from 13 sources in 13 groups" in made.out
    assert "classes: a 36, b 36, (none) 10" in made.out
    assert "1 slide or tile was skipped" in made.out
    assert "skipped bad.svs: no slide of a kind that is known" in made.err
    shown = cli("patches", "info", out)
    assert shown.code == 0
    assert "seed     7" in shown.out
    assert "skipped bad.svs" in shown.out
    row = next(line for line in shown.out.splitlines() if line.startswith("made.tif"))
    assert row.split()[:5] == ["made.tif", "made", "0", "0", "10"]
    assert "over the cap" in row


def test_json_has_counts_sources_and_what_was_skipped(cli, slide, bad_slide, out):
    made = cli("patches", "extract", slide.parent, "--out", out, "--per-slide", 5, "--json")
    (shown,) = cli("patches", "info", out, "--json").json
    assert shown.pop("input") == str(out)
    assert shown.pop("ok")
    assert made.json == shown
    assert shown["patches"] == 5
    assert shown["sources"][0]["patches"] == {"(none)": 5}
    assert shown["skipped"][0][0] == "bad.svs"


def test_annotated_slides_give_classes(cli, slide, out, tmp_path):
    half = AnnotationSet((Annotation("tumour", "polygon", shapely.box(0, 0, 768, 1100)),))
    folder = tmp_path / "drawn"
    folder.mkdir()
    write_annotations(half, folder / "made.geojson")
    options = ("--annotations", folder, "--rest", "normal", "--size", 64)
    made = cli("patches", "extract", slide, "--out", out, *options)
    assert made.code == 0
    assert PatchStore.open(out).class_names == ("normal", "tumour")
    # Beside the slide there is none: it is skipped, and nothing is left.
    again = cli("patches", "extract", slide, "--out", out, "--overwrite", "--annotated")
    assert again.code == 1
    assert "no annotation file of this slide" in again.err
    assert len(PatchStore.open(out)) > 0


def test_file_names_that_do_not_fit_the_rule_for_groups_are_told(cli, tile_folder, out):
    options = ("--tiles", f"{tile_folder}=1.0", "--target-mpp", 1, "--size", 64, "--group", r"^(1\d)")
    made = cli("patches", "extract", "--out", out, *options)
    assert "10 file names do not fit --group" in made.err
    assert len(set(PatchStore.open(out).groups)) == 12
    all_fit = cli("patches", "extract", "--out", out, "--overwrite", *options[:-1], r"^(\d)")
    assert "do not fit" not in all_fit.err


def test_long_lists_are_cut_unless_asked_for(cli, tile_folder, out, tmp_path, monkeypatch):
    monkeypatch.setattr(patches, "SOURCES_SHOWN", 3)
    monkeypatch.setattr(patches, "SKIPS_SHOWN", 2)
    monkeypatch.setattr(console, "MISSED_SHOWN", 2)
    folder = tmp_path / "tiles"
    shutil.copytree(tile_folder, folder)
    for index in range(4):
        (folder / f"bad{index}.png").write_bytes(b"no picture")
    made = cli("patches", "extract", "--out", out, "--tiles", f"{folder}=1", "--target-mpp", 1, "--size", 64)
    assert made.err.count("skipped tiles/bad") == 2
    short = cli("patches", "info", out).out
    assert "and 9 more sources (--all)" in short
    assert "and 2 more skipped (--all)" in short
    whole = cli("patches", "info", out, "--all").out
    assert "more" not in whole
    assert whole.count("skipped tiles/bad") == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tiles", "folder"], "FOLDER=UM"),
        (["--tiles", "folder=-1"], "above 0"),
        (["--group", "("], "no regular expression"),
        ([], "nothing to take patches from"),
        (["slide.svs", "--rest", "normal"], "--rest goes with annotations"),
    ],
)
def test_wrong_usage(cli, out, arguments, said):
    outcome = cli("patches", "extract", "--out", out, *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert not out.exists()


def test_a_store_that_is_there_or_missing_is_told(cli, slide, out):
    assert cli("patches", "extract", slide, "--out", out, "--per-slide", 2).code == 0
    again = cli("patches", "extract", slide, "--out", out)
    assert again.code == 1
    assert "--overwrite" in again.err
    missing = cli("patches", "info", out.with_name("gone.patches.zarr"))
    assert missing.code == 1
    assert "no such patch store" in missing.err


def test_stopping_says_that_nothing_was_stored(cli, slide, out, monkeypatch):
    def stopped(*_arguments, **_options):
        raise CancelledError("cancelled")

    monkeypatch.setattr("napari_nic.patches.extract_patches", stopped)
    outcome = cli("patches", "extract", slide, "--out", out)
    assert outcome.code == 130
    assert "nothing was stored" in outcome.err


def test_a_folder_of_slides_with_a_patch_store_in_it_is_a_folder_of_slides(cli, slide):
    out = slide.with_name("inside.patches.zarr")
    assert cli("patches", "extract", slide.parent, "--out", out, "--per-slide", 2).code == 0
    again = cli("patches", "extract", slide.parent, "--out", out, "--overwrite", "--per-slide", 2)
    assert again.code == 0
    assert "skipped" not in again.out + again.err
