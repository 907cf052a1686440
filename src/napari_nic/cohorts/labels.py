"""Which slides have a label, and which classes there are; what may be a class is never dropped unseen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from napari_nic.cohorts.checks import SHOWN, check_spelling
from napari_nic.cohorts.entries import Entry
from napari_nic.cohorts.rows import MISSING
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import Task
from napari_nic.wording import counted

NO_NUMBER = (
    MISSING
    | {"none", "unknown", "unk", "not available", "not reported", "not applicable", "not evaluated", "--"}
    | {f"[{word}]" for word in ("not available", "not applicable", "not evaluated", "unknown", "discrepancy")}
)
"""What stands in the place of a number or an event that is not known; cBioPortal writes brackets."""

NOTHING_FOUND = frozenset(
    [
        *("normal", "negative", "benign", "healthy", "control", "no", "false", "absent"),
        *("non-tumor", "non-tumour", "no-tumor", "no-tumour", "wild-type", "wildtype", "wt", "unaffected"),
    ]
)
"""Names of classes that stand for the absence of a finding; in small letters, words joined by hyphens."""

DOUBTFUL = MISSING | {
    *("none", "unknown", "undefined", "missing", "not available", "not evaluated", "not applicable"),
    *("not reported", "not known", "tbd", "-", "--", "99", "999", "-1", "-9", "-99"),
}
"""Names of classes, in small letters, that may mean that there is no label."""


def needed_for(task: Task) -> tuple[str, ...]:
    """Return the kinds of columns that a task learns from."""
    return ("time", "event") if task == "survival" else ("label",)


def is_labelled(row: Entry, task: Task, classes: Sequence[str] | None) -> bool:
    """Whether a row has a slide and a label.

    A class may be called NA; whether it is, only the one who lists the classes can say.
    """
    if not row["slide"]:
        return False
    if task == "classification":
        return row["label"] in (classes or ()) or row["label"].lower() not in MISSING
    return not any(row[kind].lower() in NO_NUMBER for kind in needed_for(task))


def check_left_out(path: Path, known: Sequence[Entry], others: Sequence[Entry]) -> tuple[str, ...]:
    """Refuse to leave out what may be a class, and say which words were taken for no label.

    Parameters
    ----------
    path : Path
    known : sequence of Entry
        Rows with a label.
    others : sequence of Entry
        Rows that are left out.

    Returns
    -------
    tuple of str
        Which words, how often.

    Raises
    ------
    InvalidParameterError
        If such a word stands on as many slides as the smallest class.
    """
    words = Counter(row["label"] for row in others if row["slide"] and row["label"])
    # Fields of spreadsheets whose formula failed are no words of anybody's.
    words = Counter({word: number for word, number in words.items() if not word.startswith("#")})
    classes = Counter(row["label"] for row in known)
    smallest = min(classes.values(), default=0)
    doubtful = [word for word, number in words.items() if number >= smallest]
    if doubtful:
        listed = ",".join(sorted(classes)) or "A,B"
        raise InvalidParameterError(
            "a word that may mean that there is no label stands on as many slides as a class",
            path=path,
            found=", ".join(f"{word!r} on {counted(words[word], 'slide')}" for word in doubtful[:SHOWN]),
            expected="classes that nobody can take for a label that is missing",
            hint=f"list the classes: --classes {listed} leaves these slides out, "
            f"--classes {doubtful[0]},{listed} learns them as a class; or leave the fields empty",
        )
    return tuple(f"{word!r} on {counted(number, 'slide')}" for word, number in words.items())


def doubtful_classes(class_names: Sequence[str]) -> list[str]:
    """List the classes whose name may mean that there is no label."""
    return [name for name in class_names if name.lower().strip("[]()<> ") in DOUBTFUL]


def class_names(
    path: Path, task: Task, rows: Sequence[Entry], value: str, classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the classes in their order, or the name of the value or of the risk.

    Parameters
    ----------
    path : Path
    task : {"classification", "regression", "survival"}
    rows : sequence of Entry
    value : str
        Name of the column of labels.
    classes : sequence of str or None
        Those that are listed; else they are sorted, what was not found before what was.

    Raises
    ------
    InvalidParameterError
        If there are fewer than two, two differ in their spelling only, or a label is not among those listed.
    """
    if task == "survival":
        return ("risk",)
    if task == "regression":
        return (value,)
    found = {row["label"] for row in rows}
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
