"""Background work for the screen: the only place of the plugin that starts threads.

A job is a generator made by a function of one :class:`~napari_nic.jobs.CancellationToken`. It runs in a
thread of napari's ``create_worker``; what it yields arrives in the main thread. :class:`Runner` is what the
controllers see of it, so that their tests run jobs in place, without Qt and without threads.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.heaps import keep_few_heaps

MakeJob = Callable[[CancellationToken], Generator[Any, None, Any]]

UPDATE_SECONDS = 0.13
"""Reports reach the screen at most this often: seven to eight times a second look fluent, and replacing a
large overlay costs about 30 ms of the main thread."""

SHUTDOWN_MS = 30_000
"""How long a closing window waits for jobs to store what they finished."""

SWITCH_SECONDS = 1e-4
"""While jobs run, a thread that wants to run Python waits this long before it asks another one to let go.

By default it waits 5 ms. The main thread lets go, and has to ask again, at each call of Qt and OpenGL: a
frame of hundreds of calls beside one job that computes in Python then took 0.2 s.
"""


def _ignore(*_: Any) -> None:
    return None


@dataclass(frozen=True)
class Callbacks:
    """What happens in the main thread; `finished` comes last, however the job ended.

    `heard` comes after each pause, when the job waits.
    """

    yielded: Callable[[Any], None] = _ignore
    returned: Callable[[Any], None] = _ignore
    failed: Callable[[Exception], None] = _ignore
    finished: Callable[[], None] = _ignore
    heard: Callable[[], None] = _ignore


@dataclass(eq=False)
class Job:
    """A job that was started."""

    title: str
    token: CancellationToken = field(default_factory=CancellationToken)
    running: bool = True

    def cancel(self) -> None:
        """Ask the job to stop at its next checkpoint."""
        self.token.cancel()


class Runner(Protocol):
    """Starts jobs."""

    def start(self, title: str, make: MakeJob, callbacks: Callbacks) -> Job:
        """Start the generator that ``make(token)`` returns; `title` is what the user reads."""
        ...

    def shutdown(self) -> None:
        """Cancel all jobs and wait until they have ended."""
        ...


def throttled(
    reports: Iterable[Any],
    merge: Callable[[Any, Any], Any],
    *,
    seconds: float = UPDATE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Any]:
    """Pass reports on at most every `seconds`; those between are merged, none is lost.

    Parameters
    ----------
    reports : iterable
        The first one is passed on at once.
    merge : callable
        ``merge(older, newer)`` returns one report that says what both said.
    """
    waiting: Any = None
    last = -float("inf")
    for report in reports:
        waiting = report if waiting is None else merge(waiting, report)
        if clock() - last >= seconds:
            yield waiting
            waiting, last = None, clock()
    if waiting is not None:
        yield waiting


class _Titled(functools.partial[Any]):
    """A generator function that prints as its title: napari shows it when it asks whether to close."""

    title: str

    def __str__(self) -> str:
        return self.title

    def __format__(self, spec: str) -> str:
        return format(self.title, spec)


class _Heard:
    """Stands among the reports for a pause that has been heard."""


@dataclass(frozen=True)
class _Failed:
    error: Exception


class _Work:
    """What a worker is to do.

    napari keeps every worker in a list of its window's tasks, and every window that ever was: a worker must
    lead to nothing that is larger than itself, neither after its work nor when it never began.
    """

    def __init__(self, make: MakeJob, token: CancellationToken) -> None:
        self._make: MakeJob | None = make
        self._token = token

    def take(self) -> tuple[MakeJob, CancellationToken]:
        """Hand it over to the one who does it."""
        make, self._make = self._make, None
        if make is None:
            raise CancelledError("the job was taken back")
        return make, self._token

    def drop(self) -> None:
        """Let it go: it has ended, or shall not begin any more."""
        self._make = None


def _run(work: _Work) -> Generator[Any, None, Any]:
    """Run a job; being cancelled is an ordinary end."""
    try:
        make, token = work.take()
        return (yield from make(token))
    except CancelledError:
        return None
    except Exception as error:  # noqa: BLE001 -- whatever ends a job is told to the user, none is swallowed
        # Not through the worker: it takes every RuntimeError (a missing GPU is one) for its own deletion and
        # ends without a word, and napari 0.9 connects to its `errored` a callback that cannot be called.
        return _Failed(error)


class _Inbox:
    """Calls that wait in the main thread; one is made in each turn of the event loop.

    Qt handles the signals that came from threads, and the painting that they ask for, in one go. Taken one by
    one from a timer, they leave the loop time to paint and to take the user's events in between.
    """

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self._calls: deque[Callable[[], None]] = deque()
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._next)

    def put(self, call: Callable[..., None], *values: Any) -> None:
        """Call it with these values when its turn comes."""
        self._calls.append(functools.partial(call, *values))
        self._timer.start()

    def clear(self) -> None:
        """Forget what waits."""
        self._calls.clear()
        self._timer.stop()

    def _next(self) -> None:
        call = self._calls.popleft()
        # A timer whose timeout is being handled fires no second time. Started anew it does, so that a call
        # which opens a dialog does not hold up what waits.
        self._timer.stop()
        if self._calls:
            self._timer.start()
        call()


class _Company:
    """What the interpreter does differently while jobs run beside the main thread.

    The garbage collector leaves alone what was there before: to search all objects of napari and PyTorch
    takes it 0.2 s, in which no thread does anything. And threads take turns more often, see
    :data:`SWITCH_SECONDS`. Both are settings of the process, so all runners share one company: each dock has
    a runner of its own.
    """

    def __init__(self) -> None:
        self._busy: weakref.WeakSet[object] = weakref.WeakSet()
        self._usual: float | None = None

    def join(self, runner: object) -> None:
        """Jobs of this runner run from now on."""
        self._busy.add(runner)
        if self._usual is None:
            gc.freeze()
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(min(self._usual, SWITCH_SECONDS))

    def freeze(self) -> None:
        """Leave alone what is there by now, if any job runs."""
        if self._usual is not None:
            gc.freeze()

    def leave(self, runner: object) -> None:
        """No job of this runner runs any more."""
        self._busy.discard(runner)
        if self._usual is not None and not self._busy:
            gc.unfreeze()
            sys.setswitchinterval(self._usual)
            self._usual = None


_COMPANY = _Company()


def leave_alone() -> None:
    """Let the garbage collector leave alone also what came since jobs run, for as long as some run."""
    _COMPANY.freeze()


@dataclass(eq=False)
class _Told:
    """What a worker tells of its job, passed on in the main thread while the runner is open."""

    runner: ThreadRunner
    job: Job
    callbacks: Callbacks
    work: _Work

    def yielded(self, value: Any) -> None:
        if self.runner.closed:
            return
        if isinstance(value, _Heard):
            self.callbacks.heard()
        else:
            self.callbacks.yielded(value)

    def returned(self, value: Any) -> None:
        if isinstance(value, _Failed):
            self.failed(value.error)
        elif not (self.runner.closed or self.job.token.cancelled):
            self.callbacks.returned(value)

    def failed(self, error: Exception) -> None:
        if not self.runner.closed:
            self.callbacks.failed(error)

    def finished(self) -> None:
        finished = self.callbacks.finished
        self.runner.forget(self.job)  # and with it all that this holds
        if not self.runner.closed:
            finished()

    def release(self) -> None:
        """Let go of all that the job and its callbacks hold: the slide, the store and the dock.

        The signals of a worker keep what was connected to them for as long as there is a worker.
        """
        self.work.drop()
        self.callbacks, self.job = Callbacks(), Job(self.job.title)


class ThreadRunner:
    """Runs jobs in napari's worker threads and tells the main thread about them.

    Attributes
    ----------
    closed : bool
        Whether it was shut down; jobs report no more then.
    """

    def __init__(self) -> None:
        self._jobs: dict[Job, Any] = {}
        self._told: dict[Job, _Told] = {}
        self.closed = False
        keep_few_heaps()

    @functools.cached_property
    def _inbox(self) -> _Inbox:
        return _Inbox()

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Jobs that have not ended."""
        return tuple(self._jobs)

    def start(self, title: str, make: MakeJob, callbacks: Callbacks) -> Job:
        """See :class:`Runner`."""
        from napari.qt.threading import create_worker

        job = Job(title)
        work = _Work(make, job.token)
        function = _Titled(_run, work)
        function.title = title
        worker = create_worker(
            function, _start_thread=False, _ignore_errors=True, _worker_class=_worker_class()
        )
        worker.token = job.token
        # Qt hands it to the main thread from whichever thread of the job waits first.
        job.token.when_heard(functools.partial(_tell_heard, weakref.ref(worker)))
        told = _Told(self, job, callbacks, work)
        worker.yielded.connect(functools.partial(self._inbox.put, told.yielded))
        worker.returned.connect(functools.partial(self._inbox.put, told.returned))
        worker.errored.connect(functools.partial(self._inbox.put, told.failed))
        worker.finished.connect(functools.partial(self._inbox.put, told.finished))
        _COMPANY.join(self)
        self._jobs[job], self._told[job] = worker, told
        worker.start()
        return job

    def forget(self, job: Job) -> None:
        """Take a job that has ended out of the list."""
        job.running = False
        self._jobs.pop(job, None)
        if job in self._told:
            self._told.pop(job).release()
        if not self._jobs:
            _COMPANY.leave(self)

    def shutdown(self) -> None:
        """Cancel all jobs and wait until they have stored what they finished; none reports any more."""
        from qtpy.QtCore import QThreadPool

        self.closed = True
        workers = list(self._jobs.values())
        for worker in workers:
            worker.quit()
        if workers:
            QThreadPool.globalInstance().waitForDone(SHUTDOWN_MS)
        for job in self._jobs:
            job.running = False
        self._jobs.clear()
        for told in self._told.values():
            told.release()
        self._told.clear()
        if workers:
            self._inbox.clear()
        _COMPANY.leave(self)


def _tell_heard(worker: weakref.ref[Any]) -> None:
    # Weakly, as below: a circle through the slots of Qt's signals is one that Python does not see.
    alive = worker()
    if alive is not None:
        alive.yielded.emit(_Heard())


def _quit(worker: weakref.ref[Any]) -> None:
    alive = worker()
    if alive is not None:
        alive.stop()


@functools.cache
def _worker_class() -> type:
    """Make the worker class at first use: Qt is imported only when a job starts.

    It derives from superqt's worker and not from napari's, which shows every error as a traceback.
    """
    from superqt.utils import GeneratorWorker

    class TokenWorker(GeneratorWorker):
        """A worker whose ``quit``, which napari calls when its window closes, reaches the token."""

        token: CancellationToken

        @property
        def quit(self) -> Callable[[], None]:
            # napari keeps it for as long as the program runs: it must not keep the worker.
            return functools.partial(_quit, weakref.ref(self))

        def stop(self) -> None:
            """Stop at the next checkpoint."""
            self.token.cancel()
            super().quit()

        def work(self) -> Any:
            try:
                return super().work()
            finally:
                # An abandoned generator still holds its threads and unwritten results: end it here, in the
                # thread that ran it, and not whenever the garbage collector comes by.
                self._gen.close()

    return TokenWorker
