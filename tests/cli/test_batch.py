"""Several inputs: the bad ones do not stop the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.errors import CancelledError, StoreError

PATHS = [Path("a"), Path("b"), Path("c")]


def fail_on_b(path: Path) -> dict[str, Any]:
    if path.name == "b":
        raise StoreError("broken", path=path, hint="mend it")
    return {"seen": path.name}


def test_goes_on_after_a_failure_and_reports_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_each(PATHS, fail_on_b, Console(as_json=True)) == 1
    printed = capfd.readouterr()
    records = json.loads(printed.out)
    assert [record["ok"] for record in records] == [True, False, True]
    assert records[1]["error"]["type"] == "StoreError"
    assert records[2]["seen"] == "c"
    assert printed.err == "error: b: broken\n  what to do: mend it\nerror: 1 of 3 failed: b\n"


def test_all_well(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_each(PATHS[:1], fail_on_b, Console()) == 0
    assert capfd.readouterr().err == ""


def test_debug_shows_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    run_each(PATHS, fail_on_b, Console(debug=True))
    assert "Traceback" in capfd.readouterr().err


def test_cancelling_stops_and_still_prints_what_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    def cancel_on_b(path: Path) -> dict[str, Any]:
        if path.name == "b":
            raise CancelledError("cancelled")
        return {}

    with pytest.raises(CancelledError):
        run_each(PATHS, cancel_on_b, Console(as_json=True))
    assert [record["input"] for record in json.loads(capfd.readouterr().out)] == ["a"]
