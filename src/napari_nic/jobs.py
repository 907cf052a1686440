"""Progress and cancellation for long work, without Qt.

A pipeline is a generator that yields :class:`Progress` and calls :meth:`CancellationToken.checkpoint`
between units of work. The command line wraps it in a progress bar, the plugin in a worker thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from napari_nic.errors import CancelledError

T = TypeVar("T")
P = TypeVar("P")


@dataclass(frozen=True)
class Progress:
    """One report of a running job.

    Attributes
    ----------
    done, total : int
        Units finished, and units in all (0 when unknown).
    stage : str
        What is being done, as a user would read it.
    unit : str
        The name of one unit, plural ("patches", "slides", "steps").
    """

    done: int
    total: int
    stage: str = ""
    unit: str = "steps"

    @property
    def fraction(self) -> float:
        """Share finished, 0 to 1; 0 when the total is unknown."""
        return self.done / self.total if self.total else 0.0


class Outcome(Generic[P, T]):
    """Passes a job's reports on and keeps what it returns.

    Parameters
    ----------
    job : generator
        Yields reports, returns the result.

    Attributes
    ----------
    value
        The result, once all reports were taken.
    """

    def __init__(self, job: Generator[P, None, T]) -> None:
        self._job = job
        self.value: T

    def __iter__(self) -> Iterator[P]:
        self.value = yield from self._job


def result_of(job: Generator[Progress, None, T]) -> T:
    """Run a job to its end, for a caller that needs no reports."""
    outcome = Outcome(job)
    for _ in outcome:
        pass
    return outcome.value


_ASKING = threading.local()
"""The youngest token that a thread has come to: cancelling it wakes the thread in a pause of its parents."""


class CancellationToken:
    """Shared by the one who asks a job to pause or stop and the threads that do it.

    Parameters
    ----------
    parent : CancellationToken, optional
        Whatever is asked of it is asked of this one too; not the other way round. So a job stops threads of
        its own, paused ones too, without its caller's token being cancelled.
    """

    def __init__(self, parent: CancellationToken | None = None) -> None:
        self._parent = parent
        # One condition for a family, so that whoever waits is woken by any of it. It is reentrant: a signal's
        # handler may cancel while the main thread is about to wait.
        self._changed: threading.Condition = parent._changed if parent else threading.Condition()
        self._cancelled = False
        self._paused = False
        self._heard = False
        self._noticed = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled or (self._parent is not None and self._parent.cancelled)

    @property
    def paused(self) -> bool:
        """Whether the job was asked to wait."""
        if self.cancelled:
            return False
        return self._paused or (self._parent is not None and self._parent.paused)

    @property
    def heard(self) -> bool:
        """Whether a thread of the job waits at a checkpoint, since it was asked to."""
        return self._heard

    @property
    def noticed(self) -> bool:
        """Whether the job has come to a checkpoint since it was cancelled, and so is about to end."""
        return self._noticed

    def cancel(self) -> None:
        """Ask the job to stop at its next checkpoint; a paused job is woken to do so."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def pause(self) -> None:
        """Ask the job to wait at its next checkpoint."""
        with self._changed:
            if not self.cancelled:
                self._paused = True

    def resume(self) -> None:
        """Let a paused job go on."""
        with self._changed:
            self._paused = self._heard = False
            self._changed.notify_all()

    def when_heard(self, listener: Callable[[], None]) -> None:
        """Call `listener` once after each pause, when a first thread waits; it is called in that thread."""
        self._listeners.append(listener)

    def checkpoint(self) -> None:
        """Wait while paused, then raise :class:`CancelledError` if the job was cancelled."""
        if self.paused:
            self._wait()
        if self._parent is not None and not self._cancelled:
            self._ask_parent(self._parent)
        if self.cancelled:
            self._note()
            raise CancelledError("cancelled", hint="what was finished is kept; run again to resume")

    def _note(self) -> None:
        self._noticed = True
        if self._parent is not None and self._parent.cancelled:
            self._parent._note()

    def _ask_parent(self, parent: CancellationToken) -> None:
        """Come to the parent's checkpoint too: it may be a token that does more there, such as counting."""
        outer = getattr(_ASKING, "token", None)
        _ASKING.token = outer or self
        try:
            parent.checkpoint()
        finally:
            _ASKING.token = outer

    def _wait(self) -> None:
        for listener in self._tell_heard():
            listener()
        asking = getattr(_ASKING, "token", None) or self
        with self._changed:
            self._changed.wait_for(lambda: asking.cancelled or not self.paused)

    def _tell_heard(self) -> list[Callable[[], None]]:
        """Note on the token that was paused that it was heard; return whom to tell."""
        with self._changed:
            if not self._paused:
                return [] if self._parent is None else self._parent._tell_heard()
            if self._heard:
                return []
            self._heard = True
            return list(self._listeners)


def checked(items: Iterable[T], token: CancellationToken | None) -> Iterator[T]:
    """Pass items on, with a checkpoint of `token` before each: the loop of a long job.

    Raises
    ------
    CancelledError
        In place of the next item, once the token was cancelled.
    """
    for item in items:
        if token is not None:
            token.checkpoint()
        yield item
