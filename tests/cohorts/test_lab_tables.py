"""Tables as laboratories and programs have them, each in the spelling of its writer."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from napari_nic.cohorts import Columns, TableOptions, preview, read_cohort, read_listing
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import Task

TCGA = tuple(f"TCGA-A{i}-000{i}-01Z-00-DX1.{i:08d}-1111-2222-3333-44445555666{i}" for i in range(4))


@dataclass(frozen=True)
class Lab:
    """A table, the files beside it, and what it says.

    Attributes
    ----------
    write : callable
        Writes the tables into a folder.
    files : sequence of str
        Files of codes, below the folder ``feats``.
    wanted : mapping of str to str or tuple
        Slide -> class, or value, or (time, event).
    table : str
    task : {"classification", "regression", "survival"}
    options : mapping
        Of :class:`TableOptions`; paths are below the folder.
    columns : Columns
    missing, left_out : sequence of str
    """

    write: Callable[[Path], object]
    files: Sequence[str]
    wanted: dict[str, Any]
    table: str = "table.csv"
    task: Task = "classification"
    options: dict[str, Any] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def text(name: str, lines: Iterable[Sequence[object]], delimiter: str = ",") -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        with (folder / name).open("w", newline="", encoding="utf-8") as out:
            csv.writer(out, delimiter=delimiter).writerows(lines)

    return write


def sheet(name: str, lines: Iterable[Sequence[object]]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        book = openpyxl.Workbook()
        for line in lines:
            book.active.append(line)
        book.save(folder / name)

    return write


def both(*writers: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [write(folder) for write in writers]


LABS = {
    "CLAM, a column without a name before": Lab(
        text(
            "table.csv",
            [
                ["", "case_id", "slide_id", "label"],
                [0, "patient_0", "s_0", "tumor_tissue"],
                [1, "patient_0", "s_1", "tumor_tissue"],
                [2, "patient_1", "s_2", "normal_tissue"],
            ],
        ),
        ("h5_files/s_0.h5", "h5_files/s_1.h5", "h5_files/s_2.h5"),
        {"s_0": "tumor_tissue", "s_1": "tumor_tissue", "s_2": "normal_tissue"},
    ),
    "CLAM, the list of its segmentation": Lab(
        text(
            "table.csv",
            [
                ["slide_id", "process", "status", "seg_level", "label"],
                ["a.svs", 0, "processed", -1, "x"],
                ["b.svs", 0, "failed_seg", -1, "y"],
                ["c.svs", 1, "tbp", -1, "x"],
            ],
        ),
        ("h5_files/a.h5", "h5_files/b.h5"),
        {"a": "x", "b": "y"},
        missing=("c.svs",),
    ),
    "CHIEF, cases that are slides": Lab(
        text("table.csv", [["case_id", "label"], *([name, i % 2] for i, name in enumerate(TCGA))]),
        tuple(f"{name}.h5" for name in TCGA),
        {name: str(i % 2) for i, name in enumerate(TCGA)},
    ),
    "pandas, Unnamed: 0 and file_name": Lab(
        text(
            "table.csv",
            [["Unnamed: 0", "file_name", "target"], [0, f"{TCGA[0]}.svs", "NSD1"], [1, "b.svs", "wild type"]],
        ),
        (f"{TCGA[0]}.h5", "b.h5"),
        {TCGA[0]: "NSD1", "b": "wild type"},
    ),
    "GDC, filename and submitter": Lab(
        text(
            "table.tsv",
            [
                ["case_id", "case_submitter_id", "filename", "label"],
                ["0b1c", "TCGA-A0-0000", f"{TCGA[0]}.svs", "x"],
                ["9f2d", "TCGA-A1-0001", f"{TCGA[1]}.svs", "y"],
            ],
            "\t",
        ),
        (f"{TCGA[0]}.h5", f"{TCGA[1]}.h5"),
        {TCGA[0]: "x", TCGA[1]: "y"},
        table="table.tsv",
    ),
    "STAMP, clinical workbook and slide table": Lab(
        both(
            sheet("clini.xlsx", [["PATIENT", "isMSIH"], ["A", "MSIH"], ["B", "nonMSIH"], ["C", None]]),
            text(
                "slide.csv",
                [["PATIENT", "FILENAME"], ["A", "sub/a1.h5"], ["A", "a2.h5"], ["B", "b.h5"], ["C", "c.h5"]],
            ),
        ),
        ("sub/a1.h5", "a2.h5", "b.h5", "c.h5"),
        {"a1": "MSIH", "a2": "MSIH", "b": "nonMSIH"},
        table="clini.xlsx",
        options={"slides_table": "slide.csv"},
        columns=Columns(label="isMSIH"),
        left_out=("c.h5",),
    ),
    "TRIDENT, list of slides with mpp": Lab(
        text(
            "table.csv", [["wsi", "mpp", "label"], ["batch1/a.ndpi", 0.2275, "x"], ["batch2/b.ndpi", "", "y"]]
        ),
        ("a.h5", "b.h5"),
        {"a": "x", "b": "y"},
    ),
    "slide2vec, manifest": Lab(
        text(
            "table.csv",
            [
                ["sample_id", "image_path", "mask_path", "spacing_at_level_0", "patient_id", "label"],
                ["a", "/data/slides/a.tif", "", 0.5, "p1", "x"],
                ["b", "/data/slides/b.tif", "", 0.5, "p2", "y"],
            ],
        ),
        ("a.h5", "b.h5"),
        {"a": "x", "b": "y"},
    ),
    "BCNB, whole numbers in a workbook": Lab(
        sheet(
            "table.xlsx", [["slide", "ALN status", "Age"], [1, "N0", 45], [2, "N+(1-2)", 50], [12, "N0", 61]]
        ),
        ("1.h5", "2.h5", "12.h5"),
        {"1": "N0", "2": "N+(1-2)", "12": "N0"},
        table="table.xlsx",
        columns=Columns(label="ALN status"),
    ),
    "cBioPortal, survival by patient": Lab(
        both(
            text(
                "patients.txt",
                [
                    ["#Patient Identifier", "Overall Survival (Months)", "Overall Survival Status"],
                    ["#STRING", "NUMBER", "STRING"],
                    ["PATIENT_ID", "OS_MONTHS", "OS_STATUS"],
                    ["TCGA-A0-0000", "12.3", "1:DECEASED"],
                    ["TCGA-A1-0001", "40", "0:LIVING"],
                    ["TCGA-A2-0002", "", ""],
                ],
                "\t",
            ),
            text(
                "slides.csv",
                [["patient", "slide_id"], *([f"TCGA-A{i}-000{i}", name] for i, name in enumerate(TCGA[:3]))],
            ),
        ),
        tuple(f"{name}.h5" for name in TCGA),
        {TCGA[0]: (12.3, True), TCGA[1]: (40, False)},
        table="patients.txt",
        task="survival",
        options={"slides_table": "slides.csv"},
        columns=Columns(time="OS_MONTHS", event="OS_STATUS"),
        left_out=(TCGA[2],),
    ),
    "survival as decimals": Lab(
        text("table.csv", [["slide_id", "survival_months", "event"], ["a", "3", "1.0"], ["b", "7.5", "0.0"]]),
        ("a.h5", "b.h5"),
        {"a": (3, True), "b": (7.5, False)},
        task="survival",
    ),
    "survival as words": Lab(
        text(
            "table.csv", [["wsi", "time", "status"], ["a.mrxs", "3", "Dead"], ["b.mrxs", "7", "alive"]], ";"
        ),
        ("a.h5", "b.h5"),
        {"a": (3, True), "b": (7, False)},
        task="survival",
    ),
    "Patho-Bench, task with folds": Lab(
        text(
            "table.tsv",
            [
                ["case_id", "slide_id", "grade", "fold_0", "fold_1"],
                ["p0", "a", 2, "train", "test"],
                ["p1", "b", 3, "test", "train"],
                ["p2", "c", 3, "", "train"],
            ],
            "\t",
        ),
        ("a.h5", "b.h5", "c.h5"),
        {"a": "2", "b": "3"},
        table="table.tsv",
        options={"fold": 0},
        columns=Columns(label="grade"),
    ),
    "nearly all slides are missing": Lab(
        text(
            "table.csv",
            [["", "slide_id", "label"], *([i, f"s{i}.svs", "xyz"[i % 3]] for i in range(300))],
        ),
        ("s0.h5", "s1.h5", "s2.h5"),
        {"s0": "x", "s1": "y", "s2": "z"},
        missing=tuple(f"s{i}.svs" for i in range(3, 300)),
    ),
}


@pytest.mark.parametrize("lab", LABS.values(), ids=LABS)
def test_tables_of_laboratories(lab: Lab, tmp_path: Path) -> None:
    feats = tmp_path / "feats"
    for name in lab.files:
        file = feats / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    lab.write(tmp_path)
    options = {name: tmp_path / v if isinstance(v, str) else v for name, v in lab.options.items()}

    def read(**more: Any) -> Any:
        given = TableOptions(**options, **more)
        return read_cohort(tmp_path / lab.table, lab.task, stores=feats, columns=lab.columns, options=given)

    cohort = read()
    said: dict[str, Any] = {
        slide.name: (slide.label, slide.event)
        if lab.task == "survival"
        else cohort.class_names[int(slide.label)]
        for slide in cohort.slides
    }
    assert said == lab.wanted
    assert (cohort.absent.missing, cohort.left_out) == (lab.missing, lab.left_out)
    assert sorted(str(slide.store.relative_to(feats)) for slide in cohort.slides) == sorted(
        name for name in map(str, map(Path, lab.files)) if Path(name).stem in lab.wanted
    )
    assert preview(cohort).facts["columns"].startswith("slide")
    if lab.missing:
        with pytest.raises(InvalidParameterError, match=f"{len(lab.missing)} of .* slides cannot be found"):
            read(strict=True)
    if "slides_table" not in lab.options:
        assert read_listing(tmp_path / lab.table).slides


def test_a_table_of_which_no_slide_is_found_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("slide,label\na,x\nb,y\n")
    with pytest.raises(InvalidParameterError, match=r"(?s)2 of 2 slides cannot be found.*a: no compressed"):
        read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)


def test_a_class_of_which_no_slide_is_found_is_told(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "t.csv").write_text("slide,label\na,x\nb,y\nc,z\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert cohort.class_names == ("x", "y")
    assert cohort.understood.notes == ("no slide of class 'z' was found, so it is no class of this cohort",)


def test_two_files_of_one_slide_are_not_missing_but_doubtful(tmp_path: Path) -> None:
    (tmp_path / "h5_files").mkdir()
    for name in ("a.h5", "b.h5", "h5_files/b.h5", "c.h5"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text("slide,label\na,x\nb,y\nc,y\n")
    with pytest.raises(InvalidParameterError, match="b: 2 compressed slides of this name"):
        read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)


def test_a_file_of_another_program_stands_for_its_slide(tmp_path: Path, toys: Any) -> None:
    """As a slide table of STAMP names features, and the slides were compressed here."""
    for name in ("a", "b"):
        toys.store(tmp_path / f"{name}.nic.zarr", np.zeros((3, 3, 4)), np.ones((3, 3), bool))
    (tmp_path / "t.csv").write_text("FILENAME,label\na.h5,x\nsub/b.pt,y\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [slide.store.name for slide in cohort.slides] == ["a.nic.zarr", "b.nic.zarr"]
    (tmp_path / "u.csv").write_text("FILENAME,label\nc.nic.zarr,x\nb,y\na,x\n")
    (tmp_path / "c.h5").touch()
    assert read_cohort(tmp_path / "u.csv", "classification", stores=tmp_path).absent.missing == (
        "c.nic.zarr",
    )


@pytest.mark.parametrize("value", ["C:\\slides\\a.svs", "sub\\a.svs", "\\\\server\\share\\a.svs", "a.svs"])
def test_a_table_that_was_written_on_windows(tmp_path: Path, value: str) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "t.csv").write_text(f"slide,label\n{value},x\nb,y\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [slide.name for slide in cohort.slides] == ["a", "b"]


def test_a_folder_is_listed_once_for_all_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / f"{name}.h5").touch()
    rows = "".join(f"s{index},{'xy'[index % 2]}\n" for index in range(50))
    (tmp_path / "t.csv").write_text(f"slide,label\na,x\nb,y\n{rows}")
    listed: list[Path] = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self) or iterdir(self))
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert len(cohort.absent.missing) == 50
    assert listed == [tmp_path]


def test_the_pixel_size_of_the_table_is_kept_for_the_import(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "t.csv").write_text("slide,label,mpp\na,x,0.2431\nb,y,NA\nc,y,0.5\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert preview(cohort).facts["um/px"] == "stated in the table for 2 slides"
    assert [slide.mpp for slide in cohort.slides] == [0.2431, None, 0.5]


@pytest.mark.parametrize("mpp", ["0", "-1", "250", "wide", "inf"])
def test_a_pixel_size_that_cannot_be_is_refused(tmp_path: Path, mpp: str) -> None:
    (tmp_path / "a.h5").touch()
    (tmp_path / "t.csv").write_text(f"slide,label,mpp\na,1,{mpp}\n")
    with pytest.raises(InvalidParameterError, match="column 'mpp' of slide 'a' cannot be read"):
        read_cohort(tmp_path / "t.csv", "regression", stores=tmp_path)


# -- cases that went wrong once: the side of the table -----------------------------------------------------


@pytest.mark.parametrize("ending", ["", ".tif", ".svs", ".h5"])
def test_ids_of_tcga_with_and_without_an_extension(tmp_path: Path, ending: str) -> None:
    for name in TCGA:
        (tmp_path / f"{name}.h5").touch()
    rows = "".join(f"{name}{ending},{'normal' if i % 2 else 'tumor'}\n" for i, name in enumerate(TCGA))
    (tmp_path / "t.csv").write_text(f"slide,label\n{rows}")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [(slide.name, slide.store.name) for slide in cohort.slides] == [(n, f"{n}.h5") for n in TCGA]


def test_twins_are_never_taken_for_each_other(tmp_path: Path, toys: Any) -> None:
    for name in ("S1", "S2", "S3"):
        toys.store(tmp_path / f"{name}.nic.zarr", np.zeros((3, 3, 4)), np.ones((3, 3), bool))
    (tmp_path / "t.csv").write_text("slide,label\nS1.2,tumor\nS2,normal\nS3,tumor\n")
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert [slide.name for slide in cohort.slides] == ["S2", "S3"]
    assert cohort.absent.missing == ("S1.2",)


@pytest.mark.parametrize("word", ["none", "None", "no label", "unknown", "-"])
def test_a_class_called_none_is_kept_and_told(tmp_path: Path, word: str) -> None:
    labels = (word, "micro", "macro") * 3
    for index in range(9):
        (tmp_path / f"s{index}.h5").touch()
    rows = [f"s{index},{label}\n" for index, label in enumerate(labels)]
    (tmp_path / "t.csv").write_text("slide,label\n" + "".join(rows))
    cohort = read_cohort(tmp_path / "t.csv", "classification", stores=tmp_path)
    assert (len(cohort.slides), cohort.left_out) == (9, ())
    assert {name: slides for name, slides, _ in preview(cohort).classes} == {word: 3, "micro": 3, "macro": 3}
    doubts = preview(cohort).doubts
    assert (doubts == ()) == (word == "no label")
    rows[2] = "s2,\n"
    (tmp_path / "t.csv").write_text("slide,label\n" + "".join(rows))
    cohort = read_cohort(
        tmp_path / "t.csv", "classification", stores=tmp_path, classes=(word, "micro", "macro")
    )
    assert (len(cohort.slides), cohort.left_out) == (8, ("s2",))
