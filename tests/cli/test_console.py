"""What goes to stdout and what to stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_nic.cli.console import Console
from napari_nic.jobs import Progress

if TYPE_CHECKING:
    import pytest

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
