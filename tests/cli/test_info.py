"""``napari-nic info``."""

from __future__ import annotations

from pathlib import Path


def test_slide_for_people(cli, slide: Path) -> None:
    outcome = cli("info", slide)
    assert outcome.code == 0
    assert "1500 x 1100 px" in outcome.out
    assert "0.5 um (" in outcome.out
    assert "not yet" in outcome.out


def test_slide_for_scripts(cli, slide: Path) -> None:
    (record,) = cli("info", slide, "--json").json
    assert record["ok"]
    assert record["kind"] == "slide"
    assert (record["width"], record["height"]) == (1500, 1100)
    assert record["mpp"]["y"] == 0.5
    assert [level["width"] for level in record["levels"]] == [1500, 375, 93]
    assert record["fingerprint"].startswith("sha256:")


def test_pixel_size_of_the_user_and_properties(cli, slide: Path) -> None:
    (record,) = cli("info", slide, "--mpp", "0.25", "--properties", "--json").json
    assert record["mpp"] == {"y": 0.25, "x": 0.25, "source": "user"}
    assert isinstance(record["properties"], dict)


def test_missing_pixel_size_is_said(cli, make_tiff, make_tissue, tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "silent.tif", make_tissue(300, 300), factors=(1,), mpp=None)
    assert "state it with --mpp" in cli("info", path).out


def test_goes_on_after_a_bad_slide(cli, slide: Path, bad_slide: Path) -> None:
    outcome = cli("info", slide.parent, "--json")
    assert outcome.code == 1
    assert [Path(record["input"]).name for record in outcome.json] == ["bad.svs", "made.tif"]
    assert [record["ok"] for record in outcome.json] == [False, True]
    assert "1 of 2 failed" in outcome.err


def test_store(cli, slide: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb")
    store = slide.with_name("made.nic.zarr")
    assert str(store) in cli("info", slide).out
    outcome = cli("info", store)
    assert "complete: " in outcome.out
    assert "mean-rgb, C = 3" in outcome.out
    (record,) = cli("info", store, "--json").json
    assert record["kind"] == "store"
    assert record["encoded_cells"] == record["covered_cells"] > 0
    assert record["header"]["slide_name"] == "made"


def test_a_store_of_what_the_slide_was_before_is_named(cli, slide: Path, make_tiff, make_tissue) -> None:
    cli("compress", slide, "--encoder", "mean-rgb")
    assert "another slide" not in cli("info", slide).out
    make_tiff(slide, make_tissue(600, 700), factors=(1,), mpp=0.5)
    outcome = cli("info", slide)
    assert outcome.code == 0
    assert "note: made.nic.zarr: the store belongs to another slide" in outcome.out
