"""Events in every spelling, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.cohorts.events import HAPPENED, NOT_HAPPENED, check_events, event_of
from napari_nic.errors import InvalidParameterError

TABLE = Path("t.csv")
FORMS = st.sampled_from(
    [*((form, True) for form in sorted(HAPPENED)), *((f, False) for f in sorted(NOT_HAPPENED))]
)


@given(
    form=FORMS, numbered=st.booleans(), how=st.sampled_from([str.upper, str.lower, str.title, str.swapcase])
)
def test_every_spelling_in_any_letters(form: tuple[str, bool], numbered: bool, how: object) -> None:
    word, happened = form
    text = how(f"{int(happened)}:{word}" if numbered else word)  # type: ignore[operator]
    assert event_of(text) is happened
    check_events(TABLE, "event", [text])


@pytest.mark.parametrize(
    ("text", "happened"),
    [
        ("1:DECEASED", True),
        ("0:LIVING", False),
        ("1:Recurred/Progressed", True),
        ("0:DiseaseFree", False),
        ("0:ALIVE OR DEAD TUMOR FREE", False),
        ("1:DEAD WITH TUMOR", True),
        ("0 : Censored", False),
        ("1:LIVING", None),
        ("0:DECEASED", None),
        ("2", None),
        ("2:DECEASED", None),
        ("maybe", None),
        ("", None),
    ],
)
def test_numbers_with_words(text: str, happened: bool | None) -> None:
    assert event_of(text) is happened


@pytest.mark.parametrize(
    "texts",
    [
        ("1:LIVING", "0:DECEASED"),
        ("1:DECEASED", "1:LIVING"),
        ("0:X", "1:X"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="contradicts itself"):
        check_events(TABLE, "OS_STATUS", texts)


@pytest.mark.parametrize("column", ["censorship", "Censored", "censor"])
def test_bare_numbers_of_censoring_mean_the_contrary_and_are_refused(column: str) -> None:
    for texts in (("0", "1"), ("yes", "no"), ("True", "False")):
        with pytest.raises(InvalidParameterError, match="called after censoring"):
            check_events(TABLE, column, texts)
    check_events(TABLE, column, ("event", "censored"))
    check_events(TABLE, column, ("1:DECEASED", "0:LIVING"))
    check_events(TABLE, "event", ("0", "1"))
