"""Progress bars in the terminal or in a notebook, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from napari_nic.jobs import Progress
from napari_nic.wording import count

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

P = TypeVar("P", bound=Progress)


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """Draw a bar on stderr for the length of a ``with`` block; it is gone afterwards."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


def follow(reports: Iterable[P], title: str, bar: Bar) -> Iterator[P]:
    """Pass reports on, and show each in a line of `bar`.

    Parameters
    ----------
    reports : iterable of Progress
    title : str
        What is worked on, such as the slide's name.
    bar : rich.progress.Progress
        See :func:`progress_bar`.
    """
    task = bar.add_task(title, total=None, rate="")
    for report in reports:
        rate = f"{count(getattr(report, 'rate', 0.0))} {report.unit}/s"
        description = f"{title}: {report.stage}" if report.stage else title
        bar.update(
            task, completed=report.done, total=report.total or None, description=description, rate=rate
        )
        yield report
