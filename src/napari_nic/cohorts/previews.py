"""What was understood of a cohort's tables, for people to check before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_nic.cohorts.cohort import Absent, Cohort
from napari_nic.cohorts.labels import NO_NUMBER, doubtful_classes
from napari_nic.cohorts.table import listed
from napari_nic.names import STORE_SUFFIX
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.cohorts.entries import Entry
    from napari_nic.cohorts.listing import ListedSlide

MOST_CLASSES = 20
"""A column of more different labels holds values, or names."""

ABSENT = {
    "missing": "left out, no compressed slide found",
    "unsplit": "left out, not in the splits",
    "without_patient": "left out, without a patient in the clinical table",
    "without_slide": "patients without a slide",
}
"""What is said of the fields of :class:`~napari_nic.cohorts.Absent`."""

NO_LABEL = "left out, no label"


@dataclass(frozen=True)
class Preview:
    """What was understood.

    Attributes
    ----------
    facts : mapping of str to str
        Names and what they are, in the order in which they are shown.
    classes : tuple of (str, int, int)
        Classes in their order, with how many slides and cases each has.
    notes : tuple of str
        Choices that were made.
    doubts : tuple of str
        What may not be meant: classes that are called as what has no label.
    """

    facts: Mapping[str, str]
    classes: tuple[tuple[str, int, int], ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        classes = [{"name": name, "slides": slides, "cases": cases} for name, slides, cases in self.classes]
        texts = {"notes": list(self.notes), "doubts": list(self.doubts)}
        return {"facts": dict(self.facts), "classes": classes, **texts}

    def lines(self) -> list[str]:
        """Return it as lines of text: facts, notes, doubts."""
        facts = dict(self.facts)
        if self.classes:
            facts["classes"] = ", ".join(f"{name} ({slides:,})" for name, slides, _ in self.classes)
        return [*(f"{name}: {text}" for name, text in facts.items()), *self.notes, *self.doubts]


def preview(cohort: Cohort) -> Preview:
    """Say how a cohort's tables were read, and what is in it.

    Parameters
    ----------
    cohort : Cohort
        As :func:`~napari_nic.cohorts.read_cohort` gives it.
    """
    slides = cohort.slides
    cases = len({slide.case for slide in slides})
    foreign = sum(not slide.store.name.endswith(STORE_SUFFIX) for slide in slides)
    facts = {
        "columns": columns_text(cohort.understood.columns),
        "task": _task(cohort),
        "slides": f"{len(slides):,} of {counted(cases, 'case')}",
        "compressed slides": f"{len(slides) - foreign:,} of napari-nic, {foreign:,} to import",
        **_outcome(cohort),
        "parts": _parts(slide.split for slide in slides) or "none: the cases are dealt to folds",
    }
    stated = sum(slide.mpp is not None for slide in slides)
    if stated:
        facts["um/px"] = f"stated in the table for {counted(stated, 'slide')}"
    facts |= absent_facts(cohort.left_out, cohort.absent)
    notes = (*cohort.understood.notes, *cohort.understood.words)
    return Preview(facts, _classes(cohort), notes, _doubts(cohort))


def absent_facts(left_out: Sequence[str], absent: Absent) -> dict[str, str]:
    """Say what of the tables is not in a cohort, with names; nothing of what is all there."""
    groups = {NO_LABEL: tuple(left_out)} | {
        text: names for field, text in ABSENT.items() if (names := getattr(absent, field))
    }
    return {text: f"{len(names):,}: {listed(names)}" for text, names in groups.items() if names}


def columns_text(columns: Mapping[str, str]) -> str:
    """Say which column holds what."""
    return ", ".join(f"{kind} = {name}" if kind != name else kind for kind, name in columns.items())


def of_listing(
    columns: Mapping[str, str],
    entries: Sequence[Entry],
    slides: Sequence[ListedSlide],
    notes: Sequence[str] = (),
) -> Preview:
    """Say what was understood of a table of which nobody has said yet what is to be learned.

    Parameters
    ----------
    columns : mapping of str to str
        Kind -> name of its column.
    entries, slides : sequence
        The rows, and what was found of each.
    notes : sequence of str
    """
    cases = len({slide.case for slide in slides})
    there = sum(slide.store is not None for slide in slides)
    facts = {
        "columns": columns_text(columns),
        "slides": f"{len(slides):,} of {counted(cases, 'case')}, {there:,} compressed",
    }
    parts = _parts(entry.known("split").lower() for entry in entries)
    if parts:
        facts["parts"] = parts
    if "event" in columns:
        facts["events"] = _counts(entry["event"] for entry in entries)
    labels = [(entry["label"], slide.case) for entry, slide in zip(entries, slides, strict=True)]
    names = sorted({label for label, _ in labels if label})
    classes = _counted_classes(names, labels) if len(names) <= MOST_CLASSES else ()
    if names and not classes:
        facts["labels"] = f"{len(names):,} different ones"
    unlabelled = sum(not label for label, _ in labels) if "label" in columns else 0
    if unlabelled:
        facts["no label"] = counted(unlabelled, "slide")
    doubts = tuple(f"{name!r} may mean that there is no label" for name in doubtful_classes(names))
    return Preview(facts, classes, tuple(notes), doubts)


def _task(cohort: Cohort) -> str:
    if cohort.task != "classification":
        return f"{cohort.task}: {', '.join(cohort.class_names)}"
    positive = f"; positive: {cohort.class_names[-1]}" if len(cohort.class_names) == 2 else ""
    return f"classification: {', '.join(cohort.class_names)}{positive}"


def _outcome(cohort: Cohort) -> dict[str, str]:
    values = [slide.label for slide in cohort.slides]
    if cohort.task == "classification" or not values:
        return {}
    span = f"{min(values):g} to {max(values):g}"
    if cohort.task == "regression":
        return {"values": span}
    events = sum(slide.event for slide in cohort.slides)
    return {"times": span, "events": f"{events:,} of {counted(len(values), 'slide')}"}


def _parts(parts: Iterable[str]) -> str:
    counts = Counter(parts)
    named = [f"{part} {counts[part]:,}" for part in counts if part]
    return ", ".join([*named, *([f"none {counts['']:,}"] if counts[""] else [])]) if named else ""


def _counts(texts: Iterable[str]) -> str:
    counts = Counter(text for text in texts if text.lower() not in NO_NUMBER)
    return ", ".join(f"{text} {number:,}" for text, number in sorted(counts.items())[:MOST_CLASSES])


def _classes(cohort: Cohort) -> tuple[tuple[str, int, int], ...]:
    if cohort.task != "classification":
        return ()
    labels = [(cohort.class_names[int(slide.label)], slide.case) for slide in cohort.slides]
    return _counted_classes(cohort.class_names, labels)


def _counted_classes(
    names: Sequence[str], labels: Sequence[tuple[str, str]]
) -> tuple[tuple[str, int, int], ...]:
    slides = Counter(label for label, _ in labels)
    cases = Counter(label for label, _ in set(labels))
    return tuple((name, slides[name], cases[name]) for name in names)


def _doubts(cohort: Cohort) -> tuple[str, ...]:
    """Say that a class is called so, since some programs write it where there is no label."""
    if cohort.task != "classification":
        return ()
    counts = {name: slides for name, slides, _ in _classes(cohort)}
    return tuple(
        f"{name!r} is taken for a class, of {counted(counts[name], 'slide')}: "
        "leave the field empty where there is no label"
        for name in doubtful_classes(cohort.class_names)
    )
