"""A table is read by what is in the file, whatever it is called."""

from __future__ import annotations

from pathlib import Path

from napari_nic.cohorts.rows import TableFile, read_text_table, unreadable
from napari_nic.cohorts.workbooks import OLD_WORKBOOK_MARK, WORKBOOK_MARK, read_workbook
from napari_nic.disk import check_regular
from napari_nic.errors import InvalidParameterError


def read_table(path: Path, *, sheet: str | None = None) -> TableFile:
    """Read a table of text (CSV, TSV) or of Excel (.xlsx).

    Parameters
    ----------
    path : Path
    sheet : str, optional
        Of a workbook, by name.

    Raises
    ------
    InvalidParameterError
        If it cannot be read.
    MissingDependencyError
        If it is a workbook and openpyxl is not installed.
    """
    check_regular(path, InvalidParameterError)
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError as error:
        raise unreadable(path, str(error)) from error
    if first == WORKBOOK_MARK:
        return read_workbook(path, sheet)
    if first == OLD_WORKBOOK_MARK:
        raise unreadable(
            path,
            "an .xls file of old Excel, or a workbook that a password locks",
            "save it as .xlsx without a password, or as CSV",
        )
    if sheet is not None:
        raise InvalidParameterError(
            "a sheet was named, and the table is no workbook",
            path=path,
            expected="an .xlsx file",
            found=sheet,
        )
    return read_text_table(path)
