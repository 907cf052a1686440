"""Do the same with several files: go on after a bad one, and say at the end which failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_nic.addresses import shown
from napari_nic.cli.console import Console, of_system
from napari_nic.errors import CancelledError, NicError

Work = Callable[[Path], dict[str, Any]]


def run_each(paths: Sequence[Path], work: Work, console: Console) -> int:
    """Call `work` for each path; print what failed, and the JSON document where one is asked for.

    Parameters
    ----------
    paths : sequence of Path
    work : callable
        ``path -> dict``: prints its own text and returns its part of the JSON document.
    console : Console

    Returns
    -------
    int
        0, or 1 if any failed.

    Raises
    ------
    CancelledError
        If the user stopped; the JSON document is printed before.
    """
    records: list[dict[str, Any]] = []
    failed: list[Path] = []
    try:
        for path in paths:
            try:
                records.append({"input": shown(path), "ok": True} | work(path))
            except CancelledError:
                raise
            except BrokenPipeError:
                raise
            except (NicError, OSError) as failure:
                error = failure if isinstance(failure, NicError) else of_system(failure, path)
                console.error(error)
                failed.append(path)
                records.append({"input": shown(path), "ok": False, "error": describe(error)})
    finally:
        if console.as_json:
            console.json(records)
    if failed and len(paths) > 1:
        names = ", ".join(shown(path) for path in failed)
        console.error(f"{len(failed)} of {len(paths)} failed: {names}")
    return 1 if failed else 0


def describe(error: NicError) -> dict[str, Any]:
    """Return an error's parts for JSON."""
    return {
        "type": type(error).__name__,
        "problem": error.problem,
        "expected": error.expected,
        "found": error.found,
        "hint": error.hint,
        "reasons": dict(getattr(error, "reasons", ())),
    }
