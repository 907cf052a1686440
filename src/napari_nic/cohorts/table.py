"""A cohort: slides, the cases they come from, and what is known of each slide as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from napari_nic.cohorts.checks import SHOWN, check_cases, check_outcomes, check_spelling, check_unique
from napari_nic.cohorts.locating import Located, locate
from napari_nic.cohorts.rows import MISSING, TableRow, read_rows
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import Task
from napari_nic.wording import counted

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "tune": "validation",
    "test": "test",
    "testing": "test",
}
"""What people write into a column of splits, and what it means."""

_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
_NO_NUMBER = MISSING | {"none"}
NOTHING_FOUND = frozenset(
    [
        "normal",
        "negative",
        "benign",
        "healthy",
        "control",
        "no",
        "false",
        "absent",
        "non-tumor",
        "non-tumour",
        "no-tumor",
        "no-tumour",
        "wild-type",
        "wildtype",
        "wt",
        "unaffected",
    ]
)
"""Names of classes that stand for the absence of a finding; in small letters, words joined by hyphens."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns; those for case, split and size need not be there.

    Attributes
    ----------
    slide : str
        Path or name of the slide or of its compressed form.
    case : str
        Slides of one case (patient) always stay in the same part; by default each slide is a case.
    label : str
        Class or value; not for survival.
    time, event : str
        For survival: time until the event, or until the end of the observation, and whether it happened.
    split : str
        ``train``, ``validation`` or ``test``.
    size : str
        Size of the lesion, for results by size.
    """

    slide: str = "slide"
    case: str = "case"
    label: str = "label"
    time: str = "time"
    event: str = "event"
    split: str = "split"
    size: str = "size"

    def named(self) -> tuple[str, ...]:
        """Columns beyond the usual names: who names one means that it is there."""
        return tuple(getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default)


@dataclass(frozen=True)
class CohortSlide:
    """A slide of a cohort.

    Attributes
    ----------
    name : str
    store : Path
        Its ``.nic.zarr``, or another program's file of its codes that is to be imported.
    case : str
    label : float
        Class number, value, or time.
    event : bool
        Whether the event was observed; for survival only.
    split : str
        ``"train"``, ``"validation"``, ``"test"``, or empty.
    size : float
        Of the lesion; nan where it is not known.
    picture : Path or None
        The slide itself, where it is known.
    """

    name: str
    store: Path
    case: str
    label: float
    event: bool = True
    split: str = ""
    size: float = math.nan
    picture: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        entries = {f.name: getattr(self, f.name) for f in fields(self)}
        size = None if math.isnan(self.size) else self.size
        picture = None if self.picture is None else str(self.picture)
        return entries | {"store": str(self.store), "size": size, "picture": picture}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CohortSlide:
        """Inverse of :meth:`to_dict`."""
        size = math.nan if data["size"] is None else float(data["size"])
        picture = None if data["picture"] is None else Path(data["picture"])
        return cls(**(dict(data) | {"store": Path(data["store"]), "size": size, "picture": picture}))


@dataclass(frozen=True)
class Cohort:
    """Slides with labels of one kind.

    Attributes
    ----------
    task : {"classification", "regression", "survival"}
    class_names : tuple of str
        Classes in the order of their numbers, or the name of the value or risk.
    slides : tuple of CohortSlide
    left_out : tuple of str
        Slides of the table whose label is not known; lines that name no slide, as ``"line 7"``.
    """

    task: Task
    class_names: tuple[str, ...]
    slides: tuple[CohortSlide, ...]
    left_out: tuple[str, ...] = ()

    def with_stores(self, stores: Mapping[str, Path]) -> Cohort:
        """Replace the stores of some slides, by their names."""
        slides = tuple(replace(slide, store=stores.get(slide.name, slide.store)) for slide in self.slides)
        return replace(self, slides=slides)


def read_cohort(
    path: Path | str,
    task: Task,
    *,
    stores: Path | str | None = None,
    columns: Columns | None = None,
    classes: Sequence[str] | None = None,
) -> Cohort:
    """Read a cohort from a table.

    Parameters
    ----------
    path : Path or str
        CSV file, separated by commas, semicolons or tabs, with a line of names.
    task : {"classification", "regression", "survival"}
        Which labels it holds.
    stores : Path or str, optional
        Folder of the compressed slides (``.nic.zarr``, or files of TRIDENT, CLAM, STAMP and NIC); by default
        they are named in the table, or lie beside the slides that are.
    columns : Columns, optional
    classes : sequence of str, optional
        Order of the classes; of two the second is the positive one. By default they are sorted, names that
        say that nothing was found (:data:`NOTHING_FOUND`) before the others.

    Raises
    ------
    InvalidParameterError
        If the table lacks a column, a value cannot be read, a case is in two parts, or slides cannot be
        found; all that are wrong are counted, and some named.
    """
    path, columns = Path(path), columns or Columns()
    rows = read_rows(path, astuple(columns))
    needed = (columns.time, columns.event) if task == "survival" else (columns.label,)
    _check_columns(path, rows, (columns.slide, *needed, *columns.named()))
    known = [row for row in rows if _is_labelled(row, columns.slide, needed, task, classes)]
    if not known:
        raise InvalidParameterError(
            "no slide of the table has a label", path=path, found=counted(len(rows), "row")
        )
    names = _class_names(path, task, known, columns, classes)
    found = _locate_all(path, known, columns, None if stores is None else Path(stores))
    slides = tuple(
        _slide_of(path, row, where, task, columns, names) for row, where in zip(known, found, strict=True)
    )
    check_unique(path, slides)
    check_cases(path, slides)
    if task == "survival":
        check_outcomes(path, slides)
    labelled = {row.line for row in known}
    left_out = tuple(row[columns.slide] or f"line {row.line}" for row in rows if row.line not in labelled)
    return Cohort(task, names, slides, left_out)


def _is_labelled(
    row: TableRow, slide: str, needed: Sequence[str], task: Task, classes: Sequence[str] | None
) -> bool:
    if not row[slide]:
        return False
    if task == "classification":
        # A class may be called so; whether it is, only the one who lists the classes can say.
        return row[needed[0]] in (classes or ()) or row[needed[0]].lower() not in MISSING
    return not any(row[name].lower() in _NO_NUMBER for name in needed)


def _check_columns(path: Path, rows: Sequence[TableRow], needed: tuple[str, ...]) -> None:
    if not rows:
        raise InvalidParameterError(
            "the table of the cohort has no rows",
            path=path,
            expected="a line of names, and one for each slide",
        )
    missing = [name for name in needed if name not in rows[0]]
    if missing:
        raise InvalidParameterError(
            "the table of the cohort lacks a column",
            path=path,
            expected=", ".join(missing),
            found=", ".join(rows[0]),
            hint="rename the columns, or name the ones that hold this (--columns)",
        )


def _class_names(
    path: Path, task: Task, rows: Sequence[TableRow], columns: Columns, classes: Sequence[str] | None
) -> tuple[str, ...]:
    if task == "survival":
        return ("risk",)
    if task == "regression":
        return (columns.label,)
    found = {row[columns.label] for row in rows}
    if classes and (len(set(classes)) < len(classes) or "" in classes):
        raise InvalidParameterError(
            "the list of classes names one twice, or none", expected="each once", found=", ".join(classes)
        )
    if not classes:
        check_spelling(path, found)
    names = tuple(classes) if classes else tuple(sorted(found, key=_class_order))
    if found - set(names) or len(names) < 2:
        raise InvalidParameterError(
            "the labels of the cohort are no classes",
            path=path,
            expected=", ".join(classes) if classes else "at least two different labels",
            found=", ".join(sorted(found)),
        )
    return names


def _class_order(text: str) -> tuple[bool, float, str]:
    """Sort what was not found first, so that of two classes the finding is the positive one; 2 before 10."""
    found = "-".join(text.lower().replace("_", " ").replace("-", " ").split()) not in NOTHING_FOUND
    try:
        return found, float(text), text
    except ValueError:
        return found, math.inf, text


def _locate_all(path: Path, rows: Sequence[TableRow], columns: Columns, stores: Path | None) -> list[Located]:
    found, problems = [], []
    for row in rows:
        try:
            found.append(locate(row[columns.slide], path.parent, stores))
        except InvalidParameterError as error:
            problems.append(error)
    if problems:
        raise InvalidParameterError(
            f"{len(problems)} of {len(rows)} slides cannot be found",
            path=path,
            expected="a compressed slide for each row",
            found="; ".join(f"{e.found}: {e.problem}" for e in problems[:SHOWN]),
            hint="compress the slides, or name the folder of the compressed slides (--stores)",
        )
    return found


def _slide_of(
    path: Path,
    row: TableRow,
    where: Located,
    task: Task,
    columns: Columns,
    names: tuple[str, ...],
) -> CohortSlide:
    name = where.name
    if task == "classification":
        label = float(names.index(row[columns.label]))
    else:
        label = _number(path, name, row, columns.time if task == "survival" else columns.label)
        if task == "survival" and label < 0:
            raise _wrong(path, name, columns.time, row[columns.time], "a time from 0 on")
    split = _known(row, columns.split).lower()
    if split and split not in SPLITS:
        raise _wrong(path, name, columns.split, split, "train, validation or test")
    size = row.get(columns.size, "")
    return CohortSlide(
        name=name,
        store=where.store,
        case=_known(row, columns.case) or name,
        label=label,
        event=_event(path, name, row, columns.event) if task == "survival" else True,
        split=SPLITS[split] if split else "",
        size=math.nan if size.lower() in _NO_NUMBER else _number(path, name, row, columns.size),
        picture=where.picture,
    )


def _known(row: TableRow, column: str) -> str:
    """Return a field that may be missing; empty where nothing is known, so that no case is called NA."""
    text = row.get(column, "")
    return "" if text.lower() in MISSING else text


def _number(path: Path, name: str, row: TableRow, column: str) -> float:
    try:
        # Python reads 1_000 as a thousand; no table means that.
        value = math.nan if "_" in row[column] else float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _wrong(path, name, column, row[column], "a number")
    return value


def _event(path: Path, name: str, row: TableRow, column: str) -> bool:
    text = row[column].lower()
    if text not in _YES | _NO:
        raise _wrong(path, name, column, text, "1 or 0, yes or no, true or false")
    return text in _YES


def _wrong(path: Path, name: str, column: str, found: str, expected: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"column {column!r} of slide {name!r} cannot be read", path=path, expected=expected, found=found
    )
