"""Which column of a table holds what: found by the names that people and programs give them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PureWindowsPath

from napari_nic.cohorts.checks import SHOWN
from napari_nic.cohorts.rows import MISSING, TableFile
from napari_nic.errors import InvalidParameterError
from napari_nic.names import FEATURE_SUFFIXES, SLIDE_SUFFIXES, STORE_SUFFIX, without_suffix

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "tune": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What people write into a column of splits, and what it means."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "slide": (
        *("slide", "slideid", "slidename", "slidefile", "slidefilename", "slidepath"),
        *("filename", "file", "filepath", "wsi", "wsiid", "wsiname", "wsifile", "wsipath"),
        *("image", "imageid", "imagename", "imagefile", "imagefilename", "imagepath"),
    ),
    "case": (
        *("case", "caseid", "patient", "patientid", "patientname", "patientbarcode", "bcrpatientbarcode"),
        *("casesubmitterid", "subject", "subjectid", "participant", "participantid", "donor", "donorid"),
    ),
    "label": ("label", "labels", "target", "class", "slidelabel", "classlabel", "groundtruth"),
    "time": ("time", "survivaltime", "timetoevent", "survivaldays", "survivalmonths", "followuptime"),
    "event": ("event", "events", "status", "survivalstatus", "vitalstatus", "eventobserved"),
    "split": ("split", "splits", "partition", "subset", "set"),
    "size": ("size", "lesionsize"),
    "mpp": ("mpp", "mpplevel0", "spacingatlevel0", "basempp", "micronsperpixel", "umperpx", "umpx"),
}
"""Names of columns in small letters and without what joins words, in the order of preference."""

SECOND_CHOICE = ("sampleid", "sample", "caseid")
"""Columns that name slides in some tables, where no column of :data:`SPELLINGS` does."""

_FILE_SUFFIXES = (*SLIDE_SUFFIXES, *FEATURE_SUFFIXES, STORE_SUFFIX)


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns; each is found by its usual names (:data:`SPELLINGS`) unless it is given.

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
    mpp : str
        Micrometres per pixel of level 0, for files of other programs that do not say.
    """

    slide: str = ""
    case: str = ""
    label: str = ""
    time: str = ""
    event: str = ""
    split: str = ""
    size: str = ""
    mpp: str = ""

    def given(self) -> dict[str, str]:
        """Return kind -> name of those that are named."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}


KINDS = tuple(f.name for f in fields(Columns))


def find_columns(
    table: TableFile, kinds: Iterable[str], asked: Columns | None = None
) -> tuple[dict[str, str], list[str]]:
    """Find the columns of a table.

    Parameters
    ----------
    table : TableFile
    kinds : iterable of str
        What is looked for, of :data:`KINDS`.
    asked : Columns, optional
        Names that are given; one that the table lacks is not found, and no other is taken for it.

    Returns
    -------
    (dict of str to str, list of str)
        Kind -> name of its column, for those that are there; and what is to be said of the choice.

    Raises
    ------
    InvalidParameterError
        If two columns could be meant and contradict each other, or bear one name.
    """
    given = {} if asked is None else asked.given()
    found: dict[str, str] = {}
    notes: list[str] = []
    for kind in (kind for kind in kinds if kind in given):
        name = as_written(given[kind], table.header)
        if name is not None:
            _check_once(table, name)
            found[kind] = name
    for kind in (kind for kind in kinds if kind not in given):
        candidates = [name for name in _candidates(table, kind) if name not in found.values()]
        if candidates:
            found[kind] = candidates[0]
            notes += _compare(table, kind, candidates)
    return found, notes


def spelled(name: str) -> str:
    """Return a column's name in small letters, without what joins words."""
    return re.sub(r"[\W_]+", "", name).casefold()


def stem_of(text: str) -> str:
    """Return the name of the slide that a field means, without folders and known suffixes."""
    name = PureWindowsPath(text).name if "\\" in text else Path(text).name
    return without_suffix(name, _FILE_SUFFIXES)


def without_decimals(names: Sequence[str]) -> list[str]:
    """Return names of slides that are numbers as they were: pandas writes 12.0 where some field is empty.

    Only where all of them are so; S1.0 and 12.5 are names.
    """
    if not any(names) or not all(re.fullmatch(r"\d+\.0", name) for name in names if name):
        return list(names)
    return [name.removesuffix(".0") for name in names]


def as_written(name: str, header: Sequence[str]) -> str | None:
    """Find a column by its name, or by that name in other letters."""
    if name in header:
        return name
    same = [found for found in header if found.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


def _candidates(table: TableFile, kind: str) -> list[str]:
    """List the columns that may hold something, the best first; empty ones only if there are no others."""
    names = _ranked(table, SPELLINGS[kind])
    if kind == "slide" and not names:
        names = _ranked(table, SECOND_CHOICE)
    if kind == "split":
        names = [name for name in names if spelled(name) == "split" or _holds_splits(table, name)]
    for name in names:
        _check_once(table, name)
    return [name for name in names if any(map(_is_known, table.column(name)))] or names


def _ranked(table: TableFile, spellings: Sequence[str]) -> list[str]:
    ranks = {name: spellings.index(spelled(name)) for name in table.header if spelled(name) in spellings}
    return sorted(dict.fromkeys(ranks), key=lambda name: ranks[name])


def _holds_splits(table: TableFile, name: str) -> bool:
    return all(text.lower() in SPLITS for text in table.column(name) if _is_known(text))


def _is_known(text: str) -> bool:
    return text.lower() not in MISSING


def _check_once(table: TableFile, name: str) -> None:
    if table.header.count(name) > 1:
        raise InvalidParameterError(
            "two columns of the table bear one name",
            path=table.path,
            found=", ".join(table.header),
            expected=f"one column {name!r}",
        )


def _compare(table: TableFile, kind: str, candidates: Sequence[str]) -> list[str]:
    """Say which of several columns is taken, or refuse them."""
    taken, *others = candidates
    notes = []
    for other in others:
        pairs = [
            (row[taken], row[other], row.line)
            for row in table.rows
            if _is_known(row[taken]) and _is_known(row[other])
        ]
        contradiction = _CONTRADICTION[kind](pairs)
        if contradiction:
            raise InvalidParameterError(
                f"two columns could hold the {kind}, and they contradict each other",
                path=table.path,
                found=f"{taken!r} and {other!r}: {contradiction}",
                hint=f"name the one that is meant: --columns {kind}={taken}, or {kind}={other}",
            )
        notes.append(f"the {kind} is read from {taken!r}; {other!r} could be meant too, and agrees")
    return notes


Pairs = Sequence[tuple[str, str, int]]


def _other_slides(pairs: Pairs) -> str:
    different = [(one, two, line) for one, two, line in pairs if stem_of(one) != stem_of(two)]
    return _shown(different)


def _other_cases(pairs: Pairs) -> str:
    """Only a column that joins what the taken one tells apart would tear patients."""
    first: dict[str, str] = {}
    torn = [(one, two, line) for one, two, line in pairs if first.setdefault(two, one) != one]
    return _shown(torn)


def _other_classes(pairs: Pairs) -> str:
    """The same classes may be called otherwise: 1 and tumour."""
    first: dict[str, str] = {}
    back: dict[str, str] = {}
    return _shown(
        [
            (one, two, line)
            for one, two, line in pairs
            if first.setdefault(two, one) != one or back.setdefault(one, two) != two
        ]
    )


def _other_values(pairs: Pairs) -> str:
    return _shown([(one, two, line) for one, two, line in pairs if not same_value(one, two)])


def same_value(one: str, two: str) -> bool:
    """Whether two fields say the same: 1 and 1.0, Yes and yes."""
    if one.casefold() == two.casefold():
        return True
    try:
        return math.isclose(float(one), float(two), rel_tol=1e-9)
    except ValueError:
        return False


def _shown(different: Pairs) -> str:
    return "; ".join(f"line {line}: {one} and {two}" for one, two, line in different[:SHOWN])


_CONTRADICTION: Mapping[str, Callable[[Pairs], str]] = {
    "slide": _other_slides,
    "case": _other_cases,
    "label": _other_classes,
    **dict.fromkeys(("time", "event", "split", "size", "mpp"), _other_values),
}
