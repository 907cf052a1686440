"""The list of a cohort: labels, honest predictions, and which model made them."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.cohorts import Cohort, CohortSlide, Fold, Plan, read_listing
from napari_nic.cohorts.plan import BUNDLE_KEY, PLAN_FILE
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, write_scores
from napari_nic.errors import BundleError, InvalidParameterError

FOLDS = (Fold(1, (2, 3), (1,), (0,)), Fold(2, (0, 3), (2,), (1,)))


def slides(labels: tuple[float, ...], **changes: Any) -> tuple[CohortSlide, ...]:
    return tuple(
        CohortSlide(f"s{i}", Path(f"/stores/s{i}.nic.zarr"), f"case {i}", label, **changes)
        for i, label in enumerate(labels)
    )


def trained(folder: Path, cohort: Cohort, rows: list[ScoredSlide], **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    Plan(cohort, FOLDS, {"name": "m"} | settings).save(folder)
    if rows:
        write_scores(folder / PREDICTIONS_FILE, rows, cohort.class_names)
    return folder


def scored(slide: CohortSlide, fold: int, seed: int, scores: tuple[float, ...]) -> ScoredSlide:
    spread = (0.05,) * len(scores)
    return ScoredSlide(
        slide.name, slide.case, fold, seed, slide.label, slide.event, slide.size, 80, scores, spread
    )


@pytest.fixture
def classes() -> Cohort:
    return Cohort("classification", ("normal", "tumour"), slides((0.0, 1.0, 0.0, 1.0)))


def test_trained_folder_lists_predictions_by_models_that_did_not_see_the_slide(
    tmp_path: Path, classes: Cohort
) -> None:
    rows = [
        scored(classes.slides[0], 1, 3, (0.2, 0.8)),
        scored(classes.slides[0], 1, 4, (0.4, 0.6)),
        scored(classes.slides[1], 2, 3, (0.1, 0.9)),
    ]
    listing = read_listing(trained(tmp_path / "out", classes, rows))
    first, second, third, fourth = listing.slides
    assert listing.has_models
    assert [slide.part for slide in listing.slides] == ["1", "2", "train", "train"]
    assert (first.prediction, first.spread) == ("tumour 0.70", "0.05")
    assert first.rank == pytest.approx(0.7)
    assert (first.is_wrong, second.is_wrong, third.is_wrong) == (True, False, False)
    assert first.bundle == tmp_path / "out" / "fold1-seed3"
    assert second.bundle == tmp_path / "out" / "fold2-seed3"
    assert (third.prediction, third.bundle) == ("", None)
    assert math.isnan(fourth.rank)
    assert listing.predicted == (first, second)


def test_a_file_of_the_folder_stands_for_it(tmp_path: Path, classes: Cohort) -> None:
    folder = trained(tmp_path / "out", classes, [scored(classes.slides[1], 2, 0, (0.1, 0.9))])
    file, whole = read_listing(folder / PREDICTIONS_FILE), read_listing(folder)
    # A slide that is not predicted yet has no number to compare: NaN, which equals nothing, not even itself.
    np.testing.assert_equal(asdict(file), asdict(whole))


def test_a_training_that_goes_on_lists_what_is_finished(tmp_path: Path, classes: Cohort) -> None:
    folder = trained(tmp_path / "out", classes, [])
    run = folder / "fold2-seed0"
    run.mkdir()
    row = scored(classes.slides[1], 2, 0, (0.1, 0.9))
    write_scores(run / PREDICTIONS_FILE, [row], classes.class_names)
    assert [slide.name for slide in read_listing(folder).predicted] == ["s1"]


def test_an_evaluated_folder_names_the_one_model(tmp_path: Path, classes: Cohort) -> None:
    row = scored(classes.slides[0], 0, 0, (0.9, 0.1))
    listing = read_listing(trained(tmp_path / "out", classes, [row], **{BUNDLE_KEY: "/models/m"}))
    assert listing.slides[0].bundle == Path("/models/m")


def test_values_and_risks_are_no_probabilities(tmp_path: Path) -> None:
    regression = Cohort("regression", ("grade",), slides((1.5, 2.0, 3.0, 4.0)))
    row = scored(regression.slides[0], 1, 0, (1.234,))
    first = read_listing(trained(tmp_path / "values", regression, [row])).slides[0]
    assert (first.label, first.rank, first.is_wrong) == ("1.5", 1.234, False)
    assert (first.prediction, first.spread) == ("grade 1.23", "0.05")
    survival = Cohort("survival", ("risk",), slides((12.0, 3.0, 3.0, 4.0), event=False))
    row = scored(survival.slides[0], 1, 0, (-0.5,))
    first = read_listing(trained(tmp_path / "risks", survival, [row])).slides[0]
    assert first.label == "12, no event"
    assert first.prediction == "risk -0.5"


def test_a_table_lists_slides_that_are_not_there_too(tmp_path: Path, two_classes: Any) -> None:
    there = next(two_classes.stores.glob("*.nic.zarr"))
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,label,case,split\n{there},tumour,p1,test\ngone.svs,normal,p2,train\n")
    listing = read_listing(table)
    first, second = listing.slides
    assert not listing.has_models
    assert (first.name, first.label, first.case, first.part) == (
        there.name.removesuffix(".nic.zarr"),
        "tumour",
        "p1",
        "test",
    )
    assert (first.store, first.picture) == (there.resolve(), None)
    assert (second.name, second.store, second.picture) == ("gone", None, tmp_path / "gone.svs")


def test_a_table_that_names_slides_without_suffixes_finds_them(tmp_path: Path) -> None:
    """As tables of TCGA do; where two files are meant, neither is taken."""
    names = ("TCGA-3L-AA1B-01Z-00-DX1.8923A151-A690.svs", "b.NDPI", "c.svs", "c.tif", "d.csv")
    for name in names:
        (tmp_path / name).touch()
    table = tmp_path / "cohort.csv"
    bare = [name.rpartition(".")[0] for name in names]
    table.write_text("slide\n" + "\n".join(dict.fromkeys(bare)) + "\n")
    slides = read_listing(table).slides
    assert [slide.name for slide in slides] == [bare[0], "b", "c", "d"]
    assert [slide.picture for slide in slides] == [
        tmp_path / names[0],
        tmp_path / names[1],
        tmp_path / "c",
        tmp_path / "d",
    ]


def test_survival_in_a_table(tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("slide;time;event\na.svs;12;1\n")
    assert read_listing(table).slides[0].label == "12, event 1"


@pytest.mark.parametrize("text", ["", "slide,label\n", "name,label\na,b\n"])
def test_no_list(tmp_path: Path, text: str) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(text)
    with pytest.raises(InvalidParameterError, match="lists no slides"):
        read_listing(table)


def test_a_folder_without_a_plan_or_with_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="no trained models"):
        read_listing(tmp_path)
    (tmp_path / PLAN_FILE).write_text("{")
    with pytest.raises(BundleError):
        read_listing(tmp_path)
