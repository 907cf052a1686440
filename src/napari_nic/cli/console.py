"""What a command says: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import errno
import json
import sys
import threading
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_nic.bars import follow, progress_bar
from napari_nic.cli.tables import card_lines, printable, stdout_width, table_lines
from napari_nic.errors import NicError
from napari_nic.jobs import Outcome, Progress
from napari_nic.telling import Event, LeftOut

if TYPE_CHECKING:
    from rich.console import RichCast
    from rich.live import Live
    from rich.progress import Progress as Bar

MISSED_SHOWN = 20

P = TypeVar("P", bound=Progress)
T = TypeVar("T")


class Console:
    """Prints for people or, with `as_json`, one JSON document for scripts.

    Parameters
    ----------
    quiet : bool
        No progress and no notes; results, warnings and errors only.
    as_json : bool
        Text results are dropped: the command prints JSON by :meth:`json`.
    debug : bool
        With an error goes its traceback, and why each reader refused a slide.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False, debug: bool = False) -> None:
        self.quiet = quiet
        self.debug = debug
        self.as_json = as_json
        self._bar: Bar | Live | None = None
        self._told: set[tuple[str, str]] = set()
        self._missed: list[str] = []
        self._lock = threading.Lock()

    def result(self, text: str) -> None:
        """Print a line of the result, unless the result is JSON."""
        if not self.as_json:
            self._to_stdout(printable(text))

    def json(self, data: Mapping[str, Any] | Sequence[Any]) -> None:
        """Print the JSON document."""
        self._to_stdout(json.dumps(data, indent=2, default=str))

    def note(self, text: str) -> None:
        """Tell something besides the result."""
        if not self.quiet:
            self._to_stderr(text)

    def warning(self, text: str) -> None:
        """Tell what nobody may miss, a licence or a danger: on stderr, when quiet too."""
        self._to_stderr(text)

    def error(self, error: NicError | str) -> None:
        """Say what failed."""
        if self.debug and isinstance(error, NicError):
            self._to_stderr("".join(traceback.format_exception(error)))
        self._to_stderr(f"error: {error}")
        if self.debug:
            for reader, reason in getattr(error, "reasons", ()):
                self._to_stderr(f"  {reader}: {reason}")

    def hear(self, event: Event) -> None:
        """Pass on what a library's function tells: notices of slides once, and what was left out."""
        if isinstance(event, LeftOut):
            self.missed(event.name, event.why)
            return
        for notice in event.texts:
            if (event.name, notice) not in self._told:
                self._told.add((event.name, notice))
                self.warning(f"note: {event.name}: {notice}")

    def missed(self, name: str, why: str) -> None:
        """Say that one of many was not done: the command ends with exit code 1 then."""
        if name not in self._missed:
            self._missed.append(name)
            if len(self._missed) <= MISSED_SHOWN:
                self.warning(f"skipped {name}: {why}")

    def has_named(self, name: str) -> bool:
        """Whether :meth:`missed` was called with this name."""
        return name in self._missed

    @property
    def has_missed(self) -> bool:
        """Whether something that was asked for was not done."""
        return bool(self._missed)

    def sum_up_missed(self) -> None:
        """Count what was not done, where not all of it was named."""
        if len(self._missed) > MISSED_SHOWN:
            self.error(f"{len(self._missed):,} were skipped; {MISSED_SHOWN} of them are named above")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print columns; for people only. On a terminal, long entries are folded inside their columns."""
        for line in table_lines(header, rows, width=stdout_width()):
            self.result(line)

    def card(self, title: str, facts: Mapping[str, object], details: Mapping[str, Any] | None = None) -> None:
        """Print a title, aligned facts, and nested details below them; for people only."""
        for line in card_lines(title, facts, details or {}, width=stdout_width()):
            self.result(line)

    def follow(self, reports: Iterable[P], title: str) -> Iterator[P]:
        """Pass reports on and show them as a progress bar, where stderr is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield from reports
            return
        with progress_bar() as bar:
            self._bar = bar
            try:
                yield from follow(reports, title, bar)
            finally:
                self._bar = None

    @contextmanager
    def live(self, picture: RichCast) -> Iterator[None]:
        """Show what changes by itself for the length of a ``with`` block, where stderr is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console as RichConsole
        from rich.live import Live

        # Results that are led into a file go there and not above the picture.
        screen = RichConsole(stderr=True)
        with Live(picture, console=screen, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None

    def outcome(self, job: Generator[Progress, None, T], title: str) -> T:
        """Run a job to its end behind a progress bar, and return its result."""
        outcome = Outcome(job)
        for _ in self.follow(outcome, title):
            pass
        return outcome.value

    def _to_stdout(self, text: str) -> None:
        try:
            print(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise NicError(
                "the results cannot be written", found=error.strerror, hint="check where the output is led to"
            ) from error

    def _to_stderr(self, text: str) -> None:
        text = printable(text)
        if self._bar is not None:
            # Above the bar, which is drawn again below.
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            # Jobs in several threads tell: `print` writes the text and the line's end apart.
            with self._lock:
                print(text, file=sys.stderr)


def of_system(error: OSError, path: Path | None = None) -> NicError:
    """Return what the system refused as an error of ours, with the file's name."""
    file = error.filename if isinstance(error.filename, str) else path
    hint = {
        errno.ENOSPC: "free some space on the disk",
        errno.EACCES: "change the permissions, or choose another place",
        errno.EPERM: "change the permissions, or choose another place",
        errno.ENAMETOOLONG: "choose a shorter name (--out)",
    }.get(error.errno or 0, "check the path and the disk")
    problem = (error.strerror or str(error) or type(error).__name__).lower()
    told = NicError(problem, path=file, hint=hint)
    told.__cause__ = error
    return told
