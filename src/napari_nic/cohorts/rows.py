"""The rows of a table as spreadsheets, pandas and R write it: right, or one sentence about the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.disk import check_regular
from napari_nic.errors import InvalidParameterError

DELIMITERS = ",;\t"

MISSING = frozenset(
    [
        *("", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan", "-nan", "null", ".", "?"),
        *("#ref!", "#value!", "#div/0!", "#name?", "#null!", "#num!"),
    ]
)
"""What spreadsheets, R, pandas, SAS and people write where nothing is known or a formula failed, in small
letters. "none", "unknown" and "-" may be classes."""

_MOST_BYTES = 64 * 2**20
_ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))
"""By the first bytes; Excel writes a mark before UTF-8 too, and "Unicode text" is UTF-16."""


class TableRow(dict[str, str]):
    """Fields by the names of their columns, without spaces around them.

    Attributes
    ----------
    line : int
        Where the row ends in the file, counted from 1.
    spoilt : mapping of str to str
        Columns whose field is not what somebody typed, and why: a date that a spreadsheet made of a name.
    """

    def __init__(self, fields: Mapping[str, str], line: int, spoilt: Mapping[str, str] | None = None) -> None:
        super().__init__(fields)
        self.line = line
        self.spoilt = spoilt or {}

    @property
    def is_empty(self) -> bool:
        """Whether all fields are."""
        return not any(self.values())


@dataclass(frozen=True)
class TableFile:
    """A table as it stands in a file.

    Attributes
    ----------
    path : Path
    header : tuple of str
        Names of the columns; a column of row numbers may have none.
    rows : tuple of TableRow
    notes : tuple of str
        What of the file is not as simple as it looks: which sheet was taken, rows that are hidden.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """Return the fields of a column."""
        return [row[name] for row in self.rows]


def read_text_table(path: Path) -> TableFile:
    """Read a table that is separated by commas, semicolons or tabs, with a line of names.

    Lines before it that begin with ``#``, as cBioPortal writes them, are skipped.

    Raises
    ------
    InvalidParameterError
        If it cannot be read, or a line has more fields than there are columns.
    """
    delimiter, text = _delimiter(_without_comments(_read_text(path)))
    # Strict: a quotation mark that is never closed would swallow the rows after it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header, rows = make_rows(((fields, reader.line_num) for fields in reader if fields), path)
    except csv.Error as error:
        raise unreadable(path, f"line {reader.line_num}: {error}") from error
    return TableFile(path, header, rows)


def make_rows(
    lines: Iterator[tuple[Sequence[str], int]], path: Path
) -> tuple[tuple[str, ...], tuple[TableRow, ...]]:
    """Take the first line that is not empty for the names of the columns, and the others for rows.

    Parameters
    ----------
    lines : iterator of (fields, line number)
    path : Path
        For errors.
    """
    header: tuple[str, ...] = ()
    for fields, _ in lines:
        header = tuple(field.strip() for field in fields)
        if any(header):
            break
    return header, tuple(_row(header, fields, line, path) for fields, line in lines)


def _read_text(path: Path) -> str:
    check_regular(path, InvalidParameterError)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise unreadable(path, str(error)) from error
    if len(content) > _MOST_BYTES:
        raise unreadable(path, f"more than {_MOST_BYTES >> 20} MiB")
    encoding = next(name for mark, name in _ENCODINGS if content.startswith(mark))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise unreadable(path, f"{error}", "save it as CSV UTF-8; names could be misread") from error
    if "\0" in text:
        raise unreadable(path, "a zero byte: no text, or UTF-16 without its mark", "save it as CSV UTF-8")
    return text


def _without_comments(text: str) -> str:
    """Empty the first lines that begin with ``#``; all lines keep their numbers."""
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.strip() and not line.startswith("#"):
            return "".join(lines)
        lines[index] = "\n"
    return text


def _delimiter(text: str) -> tuple[str, str]:
    """Return what separates fields, and the text without the line by which Excel is told."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == len("sep=,"):
        return first[len("sep=")], rest
    header = text.replace("\r", "\n").lstrip("\n").partition("\n")[0]
    return max(DELIMITERS, key=header.count), text


def _row(header: Sequence[str], fields: Sequence[str], line: int, path: Path) -> TableRow:
    if any(field.strip() for field in fields[len(header) :]):
        raise InvalidParameterError(
            f"line {line} of the table has more fields than there are columns",
            path=path,
            expected=f"{len(header)} fields",
            found=f"{len(fields)}",
            hint="put a field that holds the separator between quotation marks",
        )
    padded = [*fields, *[""] * len(header)]
    return TableRow({name: field.strip() for name, field in zip(header, padded, strict=False)}, line)


def unreadable(path: Path, found: str, hint: str | None = None) -> InvalidParameterError:
    """Say that a file is no table that can be read."""
    return InvalidParameterError(
        "the table of the cohort cannot be read",
        path=path,
        expected="a CSV, TSV or XLSX file",
        found=found,
        hint=hint,
    )
