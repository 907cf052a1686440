"""Ctrl-C."""

from __future__ import annotations

import signal
import threading

import pytest

from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import Interrupted, stoppable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_cancels_the_job(number: int) -> None:
    def job() -> None:
        with stoppable(Console(quiet=True)) as token:
            signal.raise_signal(number)
            assert token.cancelled
            token.checkpoint()

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="goes on from there"):
        job()
    assert signal.getsignal(number) is before


def test_second_signal_stops_at_once() -> None:
    def job() -> None:
        with stoppable(Console(quiet=True)):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        job()


def test_exit_code_is_the_usual_one() -> None:
    assert Interrupted.exit_code == 130


def test_outside_the_main_thread_no_handler_is_set() -> None:
    seen: list[bool] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with stoppable(Console()):
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
