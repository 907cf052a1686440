"""A clinical table by patient, and a table of slides: joined, and what found no counterpart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from napari_nic.cohorts import Cohort, Columns, TableOptions, read_cohort
from napari_nic.errors import InvalidParameterError
from napari_nic.telling import Event, Notices, telling

CLINICAL = "PATIENT,isMSIH,AGE\np1,MSIH,50\np2,MSS,60\np3,MSS,70\np4,,80\n"
SLIDES = "PATIENT,FILENAME\np1,a.h5\np1,b.h5\np2,sub/c.h5\np4,d.h5\np9,e.h5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a", "b", "sub/c", "d", "e"):
        (tmp_path / f"{name}.h5").touch()
    return tmp_path


def joined(folder: Path, clinical: str, slides: str, task: Any = "classification", **options: Any) -> Cohort:
    (folder / "clini.csv").write_text(clinical, encoding="utf-8")
    (folder / "slides.csv").write_text(slides, encoding="utf-8")
    given = TableOptions(slides_table=folder / "slides.csv")
    columns = Columns(**{"label": "isMSIH"} | options) if task == "classification" else Columns(**options)
    return read_cohort(folder / "clini.csv", task, stores=folder, columns=columns, options=given)


def test_slides_have_what_the_clinical_table_says_of_their_patient(folder: Path) -> None:
    told: list[Event] = []
    with telling(told.append):
        cohort = joined(folder, CLINICAL, SLIDES)
    assert [(s.name, s.case, cohort.class_names[int(s.label)]) for s in cohort.slides] == [
        ("a", "p1", "MSIH"),
        ("b", "p1", "MSIH"),
        ("c", "p2", "MSS"),
    ]
    assert cohort.left_out == ("d.h5",)
    assert (cohort.absent.without_patient, cohort.absent.without_slide) == (("e.h5",), ("p3",))
    assert cohort.understood.columns == {
        "slide": "FILENAME (slides.csv)",
        "case": "PATIENT (clini.csv)",
        "label": "isMSIH (clini.csv)",
    }
    assert told == [
        Notices(
            "clini.csv",
            (
                "left out: 1 slide without a patient in the clinical table: e.h5",
                "1 patient of the clinical table without a slide: p3",
            ),
        )
    ]


def test_a_workbook_and_a_table_of_text_are_joined(folder: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Patient ID", "label", "mpp"], [101, "x", 0.25], [102, "y", None]):
        book.active.append(row)
    book.save(folder / "clini.xlsx")
    (folder / "slides.tsv").write_text("patient\twsi\n101\ta.svs\n102\tb.svs\n")
    options = TableOptions(slides_table=folder / "slides.tsv")
    cohort = read_cohort(folder / "clini.xlsx", "classification", stores=folder, options=options)
    assert [(s.name, s.case, s.mpp) for s in cohort.slides] == [("a", "101", 0.25), ("b", "102", None)]


def test_both_tables_may_be_sheets_of_one_workbook(folder: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "patients"
    for row in (["PATIENT", "label"], ["p1", "x"], ["p2", "y"]):
        book.active.append(row)
    slides = book.create_sheet("slides")
    for row in (["PATIENT", "FILENAME"], ["p1", "a.h5"], ["p2", "b.h5"]):
        slides.append(row)
    file = folder / "all.xlsx"
    book.save(file)
    options = TableOptions(slides_table=file, sheet="patients", slides_sheet="slides")
    assert len(read_cohort(file, "classification", stores=folder, options=options).slides) == 2


def test_several_lines_of_a_patient_that_say_the_same_are_one(folder: Path) -> None:
    clinical = "PATIENT,isMSIH,SAMPLE\np1,MSIH,s1\np1,MSIH,s2\np2,MSS,s3\n"
    assert len(joined(folder, clinical, SLIDES).slides) == 3


@pytest.mark.parametrize(
    ("clinical", "slides", "words"),
    [
        ("PATIENT,isMSIH\np1,MSIH\np1,MSS\np2,MSS\n", SLIDES, "p1: isMSIH is 'MSIH' and 'MSS'"),
        ("PATIENT,isMSIH\np1,MSIH\np1,\np2,MSS\n", SLIDES, "p1: isMSIH is 'MSIH' and ''"),
        (
            "PATIENT,isMSIH,fold_0\np1,MSIH,train\np1,MSIH,test\np2,MSS,train\n",
            SLIDES,
            "p1: fold_0 is 'train' and 'test'",
        ),
        ("PATIENT,isMSIH\nP1,MSIH\np2,MSS\n", SLIDES, "spelling only.*p1 and P1"),
        ("PATIENT,isMSIH\nq1,MSIH\nq2,MSS\n", SLIDES, "no patient in common.*q1, q2.*p1, p2, p4"),
        ("ID,isMSIH\np1,MSIH\n", SLIDES, "clini.csv.*lacks a column.*case"),
        (CLINICAL, "FILENAME\na.h5\n", "slides.csv.*lacks a column.*case"),
        (CLINICAL, "PATIENT,thumbnail\np1,a.png\n", "slides.csv.*lacks a column.*slide"),
        ("PATIENT,AGE\np1,1\n", SLIDES, "clini.csv.*lacks a column.*isMSIH"),
        (
            "PATIENT,isMSIH,split\np1,MSIH,train\np2,MSS,test\n",
            "PATIENT,FILENAME,split\np1,a.h5,test\np2,c.h5,test\n",
            "both tables hold the split.*a.h5 of p1: 'test'.*'train'",
        ),
        (CLINICAL, "PATIENT,FILENAME\np1,a.h5\np2,a.h5\n", "names a slide twice"),
    ],
)
def test_tables_that_do_not_fit_say_why(folder: Path, clinical: str, slides: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"(?s){words}"):
        joined(folder, clinical, slides)


def test_the_first_letters_of_a_name_of_tcga_are_no_patient_by_themselves(folder: Path) -> None:
    slides = "case_id,slide_id\nTCGA-AA-0001-01Z-00-DX1,a\nTCGA-AA-0002-01Z-00-DX1,b\n"
    clinical = "PATIENT,isMSIH\nTCGA-AA-0001,x\nTCGA-AA-0002,y\n"
    with pytest.raises(InvalidParameterError, match="no patient in common"):
        joined(folder, clinical, slides)


def test_a_column_that_is_named_may_stand_in_either_table(folder: Path) -> None:
    slides = "patient_id,FILENAME,grade\np1,a.h5,1\np1,b.h5,2\np2,c.h5,1\n"
    cohort = joined(folder, CLINICAL, slides.replace("c.h5", "sub/c.h5"), label="grade", case="PATIENT")
    assert [slide.label for slide in cohort.slides] == [0, 1, 0]


def test_survival_of_cbioportal(folder: Path) -> None:
    clinical = (
        "#Patient Identifier\tOverall Survival Status\tOverall Survival (Months)\n"
        "#STRING\tSTRING\tNUMBER\n"
        "PATIENT_ID\tOS_STATUS\tOS_MONTHS\n"
        "p1\t1:DECEASED\t12.5\np2\t0:LIVING\t30\np4\t[Not Available]\t[Not Available]\n"
    )
    with pytest.raises(InvalidParameterError, match="--columns time=OS_MONTHS event=OS_STATUS"):
        joined(folder, clinical, SLIDES, "survival")
    cohort = joined(folder, clinical, SLIDES, "survival", time="OS_MONTHS", event="OS_STATUS")
    assert [(s.case, s.label, s.event) for s in cohort.slides] == [
        ("p1", 12.5, True),
        ("p1", 12.5, True),
        ("p2", 30, False),
    ]
    assert cohort.left_out == ("d.h5",)


def test_values_are_called_after_their_column_alone(folder: Path) -> None:
    clinical = "PATIENT,score\np1,1.5\np2,2\n"
    assert joined(folder, clinical, SLIDES, "regression", label="score").class_names == ("score",)


def test_a_table_of_patients_alone_asks_for_one_of_slides(folder: Path) -> None:
    (folder / "t.csv").write_text("PATIENT,label\np1,x\n")
    with pytest.raises(InvalidParameterError, match=r"(?s)lacks a column.*slide.*--slides-table"):
        read_cohort(folder / "t.csv", "classification", stores=folder)


@pytest.mark.parametrize("ids", [("1.0", "2.0", ""), ("1", "2", "")])
def test_slides_that_pandas_took_for_numbers(tmp_path: Path, ids: tuple[str, ...]) -> None:
    for name in ("1", "2"):
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "t.csv").write_text("slide_id,label\n" + "".join(f"{i},{n}\n" for n, i in enumerate(ids)))
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [slide.name for slide in cohort.slides] == ["1", "2"]
    assert bool(cohort.understood.notes) == (ids[0] == "1.0")
