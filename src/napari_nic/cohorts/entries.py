"""The rows of one table, or of a clinical and a slide table, by what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_nic.cohorts.checks import SHOWN, same_words
from napari_nic.cohorts.columns import (
    KINDS,
    Columns,
    as_written,
    find_columns,
    same_value,
    spelled,
    without_decimals,
)
from napari_nic.cohorts.rows import MISSING, TableFile, TableRow
from napari_nic.cohorts.table_files import read_table
from napari_nic.errors import InvalidParameterError


@dataclass(frozen=True)
class Entry:
    """A row by what its fields mean.

    Attributes
    ----------
    values : mapping of str to str
        Kind (see :class:`~napari_nic.cohorts.columns.Columns`) -> text.
    line : int
        In the table that names the slide.
    others : mapping of str to str
        The whole row, by its columns' names.
    """

    values: Mapping[str, str]
    line: int
    others: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> str:
        return self.values.get(kind, "")

    @property
    def name(self) -> str:
        """What the row is called where its slide is not known yet."""
        return self["slide"] or f"line {self.line}"

    def known(self, kind: str) -> str:
        """Return a field, or nothing where it says that nothing is known: no case is called NA."""
        text = self[kind]
        return "" if text.lower() in MISSING else text


@dataclass(frozen=True)
class Entries:
    """What one or two tables say.

    Attributes
    ----------
    rows : tuple of Entry
        In the order of the table that names the slides.
    columns : mapping of str to str
        Kind -> name of its column.
    tables : mapping of str to str
        Kind -> name of the table that has the column, where there are two.
    folder : Path
        Where the table lies that names the slides.
    header : tuple of str
        Of all columns.
    notes : tuple of str
    without_patient : tuple of str
        Slides whose patient the clinical table does not have.
    without_slide : tuple of str
        Patients of the clinical table that have no slide.
    """

    rows: tuple[Entry, ...]
    columns: Mapping[str, str]
    folder: Path
    header: tuple[str, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    without_patient: tuple[str, ...] = ()
    without_slide: tuple[str, ...] = ()

    @property
    def described(self) -> dict[str, str]:
        """Kind -> name of its column, and of its table where there are two."""
        named = {kind: self.columns[kind] for kind in KINDS if kind in self.columns}
        if not self.tables:
            return named
        return {kind: f"{name} ({self.tables[kind]})" for kind, name in named.items()}


def read_entries(
    path: Path,
    needed: Sequence[str],
    *,
    columns: Columns | None = None,
    slides_table: Path | None = None,
    sheet: str | None = None,
    slides_sheet: str | None = None,
) -> Entries:
    """Read a cohort's table, or join a clinical table with one of slides.

    Parameters
    ----------
    path : Path
        Table of slides, or of patients where there is a `slides_table`.
    needed : sequence of str
        Kinds that must be there beside the slide.
    columns : Columns, optional
    slides_table : Path, optional
        Table with a column of patients and one of slides.
    sheet, slides_sheet : str, optional
        Of the first table and of that of slides, where they are workbooks.

    Raises
    ------
    InvalidParameterError
        If a table cannot be read or lacks a column; if two columns, or the two tables, contradict each other.
    """
    columns = columns or Columns()
    table = read_table(path, sheet=sheet)
    _check_rows(table)
    kinds = [kind for kind in KINDS if kind in needed or kind not in ("label", "time", "event")]
    if slides_table is None:
        found, notes = find_columns(table, kinds, columns)
        _check_columns(table, found, ["slide", *needed, *columns.given()], columns)
        rows = tuple(_entry(table, row, found) for row in table.rows)
        return _with_whole_names(
            Entries(rows, found, path.parent, table.header, notes=(*table.notes, *notes))
        )
    slides = read_table(slides_table, sheet=slides_sheet)
    _check_rows(slides)
    return _with_whole_names(_joined(table, slides, kinds, needed, columns))


def _with_whole_names(entries: Entries) -> Entries:
    """Call slides 12 that are called 12.0 because a program took them for numbers, and say so."""
    names = [row["slide"] for row in entries.rows]
    whole = without_decimals(names)
    if whole == names:
        return entries
    rows = (
        replace(row, values={**row.values, "slide": name})
        for row, name in zip(entries.rows, whole, strict=True)
    )
    note = f"slides are called by whole numbers: {whole[0]} where the table says {names[0]}"
    return replace(entries, rows=tuple(rows), notes=(*entries.notes, note))


def _entry(table: TableFile, row: TableRow, columns: Mapping[str, str]) -> Entry:
    for kind, name in columns.items():
        if name in row.spoilt:
            raise InvalidParameterError(
                f"the {kind} in line {row.line} of the table cannot be trusted",
                path=table.path,
                found=f"{row[name]}: {row.spoilt[name]}",
                hint="format the column as text and type it anew, or save the table as CSV from its source",
            )
    return Entry({kind: row[name] for kind, name in columns.items()}, row.line, row)


def _check_rows(table: TableFile) -> None:
    if not table.rows:
        raise InvalidParameterError(
            "the table of the cohort has no rows",
            path=table.path,
            expected="a line of names, and one for each slide or patient",
        )


def _check_columns(table: TableFile, found: Mapping[str, str], needed: Iterable[str], asked: Columns) -> None:
    missing = [kind for kind in dict.fromkeys(needed) if kind not in found]
    if missing:
        raise InvalidParameterError(
            "the table of the cohort lacks a column",
            path=table.path,
            expected=", ".join(asked.given().get(kind, kind) for kind in missing),
            found=", ".join(table.header),
            hint=_advice(table, missing, found),
        )


def _advice(table: TableFile, missing: Sequence[str], found: Mapping[str, str]) -> str:
    """Say how a table of this kind is read."""
    endpoints = _endpoints(table.header)
    if endpoints and {"time", "event"} & set(missing):
        return f"name the endpoint: --columns {' or '.join(endpoints)}"
    if missing == ["slide"] and "case" in found:
        return "a table of patients needs one of their slides beside it (--slides-table)"
    return "rename the columns, or name the ones that hold this (--columns)"


def _endpoints(header: Sequence[str]) -> list[str]:
    """List pairs as cBioPortal has them, OS_STATUS beside OS_MONTHS: which one is meant must be said."""
    names = {name.upper(): name for name in header}
    return [
        f"time={names[start + ending]} event={name}"
        for upper, name in names.items()
        if upper.endswith("_STATUS")
        for start in [upper.removesuffix("STATUS")]
        for ending in ("MONTHS", "DAYS", "YEARS", "TIME")
        if start + ending in names
    ]


def _joined(
    patients: TableFile, slides: TableFile, kinds: Sequence[str], needed: Sequence[str], columns: Columns
) -> Entries:
    """Give each slide what the clinical table says of its patient."""
    clinical, notes = find_columns(
        patients, _wanted(kinds, columns, patients, slides, "slide"), _named_in(columns, patients, slides)
    )
    of_slides, more = find_columns(
        slides, _wanted(kinds, columns, slides, patients), _named_in(columns, slides, patients)
    )
    _check_columns(slides, of_slides, ["slide", "case"], columns)
    _check_columns(patients, clinical, ["case"], columns)
    _check_columns(patients, of_slides | clinical, [*needed, *columns.given()], columns)
    known = _by_patient(patients, clinical)
    rows, without_patient = [], []
    for row in slides.rows:
        entry = _entry(slides, row, of_slides)
        patient = known.get(entry["case"])
        if patient is None or not entry.known("case"):
            without_patient.append(entry)
        else:
            rows.append(_merged(entry, patient, slides.path))
    _check_keys([entry["case"] for entry in without_patient], rows, known, slides.path)
    seen = {entry["case"] for entry in rows}
    return Entries(
        tuple(rows),
        of_slides | clinical,
        slides.path.parent,
        (*patients.header, *slides.header),
        dict.fromkeys(of_slides, slides.path.name) | dict.fromkeys(clinical, patients.path.name),
        (*patients.notes, *slides.notes, *notes, *more),
        tuple(entry.name for entry in without_patient),
        tuple(name for name in known if name not in seen),
    )


def _elsewhere(columns: Columns, table: TableFile, other: TableFile) -> set[str]:
    """Kinds whose column is named and stands in the other table only."""
    return {
        kind
        for kind, name in columns.given().items()
        if as_written(name, table.header) is None and as_written(name, other.header) is not None
    }


def _wanted(
    kinds: Sequence[str], columns: Columns, table: TableFile, other: TableFile, without: str = ""
) -> list[str]:
    """List what is looked for in one of two tables; both have a column of patients."""
    elsewhere = _elsewhere(columns, table, other) - {"case"}
    return [kind for kind in kinds if kind not in elsewhere and kind != without]


def _named_in(columns: Columns, table: TableFile, other: TableFile) -> Columns:
    return replace(columns, **dict.fromkeys(_elsewhere(columns, table, other), ""))


def _by_patient(table: TableFile, columns: Mapping[str, str]) -> dict[str, Entry]:
    """Take each patient's line; several lines of one must say the same."""
    known: dict[str, Entry] = {}
    folds = fold_columns(table.header).values()
    wrong = []
    for row in table.rows:
        entry = _entry(table, row, columns)
        patient = entry.known("case")
        if not patient:
            continue
        first = known.setdefault(patient, entry)
        for name in (*columns.values(), *folds):
            one, two = first.others[name], row[name]
            if not same_value(one, two):
                wrong.append(f"{patient}: {name} is {one!r} and {two!r}")
    if wrong:
        raise InvalidParameterError(
            "the clinical table has several lines of one patient, and they differ",
            path=table.path,
            found="; ".join(wrong[:SHOWN]) + (f"; {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""),
            hint="keep one line for each patient",
        )
    return known


def _merged(slide: Entry, patient: Entry, path: Path) -> Entry:
    """Put both lines together; what both say must be the same."""
    values = dict(patient.values)
    for kind, text in slide.values.items():
        if slide.known(kind) and patient.known(kind) and not same_value(values[kind], text):
            raise InvalidParameterError(
                f"both tables hold the {kind} of a slide, and they differ",
                path=path,
                found=f"{slide.name} of {slide['case']}: {text!r}; the clinical table says {values[kind]!r}",
                hint="remove one of the columns, or name another one (--columns)",
            )
        if slide.known(kind) or not patient.known(kind):
            values[kind] = text
    return replace(slide, values=values, others=dict(patient.others) | dict(slide.others))


def _check_keys(
    unmatched: Sequence[str], rows: Sequence[Entry], known: Mapping[str, Entry], path: Path
) -> None:
    """Refuse tables that share no patient, or spell one in two ways."""
    spellings = {same_words(name): name for name in known}
    near = [
        f"{name} and {spellings[same_words(name)]}"
        for name in dict.fromkeys(unmatched)
        if same_words(name) in spellings and name not in known
    ]
    if near:
        raise InvalidParameterError(
            "patients of the two tables differ in their spelling only",
            path=path,
            found="; ".join(near[:SHOWN]),
            hint="write each patient alike in both tables",
        )
    if not rows:
        raise InvalidParameterError(
            "the two tables have no patient in common",
            path=path,
            expected=f"patients such as {', '.join(list(known)[:3])}",
            found=", ".join(list(dict.fromkeys(unmatched))[:3]) or "no patient",
            hint="name the column of patients that both have (--columns case=NAME)",
        )


def fold_columns(header: Sequence[str]) -> dict[str, str]:
    """Return the number of each fold -> its column (``fold_0``, ``fold_1``...)."""
    starts = {spelled(name): name for name in header if spelled(name).startswith("fold")}
    return {text[len("fold") :]: name for text, name in starts.items() if text[len("fold") :].isdecimal()}
