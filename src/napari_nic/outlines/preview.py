"""Pictures of the outlines of a file of which the rest is still being read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from napari_nic.annotations import RGB, PartRead, label_colors
from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.outlines.index import OutlineIndex
from napari_nic.outlines.pyramid import OutlinePyramid

if TYPE_CHECKING:
    import shapely

T = TypeVar("T")

FIRST_SECONDS = 0.2
"""What is read in less is shown whole."""

TIMES_LONGER = 2.0
"""The next picture comes after so many times the time of the last one: all of them cost no more than two."""

WORTH_SECONDS = 0.4
"""Reading that is about to end is not worth a picture."""


@dataclass(frozen=True)
class Glimpse(Progress):
    """How far a file is read, with a picture of what was read so far.

    Attributes
    ----------
    pyramid : OutlinePyramid or None
        None where pictures that were given before are not to be shown any more.
    colors : mapping of str to (r, g, b)
        Of the classes in it.
    seen : threading.Event
        Set by whoever shows it, once that is done.
    """

    pyramid: OutlinePyramid | None = None
    colors: Mapping[str, RGB] = field(default_factory=dict)
    seen: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)


class OutlinePreview:
    """Collects what is read of a file, and makes a picture of it now and then.

    Parameters
    ----------
    size : (int, int)
        (height, width) of level 0.
    token : CancellationToken, optional
        Asked before and while a picture is made: each takes as long as half of what was read before it.
    clock : callable, optional
        Seconds.
    """

    def __init__(
        self,
        size: tuple[int, int],
        token: CancellationToken | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._token, self._clock = size, token, clock
        self._areas: list[shapely.Geometry] = []
        self._labels: list[str] = []
        self._start = clock()
        self._next = FIRST_SECONDS
        self._is_shown = False

    def watch(self, reading: Generator[Progress, None, T]) -> Generator[Progress, None, T]:
        """Pass reports of reading on, with pictures among them, and return what reading returns.

        A picture that comes from there, of all that was read, is passed on unless all goes too quickly.
        """
        outcome = Outcome(reading)
        for report in outcome:
            if isinstance(report, Glimpse):
                if self._is_shown or self._is_time():
                    yield report
            else:
                yield (self.take(report) if isinstance(report, PartRead) else None) or report
        return outcome.value

    def _is_time(self) -> bool:
        return self._clock() - self._start >= FIRST_SECONDS

    def take(self, part: PartRead) -> Glimpse | None:
        """Take in what was read; return a picture if it is time for one."""
        if part.is_afresh:
            self._areas, self._labels = [], []
            was_shown, self._is_shown = self._is_shown, False
            return Glimpse(part.done, part.total, part.stage, part.unit) if was_shown else None
        self._areas.extend(part.areas)
        self._labels.extend(part.labels)
        passed = self._clock() - self._start
        left = passed * (1 - part.fraction) / max(part.fraction, 1e-6)
        if not self._areas or passed < self._next or left < WORTH_SECONDS:
            return None
        index = OutlineIndex(self._areas, self._labels, token=self._token)
        pyramid = OutlinePyramid(index, self._size, self._token)
        self._next = TIMES_LONGER * (self._clock() - self._start)
        self._is_shown = True
        colors = label_colors(pyramid.index.labels, part.colors)
        return Glimpse(part.done, part.total, part.stage, part.unit, pyramid, colors)
