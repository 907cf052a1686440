"""What a command says: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from napari_nic.errors import NicError
from napari_nic.jobs import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

P = TypeVar("P", bound=Progress)


class Console:
    """Prints for people or, with `as_json`, one JSON document for scripts.

    Parameters
    ----------
    quiet : bool
        No progress and no notes; results, warnings and errors only.
    as_json : bool
        Text results are dropped: the command prints JSON by :meth:`json`.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self._bar: Bar | None = None

    def result(self, text: str) -> None:
        """Print a line of the result, unless the result is JSON."""
        if not self.as_json:
            print(text)

    def json(self, data: Mapping[str, Any] | Sequence[Any]) -> None:
        """Print the JSON document."""
        print(json.dumps(data, indent=2, default=str))

    def note(self, text: str) -> None:
        """Tell something besides the result."""
        if not self.quiet:
            self._to_stderr(text)

    def warning(self, text: str) -> None:
        """Tell what nobody may miss, a licence or a danger: on stderr, when quiet too."""
        self._to_stderr(text)

    def error(self, error: NicError | str) -> None:
        """Say what failed."""
        self._to_stderr(f"error: {error}")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print columns as wide as their longest entry; for people only."""
        cells = [[str(entry) for entry in row] for row in (header, *rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
        for row in cells:
            line = "  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True))
            self.result(line.rstrip())

    def follow(self, reports: Iterable[P], title: str) -> Iterator[P]:
        """Pass reports on and show them as a progress bar, where stderr is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield from reports
            return
        with self._progress_bar() as bar:
            task = bar.add_task(title, total=None, rate="")
            for report in reports:
                rate = f"{count(getattr(report, 'rate', 0.0))} {report.unit}/s"
                total = report.total or None
                description = f"{title}: {report.stage}" if report.stage else title
                bar.update(task, completed=report.done, total=total, description=description, rate=rate)
                yield report

    @contextmanager
    def _progress_bar(self) -> Iterator[Bar]:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=RichConsole(stderr=True), transient=True) as bar:
            self._bar = bar
            try:
                yield bar
            finally:
                self._bar = None

    def _to_stderr(self, text: str) -> None:
        if self._bar is not None:
            # Above the bar, which is drawn again below.
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr)


def count(number: float) -> str:
    """Write a count as people read it: 1,973 or 4.1k or 2.3M."""
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def duration(seconds: float) -> str:
    """Write seconds as 0.8 s, 23 s, 1:05 min or 2:03:11 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"
