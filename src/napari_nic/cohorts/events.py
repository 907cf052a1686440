"""Whether the event of a survival time happened, in every spelling that tables have for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from napari_nic.cohorts.checks import SHOWN
from napari_nic.errors import InvalidParameterError

HAPPENED = frozenset(
    [
        *("1", "1.0", "true", "t", "yes", "y", "event", "dead", "deceased", "died", "death"),
        *(
            "recurred",
            "recurrence",
            "recurred/progressed",
            "progressed",
            "progression",
            "relapse",
            "relapsed",
        ),
    ]
)
NOT_HAPPENED = frozenset(
    [
        *("0", "0.0", "false", "f", "no", "n", "no event", "censored", "censor", "alive", "living", "lived"),
        *("disease free", "diseasefree", "disease-free", "event free", "event-free", "progression free"),
        *("no recurrence", "no relapse", "not progressed", "survived"),
    ]
)
"""In small letters. cBioPortal joins a number and a word: ``1:DECEASED``."""

EXPECTED = "1 or 0, yes or no, true or false, dead or alive, event or censored, 1:DECEASED or 0:LIVING"

_NUMBERED = re.compile(r"([01])(?:\.0)?\s*:\s*(.+)")
_WORDS_OF_STATE = frozenset(["dead", "deceased", "died", "death", "event", "alive", "living", "censored"])


def event_of(text: str) -> bool | None:
    """Return whether the event happened; None if the field does not say, or says both."""
    small = " ".join(text.casefold().split())
    numbered = _NUMBERED.fullmatch(small)
    if numbered is None:
        return True if small in HAPPENED else False if small in NOT_HAPPENED else None
    happened, word = numbered[1] == "1", numbered[2]
    contradicts = word in (NOT_HAPPENED if happened else HAPPENED)
    return None if contradicts else happened


def check_events(path: Path, column: str, texts: Iterable[str]) -> None:
    """Refuse a column whose fields contradict each other, or themselves, or what the column is called.

    Raises
    ------
    InvalidParameterError
        If a word stands beside both numbers (``1:LIVING`` and ``0:LIVING``), a number beside the word that
        means its contrary, or a column of censoring holds bare numbers, which say the opposite there.
    """
    forms = sorted({" ".join(text.casefold().split()) for text in texts})
    numbers: dict[str, set[str]] = {}
    wrong = []
    for form in forms:
        numbered = _NUMBERED.fullmatch(form)
        if numbered is not None:
            numbers.setdefault(numbered[2], set()).add(numbered[1])
            if event_of(form) is None:
                wrong.append(form)
    wrong += [f"0:{word} and 1:{word}" for word, both in sorted(numbers.items()) if len(both) > 1]
    if wrong:
        raise InvalidParameterError(
            f"column {column!r} contradicts itself: 1 is the event, 0 that it did not happen",
            path=path,
            expected=EXPECTED,
            found=", ".join(wrong[:SHOWN]),
        )
    bare = [form for form in forms if event_of(form) is not None and form not in _WORDS_OF_STATE]
    if re.match(r"censor", column.casefold()) and bare and not any(_NUMBERED.fullmatch(f) for f in bare):
        raise InvalidParameterError(
            f"column {column!r} is called after censoring, where 1 means that the event did not happen",
            path=path,
            expected="a column of the event, in which 1 means that it happened; or words (event, censored)",
            found=", ".join(bare[:SHOWN]),
            hint="add a column that holds 1 where this one holds 0, and name it: --columns event=NAME",
        )
