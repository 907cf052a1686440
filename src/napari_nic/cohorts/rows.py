"""The rows of a table as spreadsheets, pandas and R write it: right, or one sentence about the line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    """

    def __init__(self, fields: Mapping[str, str], line: int) -> None:
        super().__init__(fields)
        self.line = line

    @property
    def is_empty(self) -> bool:
        """Whether all fields are."""
        return not any(self.values())


def read_rows(path: Path, names: Iterable[str] = ()) -> list[TableRow]:
    """Read a table that is separated by commas, semicolons or tabs, with a line of names.

    Parameters
    ----------
    path : Path
    names : iterable of str
        Columns that are asked for: one that is there in other letters (``Label``) gets the name asked for.

    Raises
    ------
    InvalidParameterError
        If it cannot be read, two columns bear one of the names, or a line has more fields than there are
        columns.
    """
    text = _read_text(path)
    delimiter, text = _delimiter(text)
    # Strict: a quotation mark that is never closed would swallow the rows after it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        first = next((fields for fields in reader if any(map(str.strip, fields))), [])
        header = [field.strip() for field in first]
        renamed = _renamed(header, tuple(names), path)
        return [_row(renamed, fields, reader.line_num, path) for fields in reader if fields]
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}") from error


def _read_text(path: Path) -> str:
    check_regular(path, InvalidParameterError)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"more than {_MOST_BYTES >> 20} MiB")
    encoding = next(name for mark, name in _ENCODINGS if content.startswith(mark))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"{error}", "save it as CSV UTF-8; names could be misread") from error
    if "\0" in text:
        raise _unreadable(path, "a zero byte: no text, or UTF-16 without its mark", "save it as CSV UTF-8")
    return text


def _delimiter(text: str) -> tuple[str, str]:
    """Return what separates fields, and the text without the line by which Excel is told."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == len("sep=,"):
        return first[len("sep=")], rest
    header = text.replace("\r", "\n").lstrip("\n").partition("\n")[0]
    return max(DELIMITERS, key=header.count), text


def _renamed(header: Sequence[str], names: Sequence[str], path: Path) -> list[str]:
    """Give columns the names that are asked for, where they differ in upper and lower case only."""
    renamed = list(header)
    for name in names:
        if name in header:
            continue
        same = [index for index, found in enumerate(header) if found.lower() == name.lower()]
        if len(same) == 1:
            renamed[same[0]] = name
    twice = [name for name, count in Counter(renamed).items() if count > 1 and name in names]
    if twice:
        raise InvalidParameterError(
            "two columns of the table bear one name", path=path, found=", ".join(header), expected=twice[0]
        )
    return renamed


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


def _unreadable(path: Path, found: str, hint: str | None = None) -> InvalidParameterError:
    return InvalidParameterError(
        "the table of the cohort cannot be read", path=path, expected="a CSV file", found=found, hint=hint
    )
