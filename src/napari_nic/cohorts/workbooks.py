"""Cohort tables of Excel: what a sheet shows as text, and no value that a spreadsheet spoilt unseen."""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from napari_nic.cohorts.rows import TableFile, TableRow, make_rows, unreadable
from napari_nic.errors import InvalidParameterError
from napari_nic.extras import require
from napari_nic.wording import counted, was_were

WORKBOOK_MARK = b"PK\x03\x04"
OLD_WORKBOOK_MARK = b"\xd0\xcf\x11\xe0"
"""Of .xls files, and of .xlsx files that are locked by a password."""

_MOST_BYTES = 64 * 2**20
_MOST_UNPACKED = 256 * 2**20
_EXACT = 10**15
"""Excel keeps 15 digits of a number: of a longer one the rest is lost."""

_DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)
"""What openpyxl and the libraries below it raise for files that are not what they should be."""

_ROUNDED = "a number of more than 15 digits, of which Excel keeps 15"
_DATE = "a date, which Excel makes of names such as 1-2 too"
_NOT_COMPUTED = "a formula whose result is not in the file"


def read_workbook(path: Path, sheet: str | None = None) -> TableFile:
    """Read a sheet of an .xlsx file: numbers as they are typed, formulas by their stored results.

    Parameters
    ----------
    path : Path
    sheet : str, optional
        Its name; by default the first visible one that is not empty.

    Raises
    ------
    InvalidParameterError
        If it is no such file, has no such sheet, or cells of the table are merged.
    MissingDependencyError
        If openpyxl is not installed.
    """
    openpyxl = require("openpyxl", "tables of Excel (.xlsx); a table saved as CSV is read without it")
    content = _read(path)
    with warnings.catch_warnings():
        # openpyxl warns of what it does not keep when a file is written again: nothing is written here.
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(BytesIO(content), keep_links=False)
            chosen, notes = _choose(book.worksheets, sheet, path)
            formulas = {
                cell.coordinate for row in chosen.iter_rows() for cell in row if cell.data_type == "f"
            }
            if formulas:
                stored = openpyxl.load_workbook(BytesIO(content), keep_links=False, data_only=True)
                chosen = stored[chosen.title]
        except (*_DAMAGED, openpyxl.utils.exceptions.InvalidFileException) as error:
            if isinstance(error, InvalidParameterError):
                raise
            raise unreadable(path, f"{type(error).__name__}: {error}") from error
    return _table(chosen, formulas, notes, path)


def _read(path: Path) -> bytes:
    """Read the file, unless it would unpack to more than any table needs."""
    content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        found = str(error) if content else f"more than {_MOST_BYTES >> 20} MiB"
        raise unreadable(path, found) from error
    if unpacked > _MOST_UNPACKED:
        raise unreadable(path, f"more than {_MOST_UNPACKED >> 20} MiB unpacked", "save the table as CSV")
    if "[Content_Types].xml" not in names:
        raise unreadable(path, "a ZIP file that is no .xlsx", "save the table as CSV or .xlsx")
    return content


def _choose(sheets: list[Any], wanted: str | None, path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return a sheet, and what is to be said of the choice."""
    if wanted is not None:
        same = [sheet for sheet in sheets if sheet.title == wanted] or [
            sheet for sheet in sheets if sheet.title.strip().casefold() == wanted.strip().casefold()
        ]
        if len(same) != 1:
            names = ", ".join(repr(sheet.title) for sheet in sheets)
            raise InvalidParameterError(
                "the workbook has no such sheet", path=path, expected=names, found=repr(wanted)
            )
        return same[0], ()
    filled = [sheet for sheet in sheets if _has_data(sheet)]
    if not filled:
        raise unreadable(path, "no sheet with data")
    chosen = next((sheet for sheet in filled if sheet.sheet_state == "visible"), filled[0])
    others = ", ".join(repr(sheet.title) for sheet in filled if sheet is not chosen)
    note = f"sheet {chosen.title!r} is read; there is data in {others} too (--sheet)"
    return chosen, (note,) if others else ()


def _has_data(sheet: Any) -> bool:
    return any(value not in (None, "") for row in sheet.iter_rows(values_only=True) for value in row)


def _table(sheet: Any, formulas: set[str], notes: tuple[str, ...], path: Path) -> TableFile:
    spoilt: dict[int, dict[int, str]] = {}
    hidden: list[int] = []
    header, rows = make_rows(_lines(sheet, formulas, spoilt, hidden), path)
    _check_merged(sheet, path)
    made = tuple(
        TableRow(row, row.line, _by_column(header, spoilt.get(row.line, {})))
        for row in rows
        if not row.is_empty
    )
    if hidden:
        notes = (
            *notes,
            f"the sheet hides {counted(len(hidden), 'row')} that {was_were(len(hidden))} read too",
        )
    return TableFile(path, header, made, notes)


def _by_column(header: tuple[str, ...], reasons: Mapping[int, str]) -> dict[str, str]:
    return {header[index]: why for index, why in reasons.items() if index < len(header)}


def _lines(
    sheet: Any, formulas: set[str], spoilt: dict[int, dict[int, str]], hidden: list[int]
) -> Iterator[tuple[list[str], int]]:
    for cells in sheet.iter_rows():
        line = cells[0].row
        fields = []
        for index, cell in enumerate(cells):
            text, why = _text(cell, is_formula=cell.coordinate in formulas)
            fields.append(text)
            if why:
                spoilt.setdefault(line, {})[index] = f"{why} (cell {cell.coordinate})"
        if any(fields) and sheet.row_dimensions[line].hidden:
            hidden.append(line)
        yield fields, line


def _text(cell: Any, *, is_formula: bool) -> tuple[str, str]:
    """Return what a cell holds as it would stand in a CSV file, and what is wrong with it."""
    value = cell.value
    if value is None:
        # Not empty: the row would pass for one that has no value.
        return ("?", _NOT_COMPUTED) if is_formula else ("", "")
    if isinstance(value, bool):
        return ("TRUE" if value else "FALSE"), ""
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "")
    if isinstance(value, date | datetime | time | timedelta):
        return _moment(value), _DATE
    return str(value), ""


def _number(value: float, shown_as: str) -> tuple[str, str]:
    """Write 12345.0 as 12345, and 7 that is shown as 007 as 007: a number of a slide is a name."""
    if isinstance(value, float) and not value.is_integer():
        return repr(value), ""
    whole = int(value)
    text = f"{whole:0{len(shown_as)}d}" if re.fullmatch("0+", shown_as) and whole >= 0 else str(whole)
    return text, _ROUNDED if abs(whole) >= _EXACT else ""


def _moment(value: date | datetime | time | timedelta) -> str:
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _check_merged(sheet: Any, path: Path) -> None:
    """Refuse merged cells: but for the first one they are empty, whatever the sheet looks like."""
    merged = sorted(str(cells) for cells in sheet.merged_cells.ranges)
    if merged:
        raise InvalidParameterError(
            "cells of the sheet are merged, so that all but the first of them are empty",
            path=path,
            expected="one line of names, and every field in its own cell",
            found=f"sheet {sheet.title!r}: {', '.join(merged[:5])}{', ...' if len(merged) > 5 else ''}",
            hint="unmerge them and fill the cells, or name another sheet (--sheet)",
        )
