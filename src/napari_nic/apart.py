"""Try a file in another process first: a library in C that a damaged file crashes takes that one down.

The process is kept and asked again, since starting one takes longer than most files. It ends when it has
crashed, when nothing was asked of it for a minute, and with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from enum import Enum
from pathlib import Path

from napari_nic.errors import NicError

SECONDS, BYTES_PER_SECOND = 8.0, 10 * 2**20
"""Time that reading any file may take there, and more for each so many bytes: a slow disk is no damage."""

IDLE_SECONDS = 60.0
"""So long a process waits for another file."""

_MOST_IDLE = 2

_CHILD = """
import contextlib, faulthandler, importlib, json, os, pathlib, queue, signal, sys, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for whoever asks
answers = os.fdopen(os.dup(1), "wb", 0)
os.dup2(2, 1)  # what a reader prints is no answer
asked = queue.SimpleQueue()
def listen():
    for line in sys.stdin.buffer:
        asked.put(line)
    os._exit(0)
threading.Thread(target=listen, daemon=True).start()
while True:
    try:
        module, name, path, seconds = json.loads(asked.get(timeout=float(sys.argv[1])))
    except queue.Empty:
        os._exit(0)
    reader = getattr(importlib.import_module(module), name)
    # By a thread of its own that needs no interpreter: also where a library in C runs in circles.
    faulthandler.dump_traceback_later(seconds, exit=True)
    with contextlib.suppress(Exception):
        reader(pathlib.Path(path))
    faulthandler.cancel_dump_traceback_later()
    answers.write(b".")
"""
"""What the reader raises there it raises here again, where it is told."""


class _Outcome(Enum):
    SURVIVED = "survived"
    CRASHED = "crashed"
    ENDLESS = "endless"


class _Tester:
    """A process in which files are read, one after the other.

    Attributes
    ----------
    search : str
        Where it finds modules: what ``sys.path`` was.
    answered : int
        Files that it got through.
    """

    def __init__(self, search: str) -> None:
        self.search, self.answered = search, 0
        # Without -P modules of the working folder, which may be that of the file, would come first.
        self._process = subprocess.Popen(  # noqa: S603 - our own text
            [sys.executable, "-P", "-c", _CHILD, str(IDLE_SECONDS)],
            env=os.environ | {"PYTHONPATH": search},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    @property
    def exit_code(self) -> int | None:
        """As the system gives it; None while the process runs."""
        return self._process.poll()

    def ask(self, reader: str, path: Path, seconds: float) -> _Outcome:
        """Let it read a file, and wait until it has, or has ended."""
        module, _, name = reader.partition(":")
        start = time.monotonic()
        try:
            if self._answer(json.dumps([module, name, str(path), seconds])):
                self.answered += 1
                return _Outcome.SURVIVED
        except BaseException:
            self.end()  # it may be reading for long yet
            raise
        self._process.wait()
        late = time.monotonic() - start >= seconds
        return _Outcome.ENDLESS if late else _Outcome.CRASHED

    def _answer(self, question: str) -> bool:
        pipes = self._process.stdin, self._process.stdout
        assert pipes[0] is not None  # noqa: S101 - both were asked for
        assert pipes[1] is not None  # noqa: S101
        try:
            pipes[0].write(question.encode() + b"\n")
        except OSError:
            return False  # it has ended
        return bool(pipes[1].read(1))

    def end(self) -> None:
        """End it, and free what it holds here."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


_idle: list[_Tester] = []
_lock = threading.Lock()


def check_survives(reader: str, path: Path, error: type[NicError]) -> None:
    """Read a file in another process, to see whether that ends well.

    Parameters
    ----------
    reader : str
        ``"module:function"`` of ours, which takes the path and reads all that will be read.
    path : Path
    error : type
        Kind of error to raise.

    Raises
    ------
    NicError
        Of the kind `error`, if the process crashes or does not end. What the reader itself raises is not told
        here: it will be raised again.
    """
    if not sys.executable:
        return  # an interpreter within another program cannot be started again
    try:
        outcome, code = _outcome_of(reader, path)
    except OSError:
        return  # no process can be started here; the file is read as it is
    if outcome is _Outcome.ENDLESS:
        raise error("reading this file does not end", path=path, hint="get it again")
    if outcome is _Outcome.CRASHED:
        raise error(
            "this file is damaged so badly that the library which reads it fails",
            path=path,
            found=f"exit code {code}",
            hint="get the file again",
        )


def end_testers() -> None:
    """End the processes that wait for another file."""
    with _lock:
        testers, _idle[:] = list(_idle), []
    for tester in testers:
        tester.end()


atexit.register(end_testers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the other process's


def _outcome_of(reader: str, path: Path) -> tuple[_Outcome, int | None]:
    """Ask a process that is there, or a new one; what fails after other files is tried alone."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - its working folder may be another one
    search = os.pathsep.join(entry for entry in sys.path if entry)
    while True:
        tester = _taken(search) or _Tester(search)
        is_new = not tester.answered
        outcome = tester.ask(reader, path, _patience(path))
        if outcome is _Outcome.SURVIVED:
            _put_back(tester)
            return outcome, None
        code = tester.exit_code
        tester.end()
        # An earlier file may have done it harm that shows only now; or it had just ended, having waited long.
        if is_new:
            return outcome, code


def _taken(search: str) -> _Tester | None:
    with _lock:
        for tester in [one for one in _idle if one.search != search]:
            _idle.remove(tester)
            tester.end()
        return _idle.pop() if _idle else None


def _put_back(tester: _Tester) -> None:
    with _lock:
        if len(_idle) < _MOST_IDLE:
            _idle.append(tester)
            return
    tester.end()


def _patience(path: Path) -> float:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return SECONDS + size / BYTES_PER_SECOND
