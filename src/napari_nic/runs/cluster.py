"""Processes that share the slides, by dask.distributed: of this machine, one a GPU, or of a running cluster.

One slide is one task, and what comes back are a few numbers; the folder of the run is the truth. Few slides
more than there are processes are handed out at a time, so that neither scheduler nor this process grows with
the cohort. A slide whose process died is tried once more at the end, alone, and then marked.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import usable_cores
from napari_nic.runs.remote import do_slide
from napari_nic.runs.running import RunProgress
from napari_nic.runs.slide_work import Order, SlideResult, give_up_on

_START_SECONDS = 120.0
"""So long processes may take to start, or a cluster to have any."""

_LOOK_SECONDS = 0.1
"""So often a run that waits for slides looks whether it is to stop."""

_COUNT_SECONDS = 10.0
"""So often the processes are counted."""

_AHEAD = 2
"""Slides that are handed out for each process, the one that it works on included."""

_RETRIES = 2
"""Times a slide is tried again whose process could not write the folder: a network disk that stumbles."""

CONFIG = {
    # A process that dies is no fault of the slides that waited for it: which one it was is seen alone.
    "distributed.scheduler.allowed-failures": 0,
    # A library that holds the interpreter keeps a process from answering for long.
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.scheduler.no-workers-timeout": "10 minutes",
    "distributed.worker.daemon": False,
    # Pages for browsers have no certificate: none but that somebody is there.
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": ["distributed.http.health"],
    "distributed.comm.timeouts.connect": "60 s",
    "distributed.comm.timeouts.tcp": "5 minutes",
}
"""Settings of dask for clusters that are started here."""


@dataclass(frozen=True)
class ClusterPlan:
    """Which processes work.

    Attributes
    ----------
    workers : int
        Processes on this machine.
    gpus : tuple of str
        Numbers of the GPUs of this machine: one process for each, which sees no other.
    scheduler : str
        Address of a cluster that runs already, and is trusted with all that you can do.
    """

    workers: int = 0
    gpus: tuple[str, ...] = ()
    scheduler: str = ""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.workers, self.gpus, self.scheduler))) != 1:
            raise InvalidParameterError(
                "it is not clear which processes work", expected="one of --workers, --gpus and --scheduler"
            )
        if len(set(self.gpus)) != len(self.gpus):
            raise InvalidParameterError("a GPU is named twice", found=", ".join(self.gpus))

    @property
    def processes(self) -> int:
        """Processes that are started here."""
        return self.workers or len(self.gpus)


@contextmanager
def cluster_pool(plan: ClusterPlan) -> Iterator[ClusterPool]:
    """Start processes, or connect to those of a cluster, for the length of a ``with`` block.

    What is started here listens on this machine only, and answers only to who has the certificate that is
    made for this run.

    Raises
    ------
    MissingDependencyError
        If dask.distributed is not installed.
    NicError
        If no process has come up after two minutes, or the cluster cannot be reached.
    """
    distributed = require("distributed", "several processes")
    dask = require("dask", "several processes")
    with ExitStack() as opened:
        opened.enter_context(dask.config.set(CONFIG))
        if plan.scheduler:
            client = opened.enter_context(_reached(distributed, plan.scheduler))
        else:
            security = distributed.Security.temporary()
            cluster = opened.enter_context(_local(distributed, plan, security))
            client = opened.enter_context(
                distributed.Client(cluster, security=security, set_as_default=False)
            )
        try:
            client.wait_for_workers(max(1, plan.processes), timeout=_START_SECONDS)
        except TimeoutError as error:
            raise NicError(
                "the cluster has no processes that could work",
                found=f"none after {_START_SECONDS:g} s",
                hint="start workers for it, then do the same again",
            ) from error
        yield ClusterPool(client, threads=max(1, usable_cores() // max(1, plan.processes)))


def _reached(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_START_SECONDS / 4, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NicError(
            "the cluster's scheduler cannot be reached",
            found=f"{address}: {error}",
            hint="see that it runs, and that its address is right",
        ) from error


def _local(distributed: Any, plan: ClusterPlan, security: Any) -> Any:
    """Describe processes on this machine; a GPU's own sees that GPU alone."""
    common = {
        "nthreads": 1,
        "host": "127.0.0.1",
        "security": security,
        "memory_limit": 0,
        "dashboard": False,
        "preload": ["napari_nic.runs.remote"],
    }
    gpus = plan.gpus or (None,) * plan.workers
    workers = {}
    for number, gpu in enumerate(gpus):
        env = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        workers[number] = {"cls": distributed.Nanny, "options": {**common, "env": env}}
    scheduler = {
        "cls": distributed.Scheduler,
        "options": {
            "host": "127.0.0.1",
            "port": 0,
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
            "security": security,
        },
    }
    return distributed.SpecCluster(workers, scheduler, security=security, silence_logs=_ERRORS)


_ERRORS = 40  # of the standard library's logging


class ClusterPool:
    """Hands slides to the processes of a cluster; a :class:`~napari_nic.runs.running.Pool`.

    Parameters
    ----------
    client : distributed.Client
    threads : int
        Of one process, where the settings say nothing.
    work : callable
        What a process does; takes and returns what :func:`~napari_nic.runs.remote.do_slide` does.
    """

    def __init__(self, client: Any, *, threads: int, work: Callable[..., dict[str, Any]] = do_slide) -> None:
        self.client = client
        self._threads = threads
        self.work = work

    def __call__(
        self, paths: Sequence[Path], order: Order, token: CancellationToken
    ) -> Iterator[RunProgress]:
        """Yield what each slide came to.

        Raises
        ------
        CancelledError
            Processes end at their next safe point.
        StoreError
            If the folder cannot be written.
        """
        stop = order.folder.root / f".stop-{uuid.uuid4().hex}"
        work = _Work(self, self._settled(order), stop, token)
        try:
            yield from work.do(paths)
            # What was at hand when a process died, guilty or not, one after the other.
            for path in list(work.lost):
                work.lost.clear()
                yield from work.do([path])
                if work.lost:
                    result = give_up_on(path, order)
                    yield RunProgress(0, 0, name=path.name, result=replace(result, path=str(path)))
        except BaseException:
            stop.touch()
            work.wait()
            raise
        finally:
            stop.unlink(missing_ok=True)

    def _settled(self, order: Order) -> Order:
        threads = order.settings.threads or self._threads
        return replace(order, settings=replace(order.settings, threads=threads))


_Ended: TypeAlias = tuple[Path, BaseException | None, Any]
"""A slide, what its process raised, and what it answered."""


class _Work:
    """Slides that are handed out."""

    def __init__(self, pool: ClusterPool, order: Order, stop: Path, token: CancellationToken) -> None:
        self._work, self._client, self._token = pool.work, pool.client, token
        # What is the same for all slides: the folder, the settings, the file that says stop.
        folder = str(order.folder.root.absolute())
        self._common = folder, order.settings.to_dict(), str(stop.absolute())
        self._at_work: dict[Any, Path] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._counted, self._processes = float("-inf"), 0
        self.lost: list[Path] = []

    def do(self, paths: Sequence[Path]) -> Iterator[RunProgress]:
        """Hand slides out, a few at a time, and yield what they come to; `lost` are those that are not."""
        from distributed import KilledWorker

        waiting = deque(paths)
        while waiting or self._at_work:
            self._token.checkpoint()
            while waiting and len(self._at_work) < self._room():
                path = waiting.popleft()
                self._hand_out(path)
                yield RunProgress(0, 0, "at work", name=path.name)
            for path, error, value in self._ended():
                if isinstance(error, KilledWorker):
                    self.lost.append(path)
                elif error is not None:
                    raise error
                else:
                    result = replace(SlideResult(**value), path=str(path))
                    yield RunProgress(0, 0, name=path.name, result=result)

    def _room(self) -> int:
        """How many may be handed out; processes of a cluster come and go."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._counted, self._processes = time.monotonic(), sum(self._client.nthreads().values())
        return max(1, self._processes) * _AHEAD

    def _hand_out(self, path: Path) -> None:
        future = self._client.submit(
            self._work,
            str(path.absolute()),
            *self._common,
            key=f"slide-{path.name}-{uuid.uuid4().hex}",
            retries=_RETRIES,
            pure=False,
        )
        self._at_work[future] = path
        # Whoever waits in the library is deaf to Ctrl-C for as long as that takes: its threads fetch results.
        future.add_done_callback(self._fetch)

    def _fetch(self, future: Any) -> None:
        error = future.exception()
        self._done.put((future, error, None if error is not None else future.result()))

    def _ended(self) -> list[_Ended]:
        """Wait a moment for slides that are handed out, and return those that ended."""
        ended: list[_Ended] = []
        try:
            future, *found = self._done.get(timeout=_LOOK_SECONDS)
            while True:
                ended.append((self._at_work.pop(future), *found))
                future.release()
                future, *found = self._done.get_nowait()
        except queue.Empty:
            return ended

    def wait(self) -> None:
        """Wait a little until processes have heard that they are to stop."""
        end = time.monotonic() + _START_SECONDS / 4
        while self._at_work and time.monotonic() < end:
            self._ended()
