"""Ctrl-C asks the running job to stop at its next safe point; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from napari_nic.cli.console import Console
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken


class Interrupted(Exception):  # noqa: N818 - an ordinary end that the user asked for, like KeyboardInterrupt
    """The user stopped the command; what was finished is kept."""

    exit_code = 128 + signal.SIGINT


RESUMABLE = "stopped; what is finished is kept: the same command goes on from there"


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
        At the second Ctrl-C.
    """
    token = CancellationToken()

    def stop(_number: int, _frame: FrameType | None) -> None:
        """Ask the work to stop; asked again, end it at once."""
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()
        console.note("stopping; press Ctrl-C again to stop at once")

    # Only the main thread may set handlers; a caller in another thread keeps its own way to stop.
    numbers = (signal.SIGINT, signal.SIGTERM) if _in_main_thread() else ()
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield token
    except CancelledError:
        raise Interrupted(ending) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
