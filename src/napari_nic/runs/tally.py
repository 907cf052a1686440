"""Counts of a run that goes on: what came of the slides, how fast it is, what is worked on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from napari_nic.runs.running import RunProgress


@dataclass(frozen=True)
class AtWork:
    """A slide that is worked on.

    Attributes
    ----------
    stage : str
    fraction : float
        Of the stage, 0 to 1; 0 where it is not known.
    since : float
        When it was begun, by the clock of the tally.
    """

    stage: str
    fraction: float
    since: float


class Tally:
    """Takes the reports of a run.

    Parameters
    ----------
    clock : callable
        Seconds.

    Attributes
    ----------
    total : int
        Slides in all; 0 before that is known.
    counts : Counter of str
        Slides by what they came to.
    worked : int
        Slides of these that were done now: neither complete before, nor failed, which is quick.
    at_work : dict of str to AtWork
        By file name.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.started = clock()
        self.total = 0
        self.counts: Counter[str] = Counter()
        self.worked = 0
        self.at_work: dict[str, AtWork] = {}

    def add(self, report: RunProgress) -> None:
        """Take a report."""
        self.total = report.total
        result = report.result
        if result is not None:
            self.at_work.pop(report.name, None)
            self.counts[result.outcome] += 1
            self.worked += result.worked and result.outcome in ("done", "empty")
        elif report.name:
            known = self.at_work.get(report.name)
            since = known.since if known else self._clock()
            fraction = report.inner.fraction if report.inner else 0.0
            self.at_work[report.name] = AtWork(report.stage, fraction, since)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self.started

    @property
    def left(self) -> int:
        """Slides that are not done."""
        return max(0, self.total - sum(self.counts.values()))

    @property
    def per_hour(self) -> float | None:
        """Slides an hour, of those that were done now; None before the first."""
        return 3600 * self.worked / self.seconds if self.worked and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """What the rest will take at this rate, if all of it is to be done; None before the first slide."""
        return None if self.per_hour is None else 3600 * self.left / self.per_hour
