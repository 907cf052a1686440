"""Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from napari_nic.cli import interrupt
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import Interrupted, stoppable
from napari_nic.jobs import CancellationToken


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


STUCK = {
    "python code": "while True: pass",
    "a lock": "import threading; threading.Event().wait()",
    "an import": "sys.path.insert(0, sys.argv[1]); import slow",
    "a library that never returns": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "an exception that is held back": "\nwhile True:\n try:\n  time.sleep(0.1)\n except Exception: pass",
}

PROGRAM = """
import sys, time
from napari_nic.cli import main as cli
from napari_nic.cli.interrupt import stoppable

def run(args, console):
    with stoppable(console) as token:
        print("working", flush=True)
        {work}
    return 0

cli.info.run.__code__ = run.__code__
cli.info.__dict__.update(stoppable=stoppable, sys=sys, time=time)
sys.exit(cli.main(["info", "any"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", STUCK.values(), ids=STUCK)
def test_what_comes_to_no_safe_point_is_stopped_too(tmp_path: Path, work: str, number: int) -> None:
    (tmp_path / "slow.py").write_text("import time\nwhile True: time.sleep(0.01)\n")
    program = PROGRAM.format(work=work.replace("\n", "\n        "))
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603 - our own lines
        try:
            assert process.stdout.readline() == "working\n"
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in told


def test_a_job_that_hears_is_given_the_time_to_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(interrupt, "_interrupt_main", lambda: pytest.fail("it is storing"))

    def job() -> None:
        with stoppable(Console(quiet=True)) as token:
            child = CancellationToken(token)
            signal.raise_signal(signal.SIGINT)
            try:
                child.checkpoint()
            finally:
                assert token.noticed
                (watch,) = [t for t in threading.enumerate() if t.name == "interrupt"]
                watch.join(30)  # what is stored takes longer than its patience
                assert not watch.is_alive()

    with pytest.raises(Interrupted):
        job()
