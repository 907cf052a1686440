"""Tables: what people write, found and checked."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.cohorts import Absent, Cohort, CohortSlide, Columns, Plan, read_cohort
from napari_nic.cohorts.plan import PLAN_FILE
from napari_nic.errors import InvalidParameterError

MASK = np.ones((3, 3), bool)


@pytest.fixture
def stores(tmp_path: Path, toys: Any) -> Path:
    folder = tmp_path / "stores"
    for name in ("a", "b", "c"):
        toys.store(folder / f"{name}.nic.zarr", np.zeros((3, 3, 4)), MASK)
    return folder


def table(folder: Path, text: str) -> Path:
    file = folder / "cohort.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_classes_cases_splits_and_sizes(stores: Path, tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "slide,case,label,split,size\na.svs,p1,tumour,Training,0.2\nb,p1,normal,train,\nc,p2,normal,test,NA\n",
    )
    cohort = read_cohort(file, "classification", stores=stores)
    assert cohort.class_names == ("normal", "tumour")
    a, b, c = cohort.slides
    assert a == CohortSlide("a", stores / "a.nic.zarr", "p1", 1.0, split="train", size=0.2)
    assert (b.case, b.split, c.split) == ("p1", "train", "test")
    assert math.isnan(b.size)
    assert math.isnan(c.size)
    assert CohortSlide.from_dict(a.to_dict()) == a
    assert math.isnan(CohortSlide.from_dict(b.to_dict()).size)
    ordered = read_cohort(file, "classification", stores=stores, classes=("tumour", "normal"))
    assert [slide.label for slide in ordered.slides] == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("lesion", "normal"), ("normal", "lesion")),
        (("Wild type", "mutated"), ("Wild type", "mutated")),
        (("mutated", "WILD_TYPE"), ("WILD_TYPE", "mutated")),
        (("adenoma", "Non-tumour"), ("Non-tumour", "adenoma")),
        (("normality", "lesion"), ("lesion", "normality")),  # a whole name, not the beginning of one
        (("10", "2"), ("2", "10")),
        (("1", "0"), ("0", "1")),
    ],
)
def test_of_two_classes_the_finding_is_the_positive_one(
    stores: Path, tmp_path: Path, labels: tuple[str, str], order: tuple[str, str]
) -> None:
    file = table(tmp_path, "slide,label\na,{}\nb,{}\n".format(*labels))
    assert read_cohort(file, "classification", stores=stores).class_names == order


def is_same(one: Cohort, other: Cohort) -> bool:
    """Compare slides by their texts: sizes that are not known are NaN, which equals nothing."""
    slides = [[repr(slide) for slide in cohort.slides] for cohort in (one, other)]
    return slides[0] == slides[1] and replace(one, slides=()) == replace(other, slides=())


def test_what_a_cohort_lacks_is_kept_with_its_plan(stores: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "slide,label,mpp\na,x,0.5\nb,y,\ngone,y,\nc,,\n")
    cohort = read_cohort(file, "classification", stores=stores)
    assert cohort.absent == Absent(missing=("gone",))
    assert cohort.slides[0].mpp == 0.5
    plan = Plan(cohort, (), {"name": "m"})
    plan.save(tmp_path / "out")
    read = Plan.load(tmp_path / "out")
    assert read is not None
    assert is_same(read.cohort, cohort)
    assert read.cohort.absent == cohort.absent
    plan.save(tmp_path / "out")
    with pytest.raises(InvalidParameterError, match="the same absent"):
        replace(plan, cohort=replace(cohort, absent=Absent())).save(tmp_path / "out")


def test_plans_of_earlier_versions_are_read(stores: Path, tmp_path: Path) -> None:
    cohort = read_cohort(table(tmp_path, "slide,label\na,x\nb,y\n"), "classification", stores=stores)
    data = Plan(cohort, (), {"name": "m"}).to_dict()
    del data["absent"]
    for slide in data["slides"]:
        del slide["mpp"]
    (tmp_path / PLAN_FILE).write_text(json.dumps(data))
    read = Plan.load(tmp_path)
    assert read is not None
    assert is_same(read.cohort, cohort)
    Plan(cohort, (), {"name": "m"}).save(tmp_path)  # it is the same one


def test_values_with_other_names_and_semicolons(stores: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "\ufeffimage;patient;score\na;1;2.5\nb;2;NA\nc;2;-1\n")
    columns = Columns(slide="image", case="patient", label="score")
    cohort = read_cohort(file, "regression", stores=stores, columns=columns)
    assert cohort.class_names == ("score",)
    assert [(slide.name, slide.label) for slide in cohort.slides] == [("a", 2.5), ("c", -1)]
    assert cohort.left_out == ("b",)


def test_times_and_events(stores: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "slide,time,event\na,12.5,1\nb,3,No\nc,7,true\n")
    cohort = read_cohort(file, "survival", stores=stores)
    assert [(slide.label, slide.event) for slide in cohort.slides] == [(12.5, True), (3, False), (7, True)]
    assert [slide.case for slide in cohort.slides] == ["a", "b", "c"]


def test_numbers_are_sorted_as_numbers(stores: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "slide,label\na,10\nb,9\nc,unknown\n")
    assert read_cohort(file, "classification", stores=stores).class_names == ("9", "10", "unknown")


def test_stores_are_found_by_path_beside_slides_and_in_folders(stores: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "slide,label\nstores/a.nic.zarr,0\nstores/b.tif,1\n")
    cohort = read_cohort(file, "classification")
    assert [slide.store for slide in cohort.slides] == [stores / "a.nic.zarr", stores / "b.nic.zarr"]
    picture = tmp_path / "c.svs"
    picture.write_bytes(b"")
    file = table(tmp_path, f"slide,label\nelsewhere/a.nic.zarr,0\n{picture},1\n")
    cohort = read_cohort(file, "classification", stores=stores)
    assert [slide.picture for slide in cohort.slides] == [None, picture]
    assert [slide.name for slide in cohort.slides] == ["a", "c"]
    (stores / "h5_files").mkdir()
    (stores / "h5_files" / "d.h5").write_bytes(b"")
    (stores / "e_features.npy").write_bytes(b"")
    file = table(tmp_path, "slide,label\nd.svs,0\ne,1\n")
    cohort = read_cohort(file, "classification", stores=stores)
    assert [slide.store.name for slide in cohort.slides] == ["d.h5", "e_features.npy"]
    assert [slide.name for slide in cohort.slides] == ["d", "e"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no row"),
        ("slide\na\n", "label"),
        ("slide,label\na,\n", "no slide of the table has a label"),
        ("slide,label\na,x\nb,x\n", "no classes"),
        ("slide,label\na,x\nmissing,y\n", "missing: no compressed slide"),
        ("slide,label\na,x\na.tif,y\n", "twice"),
        ("slide,label,split\na,x,train\nb,y,somewhere\n", "train, validation or test"),
        ("slide,case,label,split\na,p,x,train\nb,p,y,test\n", "several parts"),
    ],
)
def test_tables_that_cannot_be_used_say_why(stores: Path, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        read_cohort(table(tmp_path, text), "classification", stores=stores)


def test_other_values_that_cannot_be_read(stores: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="'label' of slide 'a'"):
        read_cohort(table(tmp_path, "slide,label\na,much\n"), "regression", stores=stores)
    with pytest.raises(InvalidParameterError, match="'event' of slide 'a'"):
        read_cohort(table(tmp_path, "slide,time,event\na,1,maybe\n"), "survival", stores=stores)
    text = "slide,case,time,event\na,p,1,1\nb,p,2,1\n"
    with pytest.raises(InvalidParameterError, match="those of the patient"):
        read_cohort(table(tmp_path, text), "survival", stores=stores)
    file = table(tmp_path, "slide,label\na,x\nb,y\n")
    with pytest.raises(InvalidParameterError, match="expected: x, z"):
        read_cohort(file, "classification", stores=stores, classes=("x", "z"))
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        read_cohort(tmp_path / "none.csv", "classification", stores=stores)


@pytest.mark.parametrize(
    ("first", "second"), [("P1", "p1"), ("7", "7.0"), ("Müller", "Mu\u0308ller"), ("p 1", "p  1")]
)
def test_one_patient_in_two_spellings_is_refused(
    stores: Path, tmp_path: Path, first: str, second: str
) -> None:
    text = f"slide,case,label\na,{first},x\nb,{second},y\nc,q,x\n"
    with pytest.raises(InvalidParameterError, match="cases differ in their spelling only"):
        read_cohort(table(tmp_path, text), "classification", stores=stores)


def test_names_of_slides_alone_are_no_cases(stores: Path, tmp_path: Path, toys: Any) -> None:
    toys.store(stores / "A.nic.zarr", np.zeros((3, 3, 4)), MASK)
    cohort = read_cohort(table(tmp_path, "slide,label\na,x\nA,y\n"), "classification", stores=stores)
    assert [slide.name for slide in cohort.slides] == ["a", "A"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_may_be_composed_or_not(stores: Path, tmp_path: Path, toys: Any, form: Any) -> None:
    made = unicodedata.normalize("NFC", "Müller.1")
    other = unicodedata.normalize(form, made)
    toys.store(stores / f"{made}.nic.zarr", np.zeros((3, 3, 4)), MASK)
    cohort = read_cohort(
        table(tmp_path, f"slide,label\n{other}.svs,x\na,y\n"), "classification", stores=stores
    )
    assert cohort.slides[0].name == made


def test_a_table_without_rows_is_called_so(stores: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="has no rows"):
        read_cohort(table(tmp_path, "slide,label\n"), "classification", stores=stores)
