"""Tables as spreadsheets, pandas and R write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.cohorts import Columns, read_cohort
from napari_nic.cohorts.table_files import read_table
from napari_nic.errors import InvalidParameterError

NAMES = ("a", "b", "c", "d", "e", "f", "S1", "S1.2", "TCGA-AA-0001-01Z-00-DX1.0F-1A")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, toys: Any) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    for name in NAMES:
        toys.store(folder / f"{name}.nic.zarr", np.zeros((3, 3, 4)), np.ones((3, 3), bool))
    return folder


def write(folder: Path, content: bytes | str) -> Path:
    file = folder / "cohort.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


WANTED = {"a": "tumour", "b": "normal", "c": "tumour"}


@pytest.mark.parametrize(
    "content",
    [
        "slide,label\na,tumour\nb,normal\nc,tumour\n",
        "slide,label\r\na,tumour\r\nb,normal\r\nc,tumour\r\n",
        "slide,label\ra,tumour\rb,normal\rc,tumour\r",
        "\ufeffslide;label\na;tumour\nb;normal\nc;tumour",
        "sep=;\r\nslide;label\r\na;tumour\r\nb;normal\r\nc;tumour\r\n",
        "slide\tlabel\na\ttumour\nb\tnormal\nc\ttumour\n",
        "\ufeffslide\tlabel\na\ttumour\nb\tnormal\nc\ttumour\n".encode("utf-16-le"),
        "slide,label\na,tumour\nb,normal\nc,tumour\n".encode("utf-16"),
        '"slide","label"\n"a","tumour"\n"b","normal"\n"c","tumour"\n',
        " slide , label \n a ,tumour \n b , normal\n\tc,tumour\n",
        "Slide,LABEL\na,tumour\nb,normal\nc,tumour\n",
        "\r\n\r\nslide;label\r\na;tumour\r\nb;normal\r\nc;tumour\r\n",
        ",,\nslide,label\na,tumour\nb,normal\nc,tumour\n",
        ",slide,label\n0,a,tumour\n1,b,normal\n2,c,tumour\n",
        "slide,label\na,tumour,\nb,normal,\n\nc,tumour,,\n",
        'slide,note,label\na,"two\nlines, a comma",tumour\nb,,normal\nc,x\x0by\u2028z,tumour\n',
    ],
)
def test_what_programs_write(stores: Path, tmp_path: Path, content: bytes | str) -> None:
    cohort = read_cohort(write(tmp_path, content), "classification", stores=stores)
    assert {slide.name: cohort.class_names[int(slide.label)] for slide in cohort.slides} == WANTED
    assert cohort.left_out == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("slide,label\na,tumour, grade 2\nb,normal\n", "line 2 of the table has more fields"),
        ("slide,label,label\na,x,y\n", "two columns"),
        ("slide,Label,LABEL\na,x,y\nb,x,z\n", "(?s)contradict each other.*line 3: x and z"),
        ("slide,label\na,x\na.svs,y\n", "names a slide twice"),
        ("slide,label\na,x\n./a,y\n", "names a slide twice"),
        ("image,diagnosis\na,x\n", "(?s)lacks a column.*found: image, diagnosis.*--columns"),
        ("slide,label\na,Tumour\nb,tumour\nc,x\n", "(?s)spelling only.*'Tumour' and 'tumour'"),
        ("slide,label\na,1\nb,1.0\nc,0\n", "spelling only"),
        ("slide,label\na,e\u0301\nb,\u00e9\n", "spelling only"),
        ("slide,label\nm\u00fcller,x\n".encode("cp1252"), "(?s)cannot be read.*CSV UTF-8"),
        ("slide,label\na,x\n".encode("utf-16-le"), "(?s)zero byte.*CSV UTF-8"),
        ("slide,label\n" + "a" * 200_000 + ",x\n", "field larger than field limit"),
        (b"PK\x03\x04\x14\x00\x06\x00", "cannot be read"),
        (b"", "no row"),
        ("slide,label\nA,x\nb,y\n", "A: no compressed slide"),
    ],
)
def test_one_sentence_about_what_is_wrong(
    stores: Path, tmp_path: Path, content: bytes | str, words: str
) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        read_cohort(write(tmp_path, content), "classification", stores=stores)


def test_a_class_called_none_is_a_class(stores: Path, tmp_path: Path) -> None:
    rows = zip("abcdef", ("none", "micro", "macro") * 2, strict=True)
    file = write(tmp_path, "slide,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    for classes in (None, ("none", "micro", "macro")):
        cohort = read_cohort(file, "classification", stores=stores, classes=classes)
        assert sorted(cohort.class_names) == ["macro", "micro", "none"]
        assert len(cohort.slides) == 6
        assert cohort.left_out == ()


def test_what_has_no_label_is_left_out_by_name(stores: Path, tmp_path: Path) -> None:
    text = "slide,label\na,x\nS1,x\nb,?\nc,NaN\nd,n.a.\n,y\n,,\ne,y\nS1.2,y\nf,  \n"
    cohort = read_cohort(write(tmp_path, text), "classification", stores=stores)
    assert [slide.name for slide in cohort.slides] == ["a", "S1", "e", "S1.2"]
    assert cohort.left_out == ("b", "c", "d", "line 7", "line 8", "f")
    assert cohort.understood.words == tuple(
        f"{word!r} on 1 slide is taken for no label" for word in ("?", "NaN", "n.a.")
    )


@pytest.mark.parametrize("word", ["NA", "n/a", "null", "NaN", "N.A.", "?"])
def test_a_word_on_as_many_slides_as_a_class_is_refused_until_classes_are_listed(
    stores: Path, tmp_path: Path, word: str
) -> None:
    text = f"slide,label\na,x\nb,x\nc,{word}\nd,{word}\ne,y\nf,y\n"
    file = write(tmp_path, text)
    with pytest.raises(InvalidParameterError, match=r"(?s)as many slides.*on 2 slides.*--classes x,y"):
        read_cohort(file, "classification", stores=stores)
    without = read_cohort(file, "classification", stores=stores, classes=("x", "y"))
    assert (len(without.slides), without.left_out) == (4, ("c", "d"))
    learned = read_cohort(file, "classification", stores=stores, classes=(word, "x", "y"))
    assert (len(learned.slides), learned.left_out) == (6, ())


def test_a_class_may_be_called_na_where_classes_are_listed(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "slide,label\na,NA\nb,EU\nc,\n")
    cohort = read_cohort(file, "classification", stores=stores, classes=("NA", "EU"))
    assert [slide.label for slide in cohort.slides] == [0, 1]
    assert cohort.left_out == ("c",)


@pytest.mark.parametrize("word", ["", "NA", "nan", "None", "null", "#N/A", "<NA>", "."])
def test_numbers_that_are_not_known(stores: Path, tmp_path: Path, word: str) -> None:
    file = write(tmp_path, f"slide,label\na,1.5\nb,{word}\n")
    assert read_cohort(file, "regression", stores=stores).left_out == ("b",)


@pytest.mark.parametrize("word", ["1_000", "1,5", "inf", "0x10", "about 3"])
def test_what_is_no_number_is_not_read_as_one(stores: Path, tmp_path: Path, word: str) -> None:
    file = write(tmp_path, f'slide,label\na,1.5\nb,"{word}"\n')
    with pytest.raises(InvalidParameterError, match="'label' of slide 'b'"):
        read_cohort(file, "regression", stores=stores)


def test_a_split_in_other_letters_is_not_overlooked(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "Slide,Label,Split,Case\na,x,train,p\nb,y,test,q\n")
    cohort = read_cohort(file, "classification", stores=stores)
    assert [(slide.split, slide.case) for slide in cohort.slides] == [("train", "p"), ("test", "q")]


def test_a_column_that_was_named_must_be_there(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "slide,label\na,x\nb,y\n")
    with pytest.raises(InvalidParameterError, match="lacks a column"):
        read_cohort(file, "classification", stores=stores, columns=Columns(split="fold"))


@pytest.mark.parametrize("ending", ["", ".svs", ".tif", ".OME.TIFF", ".nic.zarr"])
@pytest.mark.parametrize("name", ["S1", "S1.2", "TCGA-AA-0001-01Z-00-DX1.0F-1A"])
def test_ids_with_dots(stores: Path, tmp_path: Path, name: str, ending: str) -> None:
    file = write(tmp_path, f"slide,label\n{name}{ending},x\nb,y\n")
    slide = read_cohort(file, "classification", stores=stores).slides[0]
    assert (slide.name, slide.store.name) == (name, f"{name}.nic.zarr")


def test_the_store_of_another_slide_is_never_taken_for_an_id_with_dots(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "slide,label\nS1.3,x\nb,y\n")
    with pytest.raises(InvalidParameterError, match=r"S1\.3: no compressed slide"):
        read_cohort(file, "classification", stores=stores)


def test_a_file_without_coordinates_is_named(tmp_path: Path) -> None:
    (tmp_path / "pt_files").mkdir()
    (tmp_path / "pt_files" / "x.pt").write_bytes(b"")
    with pytest.raises(InvalidParameterError, match=r"\.pt file holds no coordinates"):
        read_cohort(write(tmp_path, "slide,label\nx,1\ny,2\n"), "classification")


def test_an_endless_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nic.cohorts.rows._MOST_BYTES", 100)
    with pytest.raises(InvalidParameterError, match="more than"):
        read_table(write(tmp_path, "slide,label\n" + "a,x\n" * 100))


@pytest.mark.parametrize("missing", ["NA", "nan", "", "#REF!"])
def test_cases_and_splits_that_are_missing_are_not_one_case(
    stores: Path, tmp_path: Path, missing: str
) -> None:
    rows = "".join(f"{name},{label},{missing},{missing}\n" for name, label in WANTED.items())
    cohort = read_cohort(write(tmp_path, f"slide,label,case,split\n{rows}"), "classification", stores=stores)
    assert [slide.case for slide in cohort.slides] == ["a", "b", "c"]
    assert {slide.split for slide in cohort.slides} == {""}


def test_a_formula_that_failed_is_no_class(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "slide,label\na,x\nb,y\nc,#REF!\n")
    cohort = read_cohort(file, "classification", stores=stores)
    assert (cohort.class_names, cohort.left_out) == (("x", "y"), ("c",))


@pytest.mark.parametrize(
    "text",
    [
        'slide,label\na,x\nb,"y\nc,x\n',
        "slide,label\n/,x\nb,y\n",
        f"slide,label\n{'l' * 300},x\nb,y\n",
        "slide,label\na,x\nb,y\nc,y\u200b\n",
    ],
    ids=["quotation mark not closed", "root", "long name", "invisible space"],
)
def test_what_nobody_means_is_one_sentence(stores: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidParameterError):
        read_cohort(write(tmp_path, text), "classification", stores=stores)


@pytest.mark.parametrize("classes", [("x", "y", "y"), ("x", "y", "")])
def test_classes_are_listed_once(stores: Path, tmp_path: Path, classes: tuple[str, ...]) -> None:
    file = write(tmp_path, "slide,label\na,x\nb,y\n")
    with pytest.raises(InvalidParameterError, match="names one twice, or none"):
        read_cohort(file, "classification", stores=stores, classes=classes)


def test_no_time_is_below_zero(stores: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "slide,time,event\na,3,1\nb,-2,0\n")
    with pytest.raises(InvalidParameterError, match="a time from 0 on"):
        read_cohort(file, "survival", stores=stores)
