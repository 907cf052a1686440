"""Progress and cancellation for long work, without Qt.

A pipeline is a generator that yields :class:`Progress` and calls :meth:`CancellationToken.checkpoint`
between units of work. The command line wraps it in a progress bar, the plugin in a worker thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from napari_nic.errors import CancelledError


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


class CancellationToken:
    """Shared by the one who asks a job to pause or stop and the threads that do it."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled.is_set()

    @property
    def paused(self) -> bool:
        """Whether the job was asked to wait."""
        return not self._running.is_set()

    def cancel(self) -> None:
        """Ask the job to stop at its next checkpoint; a paused job is woken to do so."""
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        """Ask the job to wait at its next checkpoint."""
        if not self.cancelled:
            self._running.clear()

    def resume(self) -> None:
        """Let a paused job go on."""
        self._running.set()

    def checkpoint(self) -> None:
        """Wait while paused, then raise :class:`CancelledError` if the job was cancelled."""
        self._running.wait()
        if self.cancelled:
            raise CancelledError("cancelled", hint="what was finished is kept; run again to resume")
