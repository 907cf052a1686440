"""A cohort is read from a table, or from a clinical table and one of slides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.cohorts.checks import SHOWN, check_cases, check_outcomes, check_unique
from napari_nic.cohorts.cohort import Absent, Cohort, CohortSlide, Understood
from napari_nic.cohorts.columns import SPLITS, Columns
from napari_nic.cohorts.entries import Entry, read_entries
from napari_nic.cohorts.events import EXPECTED, check_events, event_of
from napari_nic.cohorts.labels import NO_NUMBER, check_left_out, class_names, is_labelled, needed_for
from napari_nic.cohorts.locating import NOT_FOUND, Located, Locator, SlideMissingError
from napari_nic.cohorts.split_files import share_out
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.slide_models import Task
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted


@dataclass(frozen=True)
class TableOptions:
    """How a cohort's table is read, where one table with its own splits is not all.

    Attributes
    ----------
    slides_table : Path or None
        Table of slides by patient; the first one is then a clinical table by patient.
    sheet, slides_sheet : str or None
        Of the first table and of that of slides, where they are workbooks; by default the first with data.
    splits : Path or None
        File of splits (CLAM's ``splits_k.csv``), or a folder of them.
    fold : int or None
        Which file of the folder, or which column ``fold_k`` of the table.
    strict : bool
        Slides that are not found are an error; else they are left out, and told.
    features : str or None
        Which encoder's features are taken of another program's folder that holds several.
    slides : Path or None
        Folder in and below which the slides lie: they say what files of other programs do not.
    """

    slides_table: Path | None = None
    sheet: str | None = None
    slides_sheet: str | None = None
    splits: Path | None = None
    fold: int | None = None
    strict: bool = False
    features: str | None = None
    slides: Path | None = None


def read_cohort(
    path: Path | str,
    task: Task,
    *,
    stores: Path | str | None = None,
    columns: Columns | None = None,
    classes: Sequence[str] | None = None,
    options: TableOptions | None = None,
) -> Cohort:
    """Read a cohort from a table, or from a clinical table and one of slides.

    Parameters
    ----------
    path : Path or str
        CSV file, separated by commas, semicolons or tabs, or an .xlsx file; with a line of names.
    task : {"classification", "regression", "survival"}
        Which labels it holds.
    stores : Path or str, optional
        Folder of the compressed slides (``.nic.zarr``), or of another program's features, its own folder too;
        by default they are named in the table, or lie beside the slides that are.
    columns : Columns, optional
        Names of columns; by default they are found by their usual names.
    classes : sequence of str, optional
        Order of the classes; of two the second is the positive one. By default they are sorted, names that
        say that nothing was found before the others. Slides with a word such as NA are left out unless it is
        listed here.
    options : TableOptions, optional
        A second table, splits, and whether slides may be missing: by default they are left out and told.

    Raises
    ------
    InvalidParameterError
        If a table cannot be read, lacks a column or contradicts itself; if a value cannot be read, a case is
        in two parts, a word that may mean "no label" stands on as many slides as a class, or no slide is
        found; all that are wrong are counted, and some named.
    MissingDependencyError
        If it is a workbook and openpyxl is not installed.
    """
    path, options = Path(path), options or TableOptions()
    entries = read_entries(
        path,
        needed_for(task),
        columns=columns,
        slides_table=options.slides_table,
        sheet=options.sheet,
        slides_sheet=options.slides_sheet,
    )
    shared = share_out(entries, options.splits, options.fold)
    known, left_out, words = _labelled(path, shared.rows, task, classes)
    there = None if stores is None else Path(stores)
    locator = Locator(entries.folder, there, options.features, options.slides)
    where, problems = _locate_all(path, known, locator, strict=options.strict)
    rows = [row for row, found in zip(known, where, strict=True) if found is not None]
    names = class_names(path, task, rows, entries.columns.get("label", ""), classes)
    if task == "survival":
        check_events(path, entries.columns["event"], (row["event"] for row in rows))
    reader = _SlideReader(path, task, entries.columns, names)
    slides = tuple(
        reader.slide(row, found) for row, found in zip(known, where, strict=True) if found is not None
    )
    check_unique(path, slides)
    check_cases(path, slides)
    if task == "survival":
        check_outcomes(path, slides)
    reasons = tuple(f"{e.found}: {e.problem}" for e in problems if e.problem != NOT_FOUND)
    gone = _gone_classes(known, names, task)
    notes = (*entries.notes, *shared.notes, *reasons, *gone, *_own_cases(rows, entries.columns))
    missing = tuple(str(error.found) for error in problems)
    absent = Absent(missing, shared.unsplit, entries.without_patient, entries.without_slide)
    _tell(path, absent, len(known), words)
    return Cohort(task, names, slides, left_out, absent, Understood(entries.described, notes, words))


def _labelled(
    path: Path, rows: Sequence[Entry], task: Task, classes: Sequence[str] | None
) -> tuple[list[Entry], tuple[str, ...], tuple[str, ...]]:
    """Return rows with a label, the names of the others, and which words were taken for no label."""
    known = [row for row in rows if is_labelled(row, task, classes)]
    others = [row for row in rows if not is_labelled(row, task, classes)]
    words: tuple[str, ...] = ()
    if task == "classification" and not classes:
        words = check_left_out(path, known, others)
    if not known:
        raise InvalidParameterError(
            "no slide of the table has a label", path=path, found=counted(len(rows), "row")
        )
    said = tuple(f"{word} is taken for no label" for word in words)
    return known, tuple(row.name for row in others), said


def _gone_classes(known: Sequence[Entry], names: Sequence[str], task: Task) -> tuple[str, ...]:
    if task != "classification":
        return ()
    gone = sorted({row["label"] for row in known} - set(names))
    return tuple(f"no slide of class {name!r} was found, so it is no class of this cohort" for name in gone)


def _own_cases(rows: Sequence[Entry], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Say that slides have no case, where others might: of a patient they might be the second."""
    without = sum(not row.known("case") for row in rows)
    if not without or "case" not in columns:
        return ()
    if without == len(rows):
        return (f"column {columns['case']!r} names no case: each slide counts as a case of its own",)
    return (f"{counted(without, 'slide')} without a case: each counts as a case of its own",)


def _tell(path: Path, absent: Absent, labelled: int, words: Sequence[str]) -> None:
    """Let nobody miss that slides of the table are not learned from."""
    texts = list(words)
    for names, why in (
        (absent.missing, f"of {labelled:,} with a label: no compressed slide was found"),
        (absent.unsplit, "not in the splits"),
        (absent.without_patient, "without a patient in the clinical table"),
    ):
        if names:
            texts.append(f"left out: {counted(len(names), 'slide')} {why}: {listed(names)}")
    if absent.without_slide:
        number = counted(len(absent.without_slide), "patient")
        texts.append(f"{number} of the clinical table without a slide: {listed(absent.without_slide)}")
    if texts:
        tell(Notices(path.name, tuple(texts)))


def listed(names: Sequence[str], most: int = 10) -> str:
    """Name some of many."""
    more = "" if len(names) <= most else f" and {len(names) - most:,} more"
    return ", ".join(names[:most]) + more


def _locate_all(
    path: Path, rows: Sequence[Entry], locator: Locator, *, strict: bool
) -> tuple[list[Located | None], list[InvalidParameterError]]:
    """Find the compressed slide of each row; None, and why, where there is none."""
    found: list[Located | None] = []
    problems: list[InvalidParameterError] = []
    for row in rows:
        try:
            found.append(locator.locate(row["slide"]))
        except InvalidParameterError as error:
            found.append(None)
            problems.append(error)
    doubtful = [error for error in problems if not isinstance(error, SlideMissingError)]
    if doubtful or (problems and strict) or len(problems) == len(rows):
        raise _not_found(path, doubtful or problems, len(rows))
    # Where one class alone was found, what is missing is not the labels.
    labels = {row["label"] for row, there in zip(rows, found, strict=True) if there}
    if problems and len(labels) == 1 < len({row["label"] for row in rows}):
        raise _not_found(path, problems, len(rows))
    return found, problems


def _not_found(path: Path, problems: Sequence[InvalidParameterError], number: int) -> InvalidParameterError:
    return InvalidParameterError(
        f"{len(problems):,} of {counted(number, 'slide')} cannot be found",
        path=path,
        expected="a compressed slide for each row",
        found="; ".join(f"{e.found}: {e.problem}" for e in problems[:SHOWN]),
        hint="compress the slides, or name the folder of the compressed slides (--stores)",
    )


@dataclass(frozen=True)
class _SlideReader:
    """Makes slides of rows."""

    path: Path
    task: Task
    columns: Mapping[str, str]
    names: tuple[str, ...]

    def slide(self, row: Entry, where: Located) -> CohortSlide:
        name = where.name
        if self.task == "classification":
            label = float(self.names.index(row["label"]))
        else:
            label = self._number(name, row, "time" if self.task == "survival" else "label")
            if self.task == "survival" and label < 0:
                raise self._wrong(name, row, "time", "a time from 0 on")
        split = row.known("split").lower()
        if split and split not in SPLITS:
            raise self._wrong(name, row, "split", "train, validation or test")
        return CohortSlide(
            name=name,
            store=where.store,
            case=row.known("case") or name,
            label=label,
            event=self._event(name, row) if self.task == "survival" else True,
            split=SPLITS[split] if split else "",
            size=math.nan if row["size"].lower() in NO_NUMBER else self._number(name, row, "size"),
            picture=where.picture,
            mpp=None if row["mpp"].lower() in NO_NUMBER else self._mpp(name, row),
        )

    def _number(self, name: str, row: Entry, kind: str) -> float:
        try:
            # Python reads 1_000 as a thousand; no table means that.
            value = math.nan if "_" in row[kind] else float(row[kind])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._wrong(name, row, kind, "a number")
        return value

    def _mpp(self, name: str, row: Entry) -> float:
        value = self._number(name, row, "mpp")
        if not MPP_MIN <= value <= MPP_MAX:
            raise self._wrong(name, row, "mpp", f"{MPP_MIN} to {MPP_MAX} um/px")
        return value

    def _event(self, name: str, row: Entry) -> bool:
        happened = event_of(row["event"])
        if happened is None:
            raise self._wrong(name, row, "event", EXPECTED)
        return happened

    def _wrong(self, name: str, row: Entry, kind: str, expected: str) -> InvalidParameterError:
        return InvalidParameterError(
            f"column {self.columns[kind]!r} of slide {name!r} cannot be read",
            path=self.path,
            expected=expected,
            found=row[kind],
        )
