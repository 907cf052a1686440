"""Which column holds what, by the names that people and programs give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.cohorts.columns import KINDS, SPELLINGS, Columns, find_columns, stem_of
from napari_nic.cohorts.rows import TableFile
from napari_nic.cohorts.table_files import read_table
from napari_nic.errors import InvalidParameterError


def read(folder: Path, text: str) -> TableFile:
    file = folder / "t.csv"
    file.write_text(text, encoding="utf-8")
    return read_table(file)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("slide,label", {"slide": "slide", "label": "label"}),
        (",case_id,slide_id,label", {"slide": "slide_id", "case": "case_id", "label": "label"}),
        ("Unnamed: 0,slide_id,label", {"slide": "slide_id", "label": "label"}),
        ("case_id,label", {"slide": "case_id", "label": "label"}),
        ("PATIENT,FILENAME,isMSIH", {"slide": "FILENAME", "case": "PATIENT"}),
        ("file_name,target", {"slide": "file_name", "label": "target"}),
        ("wsi,mpp", {"slide": "wsi", "mpp": "mpp"}),
        (
            "sample_id,image_path,spacing_at_level_0,patient_id",
            {"slide": "image_path", "case": "patient_id", "mpp": "spacing_at_level_0"},
        ),
        ("sample_id,class", {"slide": "sample_id", "label": "class"}),
        ("Slide ID,Ground Truth", {"slide": "Slide ID", "label": "Ground Truth"}),
        ("case_submitter_id,filename", {"slide": "filename", "case": "case_submitter_id"}),
        ("slide,OS_MONTHS,OS_STATUS", {"slide": "slide"}),
        ("WSI,survival_months,Status", {"slide": "WSI", "time": "survival_months", "event": "Status"}),
    ],
)
def test_usual_names(tmp_path: Path, header: str, wanted: dict[str, str]) -> None:
    fields = ",".join(f"f{index}" for index, _ in enumerate(header.split(",")))
    found, notes = find_columns(read(tmp_path, f"{header}\n{fields}\n"), KINDS)
    assert found == wanted
    assert not any("could be meant" in note for note in notes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_spelling_is_found_in_any_letters(tmp_path: Path, kind: str) -> None:
    for name in SPELLINGS[kind]:
        for written in (name, name.upper(), f" {name.title()} "):
            field = "train" if kind == "split" else "1"
            found, _ = find_columns(read(tmp_path, f"{written},zzz\n{field},1\n"), [kind])
            assert found == {kind: written.strip()}


def test_two_columns_that_agree_are_told(tmp_path: Path) -> None:
    text = "slide_id,filename,case,patient,label,target\na,a.svs,c1,p1,0,low\nb,x/b.h5,c2,p2,1,high\n"
    found, notes = find_columns(read(tmp_path, text), KINDS)
    assert (found["slide"], found["case"], found["label"]) == ("slide_id", "case", "label")
    assert notes == [
        "the slide is read from 'slide_id'; 'filename' could be meant too, and agrees",
        "the case is read from 'case'; 'patient' could be meant too, and agrees",
        "the label is read from 'label'; 'target' could be meant too, and agrees",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slide_id,filename\na,a.svs\nb,c.svs\n", "hold the slide.*line 3: b and c.svs"),
        ("slide,case,patient\na,c1,p\nb,c2,p\n", "hold the case.*line 3: c2 and p"),
        ("slide,label,class\na,x,1\nb,x,2\n", "hold the label.*line 3: x and 2"),
        ("slide,mpp,spacing_at_level_0\na,0.25,0.5\n", "hold the mpp.*0.25 and 0.5"),
        ("slide,time,survival_time\na,1,2\n", "hold the time"),
    ],
)
def test_two_columns_that_contradict_each_other_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"(?s){words}.*--columns"):
        find_columns(read(tmp_path, text), KINDS)


def test_a_coarser_case_is_taken_without_complaint(tmp_path: Path) -> None:
    found, _ = find_columns(read(tmp_path, "slide,case,patient\na,c,p1\nb,c,p2\n"), KINDS)
    assert found["case"] == "case"


def test_who_names_a_column_means_it(tmp_path: Path) -> None:
    table = read(tmp_path, "slide,Grade,label,case,patient\na,3,x,c1,p\nb,3,y,c2,p\n")
    found, _ = find_columns(table, KINDS, Columns(label="grade", case="patient"))
    assert (found["label"], found["case"]) == ("Grade", "patient")
    found, _ = find_columns(table, KINDS, Columns(label="grading", case="case"))
    assert "label" not in found
    named, _ = find_columns(read(tmp_path, "case_id,wsi\na,b\n"), KINDS, Columns(slide="case_id"))
    assert named == {"slide": "case_id"}


def test_an_empty_column_is_taken_only_if_there_is_no_other(tmp_path: Path) -> None:
    found, notes = find_columns(read(tmp_path, "slide,slide_id\n,a\nNA,b\n"), KINDS)
    assert (found, notes) == ({"slide": "slide_id"}, [])
    found, _ = find_columns(read(tmp_path, "slide,label\na,\n"), KINDS)
    assert found == {"slide": "slide", "label": "label"}


def test_a_column_called_set_is_of_splits_if_it_holds_parts(tmp_path: Path) -> None:
    assert find_columns(read(tmp_path, "slide,set\na,train\nb,Test\n"), KINDS)[0]["split"] == "set"
    assert "split" not in find_columns(read(tmp_path, "slide,set\na,train\nb,II\n"), KINDS)[0]


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="bear one name"):
        find_columns(read(tmp_path, "slide,label,label\na,x,y\n"), KINDS)
    found, _ = find_columns(read(tmp_path, "slide,note,note\na,x,y\n"), KINDS)
    assert found == {"slide": "slide"}


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("TCGA-AA-BBBB-01Z-00-DX1.0F1A-22", "TCGA-AA-BBBB-01Z-00-DX1.0F1A-22"),
        ("sub/TCGA-AA-BBBB-01Z-00-DX1.0F1A-22.svs", "TCGA-AA-BBBB-01Z-00-DX1.0F1A-22"),
        ("C:\\slides\\a.ndpi", "a"),
        ("a.h5", "a"),
        ("a.pt", "a"),
        ("a.ome.tiff", "a"),
        ("a.nic.zarr", "a"),
        ("12345", "12345"),
        ("S1.2", "S1.2"),
    ],
)
def test_only_known_suffixes_are_no_part_of_a_name(text: str, stem: str) -> None:
    assert stem_of(text) == stem
