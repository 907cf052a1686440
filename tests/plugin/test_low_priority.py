"""A long job has a thread of its own, which steps back and ends with it."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from napari_nic.errors import CancelledError
from napari_nic.plugin.low_priority import at_low_priority


def facts(log):
    """Three times the thread and its priority; `log` gets the thread that closed the job."""
    try:
        for _ in range(3):
            priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            yield threading.current_thread().name, priority
    finally:
        log.append(threading.current_thread().name)


def test_the_job_runs_in_one_thread_of_its_own():
    names = {name for name, _ in at_low_priority(facts([]), "training")}
    assert names == {"training_0"}
    assert "training_0" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_the_job_steps_back_and_its_caller_does_not():
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert {priority for _, priority in at_low_priority(facts([]), "training")} == {19}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_an_abandoned_job_is_closed_in_its_thread():
    log = []
    job = at_low_priority(facts(log), "training")
    next(job)
    job.close()
    assert log == ["training_0"]


def test_an_error_reaches_the_caller():
    def fails():
        yield 1
        raise CancelledError("stopped")

    job = at_low_priority(fails(), "training")
    assert next(job) == 1
    with pytest.raises(CancelledError):
        next(job)
