"""What is said of a cohort before anything is learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_nic.cohorts import preview, read_cohort, read_listing
from napari_nic.telling import Event, Notices, telling


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"{name}.h5").touch()
    return tmp_path


def facts(folder: Path, text: str, task: Any) -> dict[str, str]:
    (folder / "t.csv").write_text(text)
    return dict(preview(read_cohort(folder / "t.csv", task, stores=folder)).facts)


def test_values_times_and_events(folder: Path) -> None:
    values = facts(folder, "slide,label\na,1.5\nb,-2\nc,NA\n", "regression")
    assert (values["task"], values["values"]) == ("regression: label", "-2 to 1.5")
    assert values["left out, no label"] == "1: c"
    times = facts(folder, "slide,time,event,split\na,12,1\nb,3,dead,test\nc,0.5,alive,train\n", "survival")
    assert (times["task"], times["times"], times["events"]) == (
        "survival: risk",
        "0.5 to 12",
        "2 of 3 slides",
    )
    assert times["parts"] == "test 1, train 1, none 1"


def test_slides_without_a_case_beside_others_are_told(folder: Path) -> None:
    (folder / "t.csv").write_text("slide,case,label\na,p,x\nb,p,y\nc,,y\n")
    cohort = read_cohort(folder / "t.csv", "classification", stores=folder)
    assert cohort.understood.notes == ("1 slide without a case: each counts as a case of its own",)


def test_words_that_are_taken_for_no_label_are_told_to_whoever_listens(folder: Path) -> None:
    (folder / "t.csv").write_text("slide,label\na,x\nb,x\nc,y\nd,y\ne,NA\n")
    told: list[Event] = []
    with telling(told.append):
        read_cohort(folder / "t.csv", "classification", stores=folder)
    assert told == [Notices("t.csv", ("'NA' on 1 slide is taken for no label",))]


def test_a_list_of_slides_before_anybody_says_what_is_learned(folder: Path) -> None:
    rows = "".join(f"s{index},{index + 0.5}\n" for index in range(30))
    (folder / "t.csv").write_text(f"slide,label\n{rows}")
    assert read_listing(folder / "t.csv").preview.lines() == [
        "columns: slide, label",
        "slides: 30 of 30 cases, 0 compressed",
        "labels: 30 different ones",
    ]
    (folder / "t.csv").write_text("slide,time,event\na,1,0:LIVING\nb,2,1:DECEASED\nc,3,\n")
    assert "events: 0:LIVING 1, 1:DECEASED 1" in read_listing(folder / "t.csv").preview.lines()
    (folder / "t.csv").write_text("slide_id,status\na,processed\n")
    assert read_listing(folder / "t.csv").preview.lines()[0] == "columns: slide = slide_id"


def test_a_column_of_cases_that_names_none_is_told(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "t.csv").write_text("slide,patient,label\na,NA,x\nb,,y\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [slide.case for slide in cohort.slides] == ["a", "b"]
    assert cohort.understood.notes == (
        "column 'patient' names no case: each slide counts as a case of its own",
    )
    (tmp_path / "t.csv").write_text("slide,label\na,x\nb,y\n")
    assert read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path).understood.notes == ()
