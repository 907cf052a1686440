"""Workbooks: what a sheet shows, and no value that a spreadsheet spoilt unseen."""

from __future__ import annotations

import csv
import datetime as dt
import string
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.cohorts import TableOptions, read_cohort
from napari_nic.cohorts.table_files import read_table
from napari_nic.errors import InvalidParameterError, MissingDependencyError

Change = Callable[[Any], None]


def workbook(file: Path, rows: Sequence[Sequence[Any]], change: Change | None = None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change is not None:
        change(book.active)
    book.save(file)
    return file


def cohort_of(file: Path, names: Sequence[str], **options: Any) -> Any:
    for name in names:
        file.with_name(f"{name}.h5").touch()
    return read_cohort(file, "classification", stores=file.parent, options=TableOptions(**options))


def test_cells_are_read_as_they_are_typed(tmp_path: Path) -> None:
    rows = [
        ["slide", "number", "share", "known", "note", "day"],
        [12345, 3.0, 0.25, True, "  two words ", dt.datetime(2024, 3, 1)],
        [7, -4, 1e-5, False, None, dt.datetime(2024, 3, 1, 12, 30)],
    ]

    def leading_zeros(sheet: Any) -> None:
        sheet["A3"].number_format = "00000"

    table = read_table(workbook(tmp_path / "t.xlsx", rows, leading_zeros))
    assert table.header == ("slide", "number", "share", "known", "note", "day")
    first, second = table.rows
    assert list(first.values()) == ["12345", "3", "0.25", "TRUE", "two words", "2024-03-01"]
    assert list(second.values()) == ["00007", "-4", "1e-05", "FALSE", "", "2024-03-01T12:30:00"]
    assert (first.line, second.line) == (2, 3)


def test_a_plain_number_is_the_name_of_a_slide(tmp_path: Path) -> None:
    rows = [["slide_id", "label"], [12345, 0], [12346.0, 1], ["12347", 1]]
    cohort = cohort_of(workbook(tmp_path / "t.xlsx", rows), ("12345", "12346", "12347"))
    assert [slide.name for slide in cohort.slides] == ["12345", "12346", "12347"]
    assert cohort.class_names == ("0", "1")


def test_empty_rows_are_skipped_and_keep_their_numbers(tmp_path: Path) -> None:
    rows = [[], [None, None], ["slide", "label"], ["a", "x"], [], ["b", "y"], [None, " "]]
    table = read_table(workbook(tmp_path / "t.xlsx", rows))
    assert [(row["slide"], row.line) for row in table.rows] == [("a", 4), ("b", 6)]


def test_the_first_sheet_with_data_is_read_or_the_one_that_is_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    for title, names in (("Lists", "pq"), ("Slides", "ab"), ("More", "cd")):
        sheet = book.create_sheet(title)
        for row in (["slide", "label"], [names[0], "x"], [names[1], "y"]):
            sheet.append(row)
    book["Lists"].sheet_state = "hidden"
    file = tmp_path / "t.xlsx"
    book.save(file)
    cohort = cohort_of(file, "abcd")
    assert [slide.name for slide in cohort.slides] == ["a", "b"]
    assert cohort.understood.notes == (
        "sheet 'Slides' is read; there is data in 'Lists', 'More' too (--sheet)",
    )
    assert [slide.name for slide in cohort_of(file, "abcd", sheet="more").slides] == ["c", "d"]
    with pytest.raises(InvalidParameterError, match=r"(?s)no such sheet.*'Cover', 'Lists'"):
        read_table(file, sheet="Other")


def test_a_sheet_belongs_to_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("slide,label\na,x\n")
    with pytest.raises(InvalidParameterError, match="no workbook"):
        read_table(tmp_path / "t.csv", sheet="One")


def test_what_is_in_the_file_decides_and_not_its_name(tmp_path: Path) -> None:
    file = workbook(tmp_path / "t.xlsx", [["slide"], ["a"]])
    assert read_table(file.rename(tmp_path / "t.csv")).column("slide") == ["a"]
    (tmp_path / "u.xlsx").write_text("slide\nb\n")
    assert read_table(tmp_path / "u.xlsx").column("slide") == ["b"]


def formula_with_result(file: Path, result: str) -> None:
    """Write the result of the formula in B2 into the file, as Excel does and openpyxl does not."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    parts["xl/worksheets/sheet1.xml"] = (
        sheet.replace("</f><v />", f"</f>{result}").replace("</f><v></v>", f"</f>{result}").encode()
    )
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_formulas_are_read_by_their_stored_results(tmp_path: Path) -> None:
    rows = [["slide", "label"], ["a", "=1+2"], ["b", 4]]
    file = workbook(tmp_path / "t.xlsx", rows)
    formula_with_result(file, "<v>3</v>")
    assert read_table(file).column("label") == ["3", "4"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("=1+2", r"a formula whose result is not in the file \(cell B2\)"),
        (dt.date(2024, 2, 1), r"2024-02-01: a date, which Excel makes"),
        (12345678901234567, "more than 15 digits"),
    ],
)
def test_what_a_spreadsheet_spoilt_is_refused_where_it_is_used(
    tmp_path: Path, cell: object, words: str
) -> None:
    used = workbook(tmp_path / "t.xlsx", [["slide", "label"], ["a", cell], ["b", "x"]])
    with pytest.raises(InvalidParameterError, match=f"(?s)label in line 2.*cannot be trusted.*{words}"):
        cohort_of(used, "ab")
    unused = workbook(tmp_path / "u.xlsx", [["slide", "other", "label"], ["a", cell, "y"], ["b", 1, "x"]])
    assert len(cohort_of(unused, "ab").slides) == 2


def test_errors_of_cells_are_no_label(tmp_path: Path) -> None:
    rows = [["slide", "label"], ["a", "x"], ["b", "y"], ["c", "#REF!"], ["d", "#N/A"]]

    def errors(sheet: Any) -> None:
        for cell in ("B4", "B5"):
            sheet[cell].data_type = "e"

    cohort = cohort_of(workbook(tmp_path / "t.xlsx", rows, errors), "abcd")
    assert (cohort.class_names, cohort.left_out) == (("x", "y"), ("c", "d"))


@pytest.mark.parametrize("cells", ["A1:B1", "A2:A3"])
def test_merged_cells_are_refused(tmp_path: Path, cells: str) -> None:
    rows = [["case", "slide", "label"], ["p1", "a", "x"], [None, "b", "y"]]
    file = workbook(tmp_path / "t.xlsx", rows, lambda sheet: sheet.merge_cells(cells))
    with pytest.raises(InvalidParameterError, match=f"(?s)merged.*{cells}.*unmerge"):
        read_table(file)


def test_hidden_rows_are_told(tmp_path: Path) -> None:
    def hide(sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True

    table = read_table(workbook(tmp_path / "t.xlsx", [["slide"], ["a"], ["b"]], hide))
    assert (table.column("slide"), table.notes) == (
        ["a", "b"],
        ("the sheet hides 1 row that was read too",),
    )


def test_remarks_beside_the_table_are_no_part_of_it(tmp_path: Path) -> None:
    table = read_table(workbook(tmp_path / "t.xlsx", [["slide"], ["a", None, "ask again"]]))
    assert (table.header, table.column("slide")) == (("slide", "", ""), ["a"])


def other_zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")


def damaged(file: Path) -> None:
    workbook(file, [["slide"], ["a"]])
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def no_sheets(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types>")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (other_zip, "no .xlsx"),
        (damaged, "cannot be read"),
        (no_sheets, "cannot be read"),
        (lambda file: workbook(file, []), "no sheet with data"),
        (lambda file: file.write_bytes(b"\xd0\xcf\x11\xe0 and more"), "(?s)old Excel.*save it as .xlsx"),
    ],
)
def test_files_that_are_no_workbook(tmp_path: Path, make: Callable[[Path], Any], words: str) -> None:
    make(tmp_path / "t.xlsx")
    with pytest.raises(InvalidParameterError, match=words):
        read_table(tmp_path / "t.xlsx")


def test_a_workbook_that_unpacks_without_end_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workbook(tmp_path / "t.xlsx", [["slide"], *([["a"]] * 5000)])
    monkeypatch.setattr("napari_nic.cohorts.workbooks._MOST_UNPACKED", 10_000)
    with pytest.raises(InvalidParameterError, match="unpacked"):
        read_table(file)
    monkeypatch.setattr("napari_nic.cohorts.workbooks._MOST_BYTES", 1000)
    with pytest.raises(InvalidParameterError, match="more than"):
        read_table(file)


def test_without_openpyxl_one_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workbook(tmp_path / "t.xlsx", [["slide"], ["a"]])
    monkeypatch.delitem(sys.modules, "openpyxl")
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r'(?s)openpyxl.*pip install "napari-nic\[tables\]"'):
        read_table(file)


WORD = st.text(string.ascii_letters + string.digits + " .-_/äé(,;\"'", max_size=12)
LINES = st.lists(st.tuples(WORD, WORD, WORD), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(max_examples=20, deadline=None)
@given(lines=LINES)
def test_a_table_says_the_same_as_csv_tsv_and_workbook(folder: Path, lines: list[tuple[str, ...]]) -> None:
    header = ("slide", "case id", "label")
    workbook(folder / "t.xlsx", [header, *lines])
    read = [read_table(folder / "t.xlsx").rows]
    for ending, delimiter in ((".csv", ","), (".tsv", "\t")):
        with (folder / f"t{ending}").open("w", newline="", encoding="utf-8") as out:
            csv.writer(out, delimiter=delimiter).writerows([header, *lines])
        read.append(tuple(row for row in read_table(folder / f"t{ending}").rows if not row.is_empty))
    wanted = [tuple(field.strip() for field in line) for line in lines if any(map(str.strip, line))]
    for rows in read:
        assert [tuple(row.values()) for row in rows] == wanted


@settings(max_examples=20, deadline=None)
@given(numbers=st.lists(st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=8))
def test_whole_numbers_stay_what_they_are(folder: Path, numbers: list[int]) -> None:
    workbook(folder / "n.xlsx", [["slide"], *([number] for number in numbers)])
    assert read_table(folder / "n.xlsx").column("slide") == [str(number) for number in numbers]
