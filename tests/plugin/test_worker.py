"""Reports are thinned out, threads end, errors are told."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Generator
from functools import partial

import pytest

from napari_nic.errors import DeviceError, StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.worker import SWITCH_SECONDS, Callbacks, ThreadRunner, throttled


class Clock:
    """Advances by one step at every look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def merge(older: list[int], newer: list[int]) -> list[int]:
    return older + newer


def test_first_report_comes_at_once_and_none_is_lost():
    reports = [[n] for n in range(10)]
    passed = list(throttled(iter(reports), merge, seconds=1.0, clock=Clock(0.4)))
    assert passed[0] == [0]
    assert [n for report in passed for n in report] == list(range(10))
    assert len(passed) < 6


def test_slow_reports_are_passed_on_one_by_one():
    reports = [[n] for n in range(4)]
    assert list(throttled(iter(reports), merge, seconds=0.1, clock=Clock(1.0))) == reports


def test_no_report():
    assert list(throttled(iter([]), merge)) == []


class Log:
    """What reached the main thread, and whether it did so there."""

    def __init__(self) -> None:
        self.main = threading.get_ident()
        self.events: list[tuple[str, object]] = []

    def note(self, what: str, value: object = None) -> None:
        assert threading.get_ident() == self.main
        self.events.append((what, value))

    def callbacks(self) -> Callbacks:
        return Callbacks(
            yielded=partial(self.note, "yielded"),
            returned=partial(self.note, "returned"),
            failed=partial(self.note, "failed"),
            finished=partial(self.note, "finished"),
        )

    @property
    def ended(self) -> bool:
        return ("finished", None) in self.events


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.gui
def test_reports_arrive_in_the_main_thread(qtbot, log):
    def make(token: CancellationToken) -> Generator[int, None, str]:
        assert threading.get_ident() != log.main
        yield 1
        yield 2
        return "done"

    ThreadRunner().start("count", make, log.callbacks())
    qtbot.waitUntil(lambda: log.ended)
    assert log.events == [("yielded", 1), ("yielded", 2), ("returned", "done"), ("finished", None)]


@pytest.mark.gui
@pytest.mark.parametrize("error", [StoreError("disk full"), DeviceError("no GPU"), RuntimeError("odd")])
def test_every_error_is_told(qtbot, log, error):
    def make(token: CancellationToken) -> Generator[int, None, None]:
        yield 1
        raise error

    ThreadRunner().start("fail", make, log.callbacks())
    qtbot.waitUntil(lambda: log.ended)
    assert log.events[1:] == [("failed", error), ("finished", None)]


def endless(closed: threading.Event, token: CancellationToken) -> Generator[int, None, None]:
    """Count until the token stops it; `closed` tells that it was really ended."""
    try:
        count = 0
        while True:
            token.checkpoint()
            yield (count := count + 1)
    finally:
        closed.set()


@pytest.mark.gui
def test_cancelling_is_no_error(qtbot, log):
    closed = threading.Event()
    runner = ThreadRunner()
    job = runner.start("endless", partial(endless, closed), log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 2)
    job.cancel()
    qtbot.waitUntil(lambda: log.ended)
    assert closed.is_set()
    assert {what for what, _ in log.events} == {"yielded", "finished"}
    assert runner.jobs == ()


@pytest.mark.gui
def test_shutdown_waits_and_is_silent(qtbot, log):
    closed = threading.Event()
    runner = ThreadRunner()
    runner.start("endless", partial(endless, closed), log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 2)
    runner.shutdown()
    assert closed.is_set()
    told = len(log.events)
    qtbot.wait(20)
    assert len(log.events) == told


@pytest.mark.gui
def test_paused_job_shuts_down(qtbot, log):
    closed = threading.Event()
    runner = ThreadRunner()
    job = runner.start("endless", partial(endless, closed), log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 2)
    job.token.pause()
    runner.shutdown()
    assert closed.is_set()


@pytest.mark.gui
def test_the_loop_paints_between_two_reports(qtbot):
    """What one report asks to be painted is painted before the next report is handled."""
    from qtpy.QtWidgets import QWidget

    happened: list[object] = []

    class Canvas(QWidget):
        def paintEvent(self, event: object) -> None:  # noqa: N802 -- Qt's name
            happened.append("painted")

    canvas = Canvas()
    qtbot.addWidget(canvas)
    with qtbot.waitExposed(canvas):
        canvas.show()
    qtbot.waitUntil(lambda: bool(happened))
    happened.clear()

    def on_yielded(value: int) -> None:
        happened.append(value)
        canvas.update()

    def make(token: CancellationToken) -> Generator[int, None, None]:
        yield from (1, 2, 3)

    runner = ThreadRunner()
    runner.start("paint", make, Callbacks(yielded=on_yielded))
    qtbot.waitUntil(lambda: not runner.jobs and happened[-1] == "painted")
    assert happened == [1, "painted", 2, "painted", 3, "painted"]


@pytest.mark.gui
def test_a_report_that_opens_a_dialog_does_not_hold_up_the_others(qtbot):
    handled: list[int] = []

    def on_yielded(value: int) -> None:
        if value == 1:
            qtbot.waitUntil(lambda: handled == [2, 3])  # an event loop within, as a dialog has
        handled.append(value)

    def make(token: CancellationToken) -> Generator[int, None, None]:
        yield from (1, 2, 3)

    runner = ThreadRunner()
    runner.start("dialog", make, Callbacks(yielded=on_yielded))
    qtbot.waitUntil(lambda: not runner.jobs)
    assert handled == [2, 3, 1]


@pytest.mark.gui
def test_what_was_there_is_not_searched_for_garbage_while_a_job_runs(qtbot, log):
    runner = ThreadRunner()
    frozen = gc.get_freeze_count()
    job = runner.start("endless", partial(endless, threading.Event()), log.callbacks())
    assert gc.get_freeze_count() > frozen
    job.cancel()
    qtbot.waitUntil(lambda: log.ended)
    assert gc.get_freeze_count() == 0


@pytest.mark.gui
def test_threads_take_turns_more_often_while_jobs_of_any_runner_run(qtbot, log):
    runners = [ThreadRunner(), ThreadRunner()]  # two docks
    usual, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    jobs = [each.start("endless", partial(endless, threading.Event()), log.callbacks()) for each in runners]
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS, rel=0.02)  # kept in whole microseconds
    assert sys.getswitchinterval() < usual
    jobs[0].cancel()
    qtbot.waitUntil(lambda: not runners[0].jobs)
    assert sys.getswitchinterval() < usual
    assert gc.get_freeze_count() > frozen
    runners[1].shutdown()
    assert sys.getswitchinterval() == pytest.approx(usual)
    assert gc.get_freeze_count() == 0


class Held:
    """Something large that a job works on."""

    def take(self, value):
        self.value = value


@pytest.fixture(params=["in a window", "alone"])
def surroundings(request) -> None:
    """With a window napari lists the worker among its tasks, and with it whatever the worker holds."""
    if request.param == "in a window":
        request.getfixturevalue("make_napari_viewer")()


@pytest.mark.gui
@pytest.mark.usefixtures("surroundings")
def test_a_job_that_has_ended_holds_nothing(qtbot):
    """What was connected is kept: the slide and the dock of every job would stay for good."""
    runner, held = ThreadRunner(), Held()
    gone = weakref.ref(held)

    def make(token, held=held):
        yield 1
        return held

    runner.start("a job", make, Callbacks(yielded=held.take, returned=held.take))
    qtbot.waitUntil(lambda: not runner.jobs)
    del held, make
    gc.unfreeze()
    gc.collect()
    assert gone() is None
    runner.shutdown()


@pytest.mark.gui
@pytest.mark.usefixtures("surroundings")
def test_a_job_that_was_shut_down_holds_nothing(qtbot):
    runner, held = ThreadRunner(), Held()
    gone = weakref.ref(held)

    def make(token, held=held):
        yield from endless(threading.Event(), token)
        held.take(1)

    runner.start("a job", make, Callbacks(returned=held.take))
    runner.shutdown()
    del held, make
    gc.collect()
    assert gone() is None


@pytest.mark.gui
def test_a_window_keeps_no_workers(make_napari_viewer, qtbot):
    """Thousands of jobs are done in a day."""
    make_napari_viewer()
    runner, started = ThreadRunner(), threading.Event()

    def make(token):
        started.wait(30)  # one that ends while it is being started is kept by Qt's binding
        yield 1

    job = runner.start("a job", make, Callbacks())
    worker = weakref.ref(runner._jobs[job])
    started.set()
    qtbot.waitUntil(lambda: not runner.jobs)
    qtbot.waitUntil(lambda: gc.collect() >= 0 and worker() is None)


@pytest.mark.gui
def test_closing_the_window_still_cancels_through_the_task_list(make_napari_viewer, qtbot, log):
    viewer = make_napari_viewer()
    runner, closed = ThreadRunner(), threading.Event()
    job = runner.start("endless", partial(endless, closed), log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 2)
    viewer.window._task_status_manager.cancel_all()
    qtbot.waitUntil(lambda: log.ended)
    assert closed.is_set()
    assert job.token.cancelled
