"""The table that a run shows in the terminal while it goes on."""

from __future__ import annotations

from rich.progress_bar import ProgressBar
from rich.table import Table

from napari_nic.runs import Tally
from napari_nic.wording import clock, count

MOST_ROWS = 8
"""Slides at work that are shown."""

_NAME_WIDTH, _BAR_WIDTH = 40, 24
_STATES = ("done", "empty", "failed", "busy")


class RunTable:
    """Draws a tally: rich asks for it a few times a second.

    Parameters
    ----------
    tally : Tally
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __rich__(self) -> Table:
        tally = self._tally
        outer = Table.grid(padding=(0, 1))
        for line in self._counts():
            outer.add_row(line)
        bar = ProgressBar(total=tally.total or None, completed=tally.total - tally.left, width=_BAR_WIDTH * 3)
        outer.add_row(bar)
        slides = Table.grid(padding=(0, 2))
        for name, work in list(tally.at_work.items())[:MOST_ROWS]:
            part = ProgressBar(total=1.0, completed=work.fraction, width=_BAR_WIDTH) if work.fraction else ""
            seconds = clock(tally.seconds + tally.started - work.since)
            slides.add_row(_escaped(_short(name)), work.stage, seconds, part)
        hidden = len(tally.at_work) - MOST_ROWS
        if hidden > 0:
            slides.add_row(f"and {hidden} more", "", "", "")
        outer.add_row(slides)
        return outer

    def _counts(self) -> list[str]:
        """Say in a line or two how far it is."""
        tally = self._tally
        if not tally.total:
            return ["looking at the slides"]
        states = [f"{tally.counts[state]:,} {state}" for state in _STATES if tally.counts[state]]
        parts = [*states, f"{len(tally.at_work)} at work", f"{tally.left - len(tally.at_work):,} waiting"]
        lines = [f"{tally.total:,} slides: {', '.join(parts)}"]
        if tally.per_hour is not None and tally.seconds_left is not None:
            lines.append(f"{count(tally.per_hour)} slides/h, about {clock(tally.seconds_left)} left")
        return lines


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"...{name[3 - _NAME_WIDTH :]}"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
