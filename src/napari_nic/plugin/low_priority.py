"""Work that steps back for the window: a thread of lowest priority for one long job."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from napari_nic.pipeline import step_back

T = TypeVar("T")


def at_low_priority(reports: Generator[T, None, None], name: str) -> Generator[T, None, None]:
    """Pass on what a generator yields, while it runs in a thread of its own at the lowest priority.

    A thread that has stepped back cannot return to its old priority, and those of Qt's pool are used again:
    so the job gets a thread that ends with it. Threads that it starts (kernels, readers) step back with it.

    Parameters
    ----------
    reports : generator
        Closed when the returned iterator is, in the thread that ran it.
    name : str
        Of the thread.
    """
    with ThreadPoolExecutor(1, name, initializer=step_back) as thread:
        try:
            while report := thread.submit(_next, reports).result():
                yield report[0]
        finally:
            thread.submit(reports.close).result()


def _next(reports: Generator[T, None, None]) -> list[T]:
    """Return the next report; an empty list at the end."""
    return list(islice(reports, 1))
