"""Cohorts of other programs' features: placed with what table and slides say, empty slides left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_nic.cohorts import Cohort, Imported, TableOptions, import_foreign, read_cohort
from napari_nic.cohorts.slides import open_cohort
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.telling import telling


def features(path: Path, factor: int = 1, count: int = 6, **attributes: Any) -> Path:
    """Features in TRIDENT's form, of a slide at 20x (factor 1) or 40x (2)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    side = 256 * factor
    xy = np.array([(x * side, y * side) for y in range(count) for x in range(count)], np.int64).reshape(-1, 2)
    stated = {"patch_size": 256, "patch_size_level0": side, "target_magnification": 20, "overlap": 0}
    with h5py.File(path, "w") as file:
        file["features"] = np.random.default_rng(0).normal(size=(len(xy), 4)).astype(np.float32)
        file["features"].attrs["encoder"] = "uni"
        file["coords"] = xy
        file["coords"].attrs.update(stated | attributes)
    return path


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["slide,label,mpp", *rows]))
    return path


def imported(cohort: Cohort, out: Path, **options: Any) -> Cohort:
    (last,) = [report for report in import_foreign(cohort, out, **options) if isinstance(report, Imported)]
    assert last.cohort is not None
    return last.cohort


@pytest.fixture
def job(tmp_path: Path) -> Path:
    for name, factor in (("a", 1), ("b", 2), ("c", 1)):
        features(tmp_path / "job" / "20x_256px_0px_overlap" / "features_uni" / f"{name}.h5", factor)
    return tmp_path / "job"


def test_20x_and_40x_are_one_encoder(tmp_path, job):
    rows = table(tmp_path / "t.csv", ["a,x,0.5", "b,y,0.25", "c,x,0.5034"])
    cohort = imported(read_cohort(rows, "classification", stores=job), tmp_path / "out")
    opened = open_cohort(cohort)
    assert [store.grid.pixel_size.mean for store in opened.stores.values()] == [0.5, 0.25, 0.5034]
    assert {store.grid.shape for store in opened.stores.values()} == {(6, 6)}
    assert opened.header.encoder["name"] == "uni"


def test_pixel_size_of_the_table_the_option_or_nobody(tmp_path, job):
    rows = table(tmp_path / "t.csv", ["a,x,0.5", "b,y,", "c,x,0.5"])
    cohort = read_cohort(rows, "classification", stores=job)
    with pytest.raises(StoreError, match=r"(?s)b.h5.*--slides.*--mpp"):
        imported(cohort, tmp_path / "out")
    made = imported(cohort, tmp_path / "out", mpp=0.25)
    sizes = [CompressedSlide.open(slide.store).grid.pixel_size.mean for slide in made.slides]
    assert sizes == [0.5, 0.25, 0.5]


def test_one_pixel_size_for_slides_of_two_magnifications_is_refused(tmp_path, job):
    rows = table(tmp_path / "t.csv", ["a,x,", "b,y,", "c,x,"])
    cohort = read_cohort(rows, "classification", stores=job)
    with pytest.raises(StoreMismatchError, match=r"(?s)b.h5.*about 0.25 um/px.*--slides"):
        imported(cohort, tmp_path / "out", mpp=0.5)


def test_slides_say_their_pixel_size_and_which_they_are(tmp_path, job, slide_path):
    slides = tmp_path / "slides" / "deep"
    slides.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (slides / f"{name}.tif").symlink_to(slide_path)
    features(next(job.rglob("b.h5")), 1, 4, level0_width=1500, level0_height=1100)
    for name in ("a", "c"):
        features(next(job.rglob(f"{name}.h5")), 1, 4)
    rows = table(tmp_path / "t.csv", ["a,x,", "b,y,", "c,x,"])
    options = TableOptions(slides=slides.parent)
    cohort = read_cohort(rows, "classification", stores=job, options=options)
    assert [slide.picture and slide.picture.name for slide in cohort.slides] == ["a.tif", "b.tif", "c.tif"]
    made = imported(cohort, tmp_path / "out")
    for slide in made.slides:
        header = CompressedSlide.open(slide.store).header
        assert header.slide_shape == (1100, 1500)
        assert header.grid.pixel_size.mean == pytest.approx(0.5)
        assert header.slide_fingerprint.startswith("sha256:")
    features(next(job.rglob("b.h5")), 1, 4, level0_width=9999, level0_height=9999)
    with pytest.raises(StoreMismatchError, match="another slide"):
        imported(cohort, tmp_path / "out")


def test_a_slide_that_does_not_open_is_told_and_done_without(tmp_path, job):
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "a.svs").write_bytes(b"no slide")
    rows = table(tmp_path / "t.csv", ["a,x,0.5", "b,y,0.25"])
    cohort = read_cohort(rows, "classification", stores=job, options=TableOptions(slides=tmp_path / "slides"))
    told: list[Any] = []
    with telling(told.append):
        imported(cohort, tmp_path / "out")
    assert any("placed without the slide" in text for event in told for text in event.texts)


def test_slides_without_a_patch_are_left_out_and_counted(tmp_path, job):
    features(next(job.rglob("b.h5")), 2, 0)
    rows = table(tmp_path / "t.csv", ["a,x,0.5", "b,y,0.25", "c,x,0.5"])
    cohort = read_cohort(rows, "classification", stores=job)
    told: list[Any] = []
    with telling(told.append):
        made = imported(cohort, tmp_path / "out")
    assert [slide.name for slide in made.slides] == ["a", "c"]
    assert "left out: 1 slide without a patch: b" in [text for event in told for text in event.texts]
    for name in ("a", "c"):
        features(next(job.rglob(f"{name}.h5")), 1, 0)
    with pytest.raises(InvalidParameterError, match="no slide of the cohort has a patch"):
        imported(cohort, tmp_path / "out")
