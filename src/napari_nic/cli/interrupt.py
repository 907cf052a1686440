"""Ctrl-C asks the running job to stop at its next safe point; a second one stops at once.

What loads or computes without coming to a safe point - an import of torch, a model being read - is stopped
too: if nobody has heard the request after a moment, the main thread is interrupted as by a second Ctrl-C; if
it cannot even hear that, since it is deep in a library, the process ends. Nothing is left half done by that:
everything is written under another name first.

A command without a job is interrupted at once, see :func:`interruptible`.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from napari_nic.cli.console import Console
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken

PATIENCE_SECONDS = 0.4
"""After so long without a safe point the main thread is interrupted; after as long again, the process is."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_END = b"\0"
_WORDS = {_END, *(bytes([number]) for number in _SIGNALS)}


class Interrupted(Exception):  # noqa: N818 - an ordinary end that the user asked for, like KeyboardInterrupt
    """The user stopped the command; what was finished is kept."""

    exit_code = 128 + signal.SIGINT


RESUMABLE = "stopped; what is finished is kept: the same command goes on from there"
STOPPED = "stopped; what was written before is whole"
"""Of commands that go through several files and begin each anew."""


@contextmanager
def stoppable(console: Console, *, ending: str = RESUMABLE) -> Iterator[CancellationToken]:
    """Give a token that Ctrl-C, or a polite kill, cancels.

    Parameters
    ----------
    console : Console
    ending : str
        What is said at the end of a command that was stopped.

    Raises
    ------
    Interrupted
        In place of the :class:`CancelledError` of a job that stopped because of it.
    KeyboardInterrupt
        At the second Ctrl-C, and where the first one is not heard.
    """
    token = CancellationToken()
    # Only the main thread may set handlers; a caller in another thread keeps its own way to stop.
    if threading.current_thread() is not threading.main_thread():
        yield token
        return
    watch = _Watch(token)

    def stop(_number: int, _frame: FrameType | None) -> None:
        """Ask the work to stop; asked again, end it at once."""
        if watch.asked or watch.insists:
            watch.interrupted.set()
            raise KeyboardInterrupt
        watch.asked = True
        token.cancel()
        console.note("stopping; press Ctrl-C again to stop at once")

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        with watch:
            yield token
    except CancelledError:
        raise Interrupted(ending) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, or a polite kill, end what has no job of its own to cancel, even deep in a library.

    Raises
    ------
    KeyboardInterrupt
        In the main thread, at the first signal. If it cannot be raised there soon, the process ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(CancellationToken(), at_once=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        watch.interrupted.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        with watch:
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Watch:
    """Sees to it that a request to stop is heard: a thread that is told of signals whatever the others do.

    Python calls a signal's handler in the main thread, when that comes back from whatever library it is in.
    The byte that the interpreter writes at the signal itself comes at once.
    """

    def __init__(self, token: CancellationToken, *, at_once: bool = False) -> None:
        self._token = token
        self._at_once = at_once
        self._ended = threading.Event()
        self.asked = self.insists = False
        self.interrupted = threading.Event()
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="interrupt", daemon=True)

    def __enter__(self) -> None:
        self._before = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        signal.set_wakeup_fd(self._before)
        self._theirs.send(_END)
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _run(self) -> None:
        """Wait for a signal, then for a safe point; interrupt the main thread; end the process."""
        while (number := self._ours.recv(1)) not in _WORDS:
            pass  # of another signal
        if number == _END:
            return
        self._token.cancel()
        if self._at_once:
            self._end_unless_interrupted()
            return
        if self._is_heard(self._ended):
            return
        self.insists = True
        _interrupt_main()
        self._end_unless_interrupted()

    def _end_unless_interrupted(self) -> None:
        if not self._is_heard(self.interrupted) and not self._ended.is_set():
            os._exit(Interrupted.exit_code)

    def _is_heard(self, event: threading.Event) -> bool:
        return event.wait(PATIENCE_SECONDS) or self._token.noticed


def _interrupt_main() -> None:
    """Interrupt the main thread as Ctrl-C does."""
    if hasattr(signal, "pthread_kill"):  # a real signal, which wakes it while it waits for a lock
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
