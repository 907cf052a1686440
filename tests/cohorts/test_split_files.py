"""Parts as CLAM and Patho-Bench write them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.cohorts import Cohort, TableOptions, make_folds, read_cohort
from napari_nic.errors import InvalidParameterError

NAMES = tuple(f"s{index}" for index in range(8))
PARTS = {"train": NAMES[:4], "val": NAMES[4:5], "test": NAMES[5:7]}
WANTED = [*["train"] * 4, "validation", "test", "test"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.h5").touch()
    lines = [f"p{index},{name},{'xy'[index % 2]}\n" for index, name in enumerate(NAMES)]
    (tmp_path / "t.csv").write_text("case_id,slide_id,label\n" + "".join(lines))
    return tmp_path


def clam(file: Path, parts: dict[str, Sequence[str]]) -> Path:
    """``splits_k.csv``: columns of slides, filled up, after one of row numbers."""
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["", *parts])
        for index, row in enumerate(zip_longest(*parts.values(), fillvalue="")):
            writer.writerow([index, *row])
    return file


def clam_bool(file: Path, parts: dict[str, Sequence[str]]) -> Path:
    """``splits_k_bool.csv``: a row for each slide."""
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["", *parts])
        for names in parts.values():
            writer.writerows([name, *(name in other for other in parts.values())] for name in names)
    return file


def by_rows(file: Path, parts: dict[str, Sequence[str]]) -> Path:
    rows = "".join(f"{name}.svs\t{part}\n" for part, names in parts.items() for name in names)
    file.write_text(f"filename\tpartition\n{rows}")
    return file


def read(folder: Path, table: str = "t.csv", **options: Any) -> Cohort:
    return read_cohort(folder / table, "classification", stores=folder, options=TableOptions(**options))


def splits_of(cohort: Cohort) -> list[str]:
    return [slide.split for slide in cohort.slides]


@pytest.mark.parametrize("write", [clam, clam_bool, by_rows])
def test_files_of_splits(folder: Path, write: Any) -> None:
    file = write(folder / "splits_0.csv", PARTS | {"test": (*PARTS["test"], "gone")})
    cohort = read(folder, splits=file)
    assert splits_of(cohort) == WANTED
    assert cohort.absent.unsplit == ("s7",)
    assert cohort.understood.notes == (
        "the parts are those of splits_0.csv, by slides: 4 train slides, 1 validation slide, 2 test slides",
        "1 slide of splits_0.csv not in the table: gone",
    )
    (fold,) = make_folds(cohort)
    assert (fold.train, fold.validation, fold.test) == ((0, 1, 2, 3), (4,), (5, 6))


def test_a_folder_of_splits_with_the_number_of_one(folder: Path) -> None:
    (folder / "splits").mkdir()
    clam(folder / "splits" / "splits_3.csv", PARTS)
    assert splits_of(read(folder, splits=folder / "splits", fold=3)) == WANTED
    for fold in (None, 1):
        with pytest.raises(InvalidParameterError, match=r"(?s)not which one.*--fold K.*splits_3\.csv"):
            read(folder, splits=folder / "splits", fold=fold)


def test_splits_may_name_cases(folder: Path) -> None:
    file = clam(
        folder / "s.csv", {part: [n.replace("s", "p") for n in names] for part, names in PARTS.items()}
    )
    cohort = read(folder, splits=file)
    assert splits_of(cohort) == WANTED
    assert "by cases" in cohort.understood.notes[0]


def test_names_with_dots_and_numbers(tmp_path: Path) -> None:
    names = [
        "TCGA-AA-0001-01Z-00-DX1.0F-1A",
        "TCGA-AA-0002-01Z-00-DX1.0F-1A",
        "TCGA-AA-0003-01Z-00-DX1.0F-1A",
    ]
    for ids, written in (
        (names, [f"{name}.svs" for name in names]),
        (["1", "2", "3"], ["1.0", "2.0", "3.0"]),
    ):
        for name in ids:
            (tmp_path / f"{name}.h5").touch()
        rows = "".join(f"{name},{'xyx'[index]}\n" for index, name in enumerate(ids))
        (tmp_path / "t.csv").write_text(f"slide_id,label\n{rows}")
        file = clam(tmp_path / "s.csv", {"train": written[:1], "val": written[1:2], "test": written[2:]})
        assert splits_of(read(tmp_path, splits=file)) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("fold", "wanted", "unsplit"),
    [
        (0, ["train", "validation", "test", "train"], ()),
        (1, ["test", "train", "train"], ("s3",)),
    ],
)
def test_columns_of_folds(folder: Path, fold: int, wanted: list[str], unsplit: tuple[str, ...]) -> None:
    text = "slide_id,label,fold_0,fold_1\ns0,x,train,test\ns1,y,val,train\ns2,x,test,train\ns3,y,train,\n"
    (folder / "t.csv").write_text(text)
    cohort = read(folder, fold=fold)
    assert (splits_of(cohort), cohort.absent.unsplit) == (wanted, unsplit)
    (folder / "u.csv").write_text("slide,label\ns0,x\ns1,y\ns2,x\ns3,y\n")
    beside = read(folder, "u.csv", splits=folder / "t.csv", fold=fold)
    assert (splits_of(beside), beside.absent.unsplit) == (wanted, unsplit)


def test_a_column_of_numbers_of_folds(folder: Path) -> None:
    (folder / "t.csv").write_text("slide,label,fold\ns0,x,0\ns1,y,1.0\ns2,x,2\ns3,y,1\n")
    assert splits_of(read(folder, fold=1)) == ["train", "test", "train", "test"]
    unused = read(folder)
    assert splits_of(unused) == [""] * 4
    assert unused.understood.notes == (
        "the table has folds (fold), not used unless one is asked for (--fold)",
    )
    with pytest.raises(InvalidParameterError, match=r"(?s)no slide is in this fold.*0, 1, 1.0, 2"):
        read(folder, fold=7)


def test_splits_that_are_asked_for_come_before_the_column(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "slide,label,split\n" + "".join(f"{n},{'xy'[i % 2]},test\n" for i, n in enumerate(NAMES))
    )
    assert splits_of(read(folder, splits=clam(folder / "s.csv", PARTS))) == WANTED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",train,val,test\n0,s0,s1,s0\n", "puts? a slide into two parts.*s0: train and test"),
        (",train,val,test\nx,10,2,3\ny,11,3,3\n", "counts the slides of each part"),
        ("slide_id,label\ns0,x\n", "holds no splits.*slide_id, label"),
        ("slide,split\ns0,middle\n", "holds no parts.*middle"),
        (",train,val,test\n0,q0,q1,q2\n", "no slide of the table is in the splits"),
        (",train,val,test\nx,1,0,1\ny,1,1,1\n", "counts the slides of each part"),
    ],
)
def test_files_that_are_no_splits(folder: Path, text: str, words: str) -> None:
    (folder / "s.csv").write_text(text)
    with pytest.raises(InvalidParameterError, match=f"(?s){words}"):
        read(folder, splits=folder / "s.csv")


def test_folds_that_are_not_there_or_no_parts(folder: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"(?s)no such fold.*fold_2"):
        read(folder, fold=2)
    (folder / "t.csv").write_text("slide,label,fold_2\ns0,x,1\ns1,y,0\n")
    with pytest.raises(InvalidParameterError, match=r"(?s)'fold_2' holds no parts"):
        read(folder, fold=2)


def test_a_case_that_the_splits_tear_is_refused(folder: Path) -> None:
    (folder / "t.csv").write_text("slide,case,label\ns0,p,x\ns5,p,y\ns4,q,x\n")
    with pytest.raises(InvalidParameterError, match="several parts"):
        read(folder, splits=clam(folder / "s.csv", PARTS))


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.sampled_from(["train", "val", "test", ""]), min_size=8, max_size=8),
    bool_form=st.booleans(),
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], bool_form: bool
) -> None:
    folder = tmp_path_factory.mktemp("splits")
    for name in NAMES:
        (folder / f"{name}.h5").touch()
    rows = "".join(f"{name},{index % 2}\n" for index, name in enumerate(NAMES))
    (folder / "t.csv").write_text(f"slide,label\n{rows}")
    named = {
        part: [n for n, p in zip(NAMES, parts, strict=True) if p == part] for part in ("train", "val", "test")
    }
    file = (clam_bool if bool_form else clam)(folder / "s.csv", named)
    kept = [(n, "validation" if p == "val" else p) for n, p in zip(NAMES, parts, strict=True) if p]
    if len({int(name[1:]) % 2 for name, _ in kept}) < 2:
        with pytest.raises(InvalidParameterError):
            read(folder, splits=file)
        return
    cohort = read(folder, splits=file)
    assert [(slide.name, slide.split) for slide in cohort.slides] == kept
    assert len(cohort.absent.unsplit) == parts.count("")
