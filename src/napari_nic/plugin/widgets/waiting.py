"""Wait for what the caller cannot go on without: a bar, a Cancel button, and a window that lives."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QProgressDialog, QWidget

from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.plugin.worker import Callbacks, ThreadRunner

T = TypeVar("T")

STEPS = 1_000
LOOK_MS = 100
Told = Callable[[Progress], None]


def wait_for(title: str, work: Callable[[Told], T], parent: QWidget | None) -> T | None:
    """Do `work` in the background while a dialog says how far it is.

    Parameters
    ----------
    title : str
        What is being done.
    work : callable
        Is given a function to call with its progress, which raises when the user cancels.
    parent : QWidget or None
        The window that waits.

    Returns
    -------
    What `work` returned, or None if the user cancelled.

    Raises
    ------
    Exception
        What `work` raised.
    """
    waiting = _Waiting(title, parent)
    try:
        return waiting.run(lambda token: work(lambda progress: waiting._tell(progress, token)))
    finally:
        waiting.close()


def wait_with_token(title: str, work: Callable[[CancellationToken], T], parent: QWidget | None) -> T | None:
    """Do the same with work that cannot say how far it is, and asks a token whether the user cancelled."""
    waiting = _Waiting(title, parent)
    waiting.dialog.setRange(0, 0)
    try:
        return waiting.run(work)
    finally:
        waiting.close()


def wait_for_job(
    title: str, job: Callable[[CancellationToken], Generator[Progress, None, T]], parent: QWidget | None
) -> T | None:
    """Do the same with a generator of progress that is made of a token."""
    waiting = _Waiting(title, parent)

    def work(token: CancellationToken) -> T:
        running = Outcome(job(token))
        for progress in running:
            waiting._tell(progress, token)
        return running.value

    try:
        return waiting.run(work)
    finally:
        waiting.close()


class _Waiting:
    def __init__(self, title: str, parent: QWidget | None) -> None:
        self._title = title
        self._runner = ThreadRunner()
        self._progress = Progress(0, 0)
        self._result: Any = None
        self._error: Exception | None = None
        self._loop = QEventLoop()
        self.dialog = QProgressDialog(f"{title}...", "Cancel", 0, STEPS, parent)
        self.dialog.setWindowTitle("NIC")
        self.dialog.setWindowModality(Qt.WindowModality.WindowModal)
        self.dialog.setAutoClose(False)
        self.dialog.setAutoReset(False)
        self.dialog.setMinimumDuration(0)
        self._timer = QTimer()
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._show)

    def run(self, work: Callable[[CancellationToken], T]) -> T | None:
        def make(token: CancellationToken) -> Generator[None, None, T]:
            yield
            return work(token)

        callbacks = Callbacks(returned=self._take, failed=self._fail, finished=self._loop.quit)
        job = self._runner.start(self._title, make, callbacks)
        self.dialog.canceled.connect(job.cancel)
        self.dialog.show()
        self._timer.start()
        self._loop.exec()
        if self._error is not None:
            raise self._error
        result: T | None = self._result
        return result

    def close(self) -> None:
        self._timer.stop()
        self._runner.shutdown()
        self.dialog.close()
        self.dialog.deleteLater()

    def _tell(self, progress: Progress, token: CancellationToken) -> None:
        """Take note of progress, in the worker's thread."""
        token.checkpoint()
        self._progress = progress

    def _take(self, result: Any) -> None:
        self._result = result

    def _fail(self, error: Exception) -> None:
        self._error = error

    def _show(self) -> None:
        if not self.dialog.wasCanceled() and self.dialog.maximum():
            self.dialog.setValue(round(STEPS * self._progress.fraction))
            stage = self._progress.stage
            if stage and self.dialog.labelText() != (
                text := f"{self._title}: {stage[:1].lower()}{stage[1:]}"
            ):
                self.dialog.setLabelText(text)
