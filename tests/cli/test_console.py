"""What goes to stdout and what to stderr."""

from __future__ import annotations

import sys

import pytest

from napari_nic.cli.console import Console, count, duration
from napari_nic.jobs import Progress

REPORTS = [Progress(0, 2, "working", "patches"), Progress(2, 2, "working", "patches")]


def test_results_go_to_stdout_and_notes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.result("result")
    console.note("note")
    console.error("broken")
    printed = capfd.readouterr()
    assert printed.out == "result\n"
    assert printed.err == "note\nerror: broken\n"


def test_json_replaces_text(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.result("result")
    console.json({"a": 1})
    assert capfd.readouterr().out.split() == ["{", '"a":', "1", "}"]


def test_quiet_keeps_warnings_and_errors(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.note("note")
    console.warning("warning: a program")
    console.error("broken")
    assert capfd.readouterr().err == "warning: a program\nerror: broken\n"


def test_table_aligns_its_columns(capfd: pytest.CaptureFixture[str]) -> None:
    Console().table(("name", "C"), [("mean-rgb", 3), ("nic", 128)])
    assert capfd.readouterr().out.splitlines() == ["name      C", "mean-rgb  3", "nic       128"]


def test_no_bar_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(Console().follow(REPORTS, "slide")) == REPORTS
    assert capfd.readouterr().err == ""


def test_bar_on_a_terminal_keeps_notes_readable(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    console = Console()
    for report in console.follow(iter(REPORTS), "[slide]"):
        console.note(f"[{report.done}]")
    assert "[0]\n" in capfd.readouterr().err


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
