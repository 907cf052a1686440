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


def test_table_of_a_pipe_is_cut_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    long = "[bold]what it is[/bold] " * 40
    wide = "\N{CJK UNIFIED IDEOGRAPH-4E2D}"
    Console().table(("name", "summary", "end"), [("a\nb", long, ""), (wide, 1, 2)])
    lines = capfd.readouterr().out.splitlines()
    assert lines[1] == f"a\\x0ab  {long}".rstrip(), "one line a row, no markup"
    assert [line.split()[-1] for line in (lines[0], lines[2])] == ["end", "2"]


def test_table_on_a_terminal_folds_inside_its_columns(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    words = "how many words there are in this line"
    Console().table(("name", "what it is"), [("mean-rgb", words)])
    Console().card("title", {"cite": words})
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 30
    assert lines[:2] == ["name      what it is", "mean-rgb  how many words there"]
    assert " ".join(line[10:] for line in lines[1:3]) == words
    assert lines[3:5] == ["title", "  cite  how many words there"]
