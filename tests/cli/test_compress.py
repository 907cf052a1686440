"""``napari-nic compress``."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import zarr

from napari_nic import device
from napari_nic.cli.console import Console
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import DamagedSlideError
from napari_nic.jobs import Progress
from napari_nic.pipeline import BlocksDone
from napari_nic.slides.slide import Slide

if TYPE_CHECKING:
    import pytest

FINE_GRID = ("--encoder", "mean-rgb", "--patch-size", "32", "--stride", "16", "--workers", "1")
"""Some thirty blocks on the small slide, so that a run can be stopped in between."""


BLOCKS_BEFORE_STOP = 3


def test_makes_a_store_beside_the_slide(cli, slide: Path) -> None:
    outcome = cli("compress", slide, "--encoder", "mean-rgb")
    assert outcome.code == 0
    assert outcome.err == ""
    store = CompressedSlide.open(slide.with_name("made.nic.zarr"))
    assert store.is_complete
    assert f"{int(store.coverage.sum())} patches" in outcome.out


def test_second_run_has_nothing_to_do(cli, slide: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb")
    outcome = cli("compress", slide, "--encoder", "mean-rgb", "--json")
    assert outcome.json[0]["new_patches"] == 0
    assert "nothing to do" in cli("compress", slide, "--encoder", "mean-rgb").out


def test_a_picture_that_a_killed_run_did_not_store_is_stored_by_the_next(cli, slide: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb")
    path = slide.with_name("made.nic.zarr")
    picture = zarr.open_array(path / "preview" / "0", mode="r")[:]
    zarr.open_array(path / "preview" / "0", mode="r+")[:] = 0
    description = json.loads((path / "zarr.json").read_text("utf-8"))
    del description["attributes"]["ome"]
    (path / "zarr.json").write_text(json.dumps(description), "utf-8")
    (path / f"zarr.{'0af1' * 8}.partial").write_bytes(b"half")
    assert not CompressedSlide.open(path).has_preview
    assert cli("compress", slide, "--encoder", "mean-rgb").code == 0
    assert CompressedSlide.open(path).has_preview
    np.testing.assert_array_equal(zarr.open_array(path / "preview" / "0", mode="r")[:], picture)
    assert not list(path.glob("*.partial"))


def test_json_record(cli, slide: Path, tmp_path: Path) -> None:
    (record,) = cli("compress", slide, "--encoder", "mean-rgb", "--json", "--out", tmp_path / "stores").json
    assert record["path"] == str(tmp_path / "stores" / "made.nic.zarr")
    assert record["status"] == "complete"
    assert record["new_patches"] == record["encoded_cells"] > 0
    assert record["code_size"] == 3


def test_grid_options(cli, slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.nic.zarr"
    options = ("--patch-size", "64", "--stride", "32", "--target-mpp", "1", "--no-tissue")
    assert cli("compress", slide, "--encoder", "mean-rgb", "--out", out, *options).code == 0
    grid = CompressedSlide.open(out).grid
    assert (grid.patch_size, grid.mpp) == (64, 1.0)
    assert CompressedSlide.open(out).coverage.all()


def test_least_tissue(cli, slide: Path, tmp_path: Path) -> None:
    covered = {}
    for least in ("0.1", "0.9"):
        out = tmp_path / f"{least}.nic.zarr"
        cli("compress", slide, "--encoder", "mean-rgb", "--out", out, "--min-tissue", least)
        covered[least] = int(CompressedSlide.open(out).coverage.sum())
    assert covered["0.9"] < covered["0.1"]


def test_one_file_of_tissue_is_of_one_slide(cli, slide: Path, bad_slide: Path, tmp_path: Path) -> None:
    outlines = tmp_path / "made.geojson"
    ring = [[0, 0], [512, 0], [512, 512], [0, 512], [0, 0]]
    outlines.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    line = ("--encoder", "mean-rgb", "--out", tmp_path / "stores", "--tissue", outlines)
    refused = cli("compress", slide.parent, *line)
    assert (refused.code, "one file was given to --tissue" in refused.err) == (2, True)
    assert cli("compress", slide, *line).code == 0


def test_several_slides_go_on_after_a_bad_one(cli, slide: Path, bad_slide: Path, tmp_path: Path) -> None:
    outcome = cli("compress", slide.parent, "--encoder", "mean-rgb", "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert CompressedSlide.open(tmp_path / "stores" / "made.nic.zarr").is_complete
    assert "no slide of a kind that is known" in outcome.err
    assert f"1 of 2 failed: {bad_slide}" in outcome.err


def test_missing_pixel_size_asks_for_mpp(cli, make_tiff, make_tissue, tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "silent.tif", make_tissue(300, 300), factors=(1,), mpp=None)
    outcome = cli("compress", path, "--encoder", "mean-rgb")
    assert outcome.code == 1
    assert "--mpp" in outcome.err
    assert cli("compress", path, "--encoder", "mean-rgb", "--mpp", "0.5", "--no-tissue").code == 0


def test_store_made_otherwise_needs_overwrite(cli, slide: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb")
    again = ("compress", slide, "--encoder", "mean-rgb", "--stride", "64")
    outcome = cli(*again)
    assert outcome.code == 1
    assert "--overwrite" in outcome.err
    assert cli(*again, "--overwrite").code == 0


def test_a_store_is_gone_on_with_in_the_precision_that_it_was_begun_in(
    cli, slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine, or this one with other software, may choose otherwise of itself."""
    stopped = ("compress", slide, "--encoder", "nic-default")
    assert cli(*stopped, "--precision", "bfloat16").code == 0
    monkeypatch.setattr(device, "_has_bfloat16", lambda _: False)
    outcome = cli(*stopped)
    assert outcome.code == 0, outcome.err
    assert "complete already" in outcome.out
    assert cli(*stopped, "--precision", "float32").code == 1
    assert cli(*stopped, "--overwrite").code == 0
    assert CompressedSlide.open(slide.with_name("made.nic.zarr")).header.precision == "float32"


def test_unknown_encoder_stops_before_any_slide(cli, slide: Path) -> None:
    outcome = cli("compress", slide, "--encoder", "none")
    assert outcome.code == 1
    assert "mean-rgb" in outcome.err
    assert not slide.with_name("made.nic.zarr").exists()


def test_interrupted_run_resumes_to_the_same_array(
    cli, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "x.nic.zarr", tmp_path / "whole.nic.zarr"
    follow = Console.follow

    def press_ctrl_c(self: Console, reports: Iterable[Progress], title: str) -> Iterator[Progress]:
        stored = 0
        for report in follow(self, reports, title):
            stored += isinstance(report, BlocksDone)  # and not what is told while tissue is looked for
            if stored == BLOCKS_BEFORE_STOP + 1:
                signal.raise_signal(signal.SIGINT)
            yield report

    with monkeypatch.context() as patch:
        patch.setattr(Console, "follow", press_ctrl_c)
        outcome = cli("compress", slide, "--out", out, *FINE_GRID)
    assert outcome.code == 130
    assert "goes on from there" in outcome.err
    stopped = CompressedSlide.open(out)
    assert 0 < stopped.encoded().sum() < stopped.coverage.sum()

    assert cli("compress", slide, "--out", out, *FINE_GRID).code == 0
    assert cli("compress", slide, "--out", whole, *FINE_GRID).code == 0
    np.testing.assert_array_equal(CompressedSlide.open(out).read(), CompressedSlide.open(whole).read())


def write_glass(path: Path) -> Path:
    """A slide of empty glass, with the grain of a scan."""
    glass = np.clip(np.random.default_rng(0).normal(243, 2, (700, 700, 3)), 0, 255).astype(np.uint8)
    options = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(path, glass, tile=(256, 256), photometric="rgb", **options)
    return path


def test_a_slide_without_tissue_is_told_and_what_to_do_then_works(cli, tmp_path: Path) -> None:
    glass = write_glass(tmp_path / "glass.tif")
    for _ in range(2):  # at its first run it is not complete already, nor at the second
        outcome = cli("compress", glass, "--encoder", "mean-rgb")
        assert outcome.code == 1
        assert "no tissue was found" in outcome.err
        assert "--no-tissue" in outcome.err
        assert "already" not in outcome.out + outcome.err
    store = tmp_path / "glass.nic.zarr"
    for command in (("pca",), ("pca", "--channel", "1")):
        outcome = cli(command[0], store, *command[1:])
        assert outcome.code == 1
        assert len(outcome.err.splitlines()) <= 2
        assert "Traceback" not in outcome.err
    outcome = cli("export", store, "--format", "npy")
    assert outcome.code == 0
    assert "no patches" in outcome.err
    outcome = cli("compress", glass, "--encoder", "mean-rgb", "--no-tissue")
    assert outcome.code == 0
    assert CompressedSlide.open(store).is_complete


def test_damaged_tiles_are_named_and_the_rest_is_stored(cli, slide: Path, monkeypatch) -> None:
    read_tile = Slide.read_stored_tile

    def broken(self: Slide, level: int, row: int, col: int) -> np.ndarray:
        if (level, row, col) == (0, 2, 3):
            raise DamagedSlideError("the tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    with monkeypatch.context() as patch:
        patch.setattr(Slide, "read_stored_tile", broken)
        outcome = cli("compress", slide, *FINE_GRID)
    assert outcome.code == 1
    assert "1 tiles cannot be read" in outcome.err
    assert "(2, 3)" in outcome.err
    store = slide.with_name("made.nic.zarr")
    (record,) = cli("info", store, "--json").json
    assert record["status"] == "partial"
    failed = int(CompressedSlide.open(store).failed.sum())
    told = cli("pca", store)
    assert told.code == 0
    assert f"{failed:,} cannot be read" in told.err
    assert cli("compress", slide, *FINE_GRID).code == 0
    assert CompressedSlide.open(store).status == "complete"


def test_a_second_run_on_a_store_that_is_being_written_is_refused(cli, slide: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb", "--no-tissue")
    store = CompressedSlide.open(slide.with_name("made.nic.zarr"), mode="r+")
    with store.writing():
        outcome = cli("compress", slide, "--encoder", "mean-rgb", "--no-tissue", "--overwrite")
    assert outcome.code == 1
    assert "being written by another run" in outcome.err
