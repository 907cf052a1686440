from __future__ import annotations

import re
from pathlib import Path

import pytest

import napari_nic
from napari_nic.wording import clock, count, counted, duration, saving, was_were


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "shape", "0 shapes"),
        (1, "shape", "1 shape"),
        (2, "tissue cell", "2 tissue cells"),
        (1_204, "cell", "1,204 cells"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "patch", "2 patches"),
        (2, "box", "2 boxes"),
        (2, "study", "2 studies"),
        (2, "day", "2 days"),
    ],
)
def test_one_or_many(number, noun, text):
    assert counted(number, noun) == text


def test_irregular_plurals_are_given():
    assert counted(2, "vertex", "vertices") == "2 vertices"
    assert counted(1, "vertex", "vertices") == "1 vertex"


def test_a_larger_file_saves_nothing():
    assert [saving(share) for share in (0.28, 0, -0.6631)] == ["28.0 % saved", "0.0 % saved", "66.3 % more"]


def test_the_verb_agrees():
    assert (was_were(0), was_were(1), was_were(2)) == ("were", "was", "were")


@pytest.mark.parametrize("room", ["annotations", "cli", "plugin"])
def test_what_users_read_counts_by_the_helper(room):
    counts = re.compile(r"\{len\([^{}]*\)(:,)?\} (?!of\b)[a-z]+s\b")
    folder = Path(napari_nic.__file__).parent / room
    assert not [
        (file.name, found[0]) for file in folder.rglob("*.py") if (found := counts.search(file.read_text()))
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (1973, "1,973"), (41_230, "41.2k"), (2_300_000, "2.3M")]
)
def test_count(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.84, "0.8 s"), (23.2, "23 s"), (65, "1:05 min"), (7391, "2:03:11 h")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_clock():
    assert (clock(23), clock(725), clock(3723)) == ("0:23", "12:05", "1:02:03")
