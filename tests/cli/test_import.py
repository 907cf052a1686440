"""``napari-nic import``."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.jobs import CancellationToken
from napari_nic.slides import open_slide

SIDE = 128
XY = np.array([(x * SIDE, y * SIDE) for x in range(2, 8) for y in range(1, 6)])
"""Column by column, on a slide of 1500 x 1100 px."""


def trident(path: Path, xy: np.ndarray = XY, **attributes: Any) -> Path:
    """Features that hold their own places, as TRIDENT writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = np.pad(xy, ((0, 0), (0, 2))).astype(np.float32)
        file["coords"] = xy.astype(np.int64)
        stated = {"patch_size": SIDE, "patch_size_level0": SIDE, "target_magnification": 20, "overlap": 0}
        file["coords"].attrs.update(stated | {"name": "an older name"} | attributes)
    return path


def clam(path: Path, xy: np.ndarray = XY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = np.pad(xy, ((0, 0), (0, 2))).astype(np.float32)
        file["coords"] = xy.astype(np.int32)
    return path


def test_job_folder_with_its_slides(cli, slide: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    trident(job / "20x_128px_0px_overlap" / "features_uni" / "made.h5")
    outcome = cli("import", job, "--slides", slide.parent, "--out", tmp_path / "stores")
    assert outcome.code == 0, outcome.err
    header, row = outcome.out.splitlines()
    assert header.split()[:3] == ["file", "format", "patches"]
    assert row.split()[:3] == ["made.h5", "trident", str(len(XY))]
    store = CompressedSlide.open(tmp_path / "stores" / "made.nic.zarr")
    with open_slide(slide) as opened:
        store.check_slide(opened)
    table = CodeTable.of(store)
    assert store.header.slide_name == "made"
    assert {tuple(xy) for xy in table.coords_xy.tolist()} == {tuple(xy) for xy in XY.tolist()}
    np.testing.assert_array_equal(table.features(CancellationToken())[:, :2], table.coords_xy)


def test_outlines_of_tissue_beside_features_are_recorded(cli, slide: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    trident(job / "20x_128px_0px_overlap" / "features_uni" / "made.h5")
    outlines = job / "contours_geojson" / "made.geojson"
    outlines.parent.mkdir()
    ring = [[128, 128], [640, 128], [640, 640], [128, 640], [128, 128]]
    outlines.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    outcome = cli("import", job, "--slides", slide, "--out", tmp_path / "stores", "--json")
    assert outcome.json[0]["tissue_outlines"] == "contours_geojson/made.geojson"
    tissue = CompressedSlide.open(tmp_path / "stores" / "made.nic.zarr").header.tissue
    assert tissue["outlines_sha256"] == hashlib.sha256(outlines.read_bytes()).hexdigest()
    line = ("compress", slide, "--encoder", "mean-rgb", "--tissue", outlines.parent)
    assert cli(*line, "--patch-size", 128).code == 0
    store = CompressedSlide.open(slide.with_name("made.nic.zarr"))
    assert store.coverage.sum() == 16
    assert store.header.tissue["method"] == "1 outline of made.geojson"
    assert cli(*line, "--no-tissue").code == 2


def test_what_was_imported_is_not_imported_again(cli, slide: Path, tmp_path: Path) -> None:
    file, out = trident(tmp_path / "made.h5"), tmp_path / "stores"
    line = ("import", file, "--slides", slide, "--out", out, "--json")
    assert cli(*line).json[0]["new"]
    assert not cli(*line).json[0]["new"]
    assert "complete already" in cli(*line[:-1]).out
    trident(file, XY[:-1])
    changed = cli(*line)
    assert changed.code == 1
    assert "--overwrite" in changed.json[0]["error"]["hint"]
    again = cli(*line, "--overwrite").json[0]
    assert (again["new"], again["patches"]) == (True, len(XY) - 1)


def test_one_fails_and_the_others_go_on(cli, slide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    trident(folder / "made.h5")
    (folder / "damaged.h5").write_bytes(b"this is no HDF5")
    shutil.copy(slide, slide.with_name("damaged.tif"))
    trident(folder / "strange.h5")
    outcome = cli("import", folder, "--slides", slide.parent, "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert "strange.h5: no slide of this name" in outcome.err
    assert "2 of 3 failed" in outcome.err
    assert [path.name for path in (tmp_path / "stores").iterdir()] == ["made.nic.zarr"]


def test_equal_names_of_slides_are_told(cli, slide: Path, tmp_path: Path) -> None:
    (slide.parent / "other").mkdir()
    shutil.copy(slide, slide.parent / "other" / slide.name)
    file = trident(tmp_path / "made.h5")
    outcome = cli("import", file, "--slides", slide.parent, "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert "2 slides are called made" in outcome.err
    assert cli("import", file, "--slides", slide, "--out", tmp_path / "stores").code == 0


def test_pixel_size_is_asked_for_and_never_guessed(cli, tmp_path: Path) -> None:
    file, out = clam(tmp_path / "made.h5"), tmp_path / "stores"
    refused = cli("import", file, "--out", out)
    assert refused.code == 1
    assert "--slides" in refused.err
    assert "--mpp" in refused.err
    assert cli("import", file, "--out", out, "--mpp", 0.5, "--target-mpp", 0.5).code == 0
    store = CompressedSlide.open(out / "made.nic.zarr")
    assert store.grid.pixel_size.mean == 0.5
    assert store.grid.pixel_size.source == "given"


def test_features_of_another_slide_are_refused(cli, slide: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "made.h5", level0_width=99_999, level0_height=99_999)
    outcome = cli("import", file, "--slides", slide, "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert "another slide" in outcome.err
    assert not list((tmp_path / "stores").glob("*"))


def test_features_called_after_another_slide_than_the_one_named_are_told(
    cli, slide: Path, tmp_path: Path
) -> None:
    """They are of one size, so that nothing but the name tells."""
    for name, said in (("other", True), ("made", False)):
        file = trident(tmp_path / f"{name}.h5")
        outcome = cli("import", file, "--slides", slide, "--out", tmp_path / f"{name}-stores")
        assert outcome.code == 0
        assert (f"{name}.h5 is called after another slide than {slide.name}" in outcome.err) is said


def test_one_file_of_places_is_of_one_file_of_features(cli, slide: Path, tmp_path: Path) -> None:
    for name in ("made", "other"):
        clam(tmp_path / "f" / f"{name}.h5")
    outcome = cli(
        *("import", tmp_path / "f", "--slides", slide.parent, "--out", tmp_path / "stores"),
        *("--coords", clam(tmp_path / "places.h5")),
    )
    assert (outcome.code, "one file was given to --coords" in outcome.err) == (2, True)


def test_rows_that_repeat_others_are_told(cli, slide: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "made.h5", np.concatenate([XY, XY[:2]]))
    outcome = cli("import", file, "--slides", slide, "--out", tmp_path / "stores")
    assert outcome.code == 0
    assert "2 rows left out that repeat" in outcome.err


def test_counts_of_cells_are_not_taken_for_pixels(cli, slide: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "made.h5", XY // SIDE)
    outcome = cli("import", file, "--slides", slide, "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert "far closer to each other than the file states" in outcome.err
    assert "one every 1 px" in outcome.err


def test_our_own_export_goes_back_to_its_slide_alone(
    cli, slide: Path, store: Path, tmp_path: Path, make_tissue, make_tiff
) -> None:
    out = tmp_path / "x"
    assert cli("export", store, "--format", "trident", "--out", out / "renamed.h5").code == 0
    assert cli("import", out / "renamed.h5", "--slides", slide, "--out", out / "stores").code == 0
    back = CompressedSlide.open(out / "stores" / "made.nic.zarr")
    np.testing.assert_array_equal(back.read(), CompressedSlide.open(store).read())
    make_tiff(slide, make_tissue(1100, 1500, seed=1), factors=(1, 4, 16))
    outcome = cli("import", out / "renamed.h5", "--slides", slide, "--out", out / "others")
    assert outcome.code == 1
    assert "another slide" in outcome.err


def test_several_encoders_of_a_job(cli, slide: Path, tmp_path: Path) -> None:
    job = tmp_path / "job" / "20x_128px_0px_overlap"
    trident(job / "features_uni" / "made.h5")
    trident(job / "features_conch" / "made.h5")
    line = ("import", job, "--slides", slide, "--out", tmp_path / "stores")
    assert "features_conch, features_uni" in cli(*line).err
    assert cli(*line, "--features", "uni").code == 0


def test_two_files_for_one_store(cli, slide: Path, tmp_path: Path) -> None:
    files = [trident(tmp_path / name / "made.h5") for name in ("a", "b")]
    outcome = cli("import", *files, "--slides", slide.parent, "--out", tmp_path / "stores")
    assert outcome.code == 1
    assert "same place" in outcome.err
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import FILE --out OUT --format floppy", "trident"),
        ("import EMPTY --out OUT", "no files of features"),
        ("import FILE --slides NONE --out OUT", "no such folder of slides"),
        ("import NONE.h5 --out OUT", "no such file"),
    ],
)
def test_what_is_not_there_is_said(cli, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    trident(tmp_path / "FILE")
    outcome = cli(*(tmp_path / word if word.isupper() or "NONE" in word else word for word in line.split()))
    assert outcome.code == 1
    assert said in outcome.err


def test_ctrl_c_leaves_no_half_store(cli, slide: Path, tmp_path: Path, monkeypatch) -> None:
    for name in ("a", "b", "c"):
        trident(tmp_path / "features" / f"{name}.h5")
        shutil.copy(slide, slide.with_name(f"{name}.tif"))
    out = tmp_path / "stores"
    checkpoint = CancellationToken.checkpoint

    def press(token: CancellationToken) -> None:
        if any(out.glob("a.nic.zarr")) and not token.cancelled:
            signal.raise_signal(signal.SIGINT)
        checkpoint(token)

    line = ("import", tmp_path / "features", "--slides", slide.parent, "--out", out, "--json")
    with monkeypatch.context() as patched:
        patched.setattr(CancellationToken, "checkpoint", press)
        outcome = cli(*line)
    assert outcome.code == 130
    assert [Path(record["input"]).name for record in outcome.json] == ["a.h5"]
    assert [path.name for path in out.iterdir()] == ["a.nic.zarr"]
    assert [record["new"] for record in cli(*line).json] == [False, True, True]


def test_what_matters_is_said_when_quiet_too(cli, slide: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "other.h5", np.concatenate([XY, XY[:1]]))
    outcome = cli("import", file, "--slides", slide, "--out", tmp_path / "stores", "--quiet")
    assert "note: other.h5 is called after another slide than" in outcome.err
    assert "1 row left out" in outcome.err


def test_several_files_at_a_time_give_the_same(cli, slide: Path, tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(6)]
    for name in names:
        trident(tmp_path / "f" / f"{name}.h5", np.concatenate([XY, XY[:1]]))
        slide.with_name(f"{name}.tif").symlink_to(slide)
    (tmp_path / "f" / "s3.h5").write_bytes(b"this is no HDF5")
    line = ("import", tmp_path / "f", "--slides", slide.parent, "--json")
    one, three = (cli(*line, "--out", tmp_path / jobs, "--jobs", jobs) for jobs in ("1", "3"))
    assert [record["ok"] for record in three.json] == [name != "s3" for name in names]
    assert sorted(one.err.splitlines()) == sorted(three.err.splitlines())
    for name in names:
        if name != "s3":
            stores = [CompressedSlide.open(tmp_path / jobs / f"{name}.nic.zarr") for jobs in ("1", "3")]
            np.testing.assert_array_equal(stores[0].read(), stores[1].read())


def test_a_scene_is_laid_on_its_slide(cli, slide: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "made.scene-0.h5")
    outcome = cli("import", file, "--slides", slide.parent, "--out", tmp_path / "stores", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json[0]["slide"] == str(slide)
    assert [path.name for path in (tmp_path / "stores").iterdir()] == ["made.scene-0.nic.zarr"]


def test_unnamed_features_are_predicted_with_a_word(cli, slide: Path, tmp_path: Path) -> None:
    """They are as long as those that the model learned from, which is all that can be told."""
    for name in ("a", "b", "c"):
        clam(tmp_path / "f" / f"{name}.h5")
        slide.with_name(f"{name}.tif").symlink_to(slide)
    (tmp_path / "t.csv").write_text("slide,label\na,1\nb,2\nc,3\n")
    stores, models = tmp_path / "stores", tmp_path / "models"
    assert cli("import", tmp_path / "f", "--slides", slide.parent, "--out", stores).code == 0
    small = ("--folds", 3, "--epochs", 1, "--steps", 1, "--batch-size", 2, "--width", 4, "--crop", 13)
    line = ("models", "train", tmp_path / "t.csv", "--task", "regression", "--stores", stores)
    trained = cli(*line, *small, "--architecture", "cnn-compact", "--device", "cpu", "--out", models)
    assert trained.code == 0, trained.err
    said = cli("predict", stores, "--model", models / "fold1-seed0", "--device", "cpu", "--quiet")
    assert said.code == 0, said.err
    assert said.err.count("they do not say which encoder made them") == 1
