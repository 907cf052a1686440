"""What would make a cohort's results dishonest: a slide or a patient twice, classes spelt in two ways."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.errors import InvalidParameterError
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.cohorts.cohort import CohortSlide

SHOWN = 5


def check_spelling(path: Path, labels: set[str]) -> None:
    """Refuse labels that are surely one class: Tumour and tumour, 1 and 1.0."""
    spellings: dict[object, list[str]] = {}
    for label in sorted(labels):
        spellings.setdefault(_spelt(label), []).append(label)
    several = [names for names in spellings.values() if len(names) > 1]
    if several:
        raise InvalidParameterError(
            "labels differ in their spelling only",
            path=path,
            found="; ".join(" and ".join(map(repr, names)) for names in several[:SHOWN]),
            hint="write them alike; or list all classes (--classes) if they are different ones",
        )


def _spelt(label: str) -> object:
    try:
        return float(label)
    except ValueError:
        return _words(label)


def _words(text: str) -> str:
    """Return what is the same for all ways to write a text."""
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")  # no zero-width spaces
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())


def same_words(name: str) -> str:
    """Return what is the same for all ways to write the name of a patient: P1 and p1, 7 and 7.0."""
    return _words(name).removesuffix(".0")


def check_unique(path: Path, slides: Sequence[CohortSlide]) -> None:
    """Refuse a table that names a slide twice."""
    twice = [name for name, count in Counter(slide.name for slide in slides).items() if count > 1]
    if twice:
        raise InvalidParameterError(
            "the table names a slide twice", path=path, found=", ".join(twice[:SHOWN])
        )


def check_cases(path: Path, slides: Sequence[CohortSlide]) -> None:
    """Refuse a case whose slides are in several parts, or that is spelt in two ways."""
    _check_case_spelling(path, slides)
    parts: dict[str, set[str]] = {}
    for slide in slides:
        parts.setdefault(slide.case, set()).add(slide.split)
    torn = [case for case, splits in parts.items() if len(splits) > 1]
    if torn:
        raise InvalidParameterError(
            "slides of one case are in several parts: the test would not be honest",
            path=path,
            expected="one value of the split for all slides of a case",
            found=f"{counted(len(torn), 'case')}, such as {', '.join(torn[:SHOWN])}",
        )


def _check_case_spelling(path: Path, slides: Sequence[CohortSlide]) -> None:
    """Refuse P1 beside p1, and 7 beside 7.0: one patient would be learned from and evaluated."""
    spellings: dict[str, set[str]] = {}
    named = any(slide.case != slide.name for slide in slides)
    for slide in slides if named else ():
        spellings.setdefault(same_words(slide.case), set()).add(slide.case)
    several = [sorted(names) for names in spellings.values() if len(names) > 1]
    if several:
        raise InvalidParameterError(
            "cases differ in their spelling only",
            path=path,
            found="; ".join(" and ".join(map(repr, names)) for names in several[:SHOWN]),
            hint="write the case of one patient alike in all lines",
        )


def check_outcomes(path: Path, slides: Sequence[CohortSlide]) -> None:
    """Refuse a patient with two times or events."""
    outcomes: dict[str, set[tuple[float, bool]]] = {}
    for slide in slides:
        outcomes.setdefault(slide.case, set()).add((slide.label, slide.event))
    several = [case for case, known in outcomes.items() if len(known) > 1]
    if several:
        raise InvalidParameterError(
            "slides of one case differ in time or event, which are those of the patient",
            path=path,
            found=f"{counted(len(several), 'case')}, such as {', '.join(several[:SHOWN])}",
        )
