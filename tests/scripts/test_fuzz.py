"""Damaged files of every kind end in an error of ours or open as what they are: a short fuzz campaign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzzing.assessing import assess
from fuzzing.campaign import Child, Plan, run
from fuzzing.mutations import make_mutant
from fuzzing.originals import KINDS, make_originals

MUTANTS = 200


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_no_crash_hang_traceback_or_silent_wrong_opening(kind):
    told: list[str] = []
    tally = run(Plan({kind: MUTANTS}), tell=told.append)
    assert sum(tally.ends.values()) == MUTANTS
    assert tally.ends[kind, "opened"] < MUTANTS, "no mutant was damaged enough to be refused"
    assert told == []


def test_the_same_seed_makes_the_same_mutants(tmp_path):
    original = make_originals("annotation", tmp_path / "originals")[0]
    mutants = [
        make_mutant(original.path, [], tmp_path / name, np.random.default_rng([7, 5])) for name in ("a", "b")
    ]
    assert mutants[0].damage == mutants[1].damage
    assert mutants[0].path.read_bytes() == mutants[1].path.read_bytes()
    assert mutants[0].path.read_bytes() != original.path.read_bytes()


def assessed(answer: dict[str, object], **found: object) -> str:
    healthy = {"shape": [2, 2, 3], "grid": "a", "encoder": "b", "sum": 1.0, "cells": 4}
    facts = {"facts": healthy | found}
    return assess("store", Path("x"), healthy, answer | facts, "", stated=True).fault


@pytest.mark.parametrize("end", ["crash", "hang", "memory", "traceback"])
def test_what_ends_badly_is_a_fault(end):
    assert assessed({"end": end}) == end


def test_what_opens_as_something_else_is_a_silent_fault():
    assert assessed({"end": "refused"}) == ""
    assert assessed({"end": "opened"}) == ""
    assert assessed({"end": "opened"}, grid="c") == "silent"


def test_a_slide_of_a_size_that_no_other_reader_finds_is_a_silent_fault(tmp_path, slide_path):
    healthy = {"levels": [[1000, 1400]], "mpp": [0.5, 0.5]}
    answer = {"end": "opened", "facts": {"levels": [[999, 1400]], "mpp": [0.5, 0.5]}}
    assert assess("slide", slide_path, healthy, answer, "", stated=False).fault == "silent"


def test_a_child_that_dies_or_waits_for_ever_is_told(tmp_path, monkeypatch):
    child = Child()
    assert child.ask("annotation", tmp_path / "missing.xml")["end"] == "refused"
    monkeypatch.setattr("fuzzing.campaign.STUCK_SECONDS", 1.0)
    assert child._process is not None
    child._process.send_signal(19)  # stopped: it answers nothing any more
    assert child.ask("annotation", tmp_path / "missing.xml")["end"] == "hang"
    monkeypatch.undo()
    assert child.ask("no such kind", tmp_path)["end"] == "traceback"
    child.end()
