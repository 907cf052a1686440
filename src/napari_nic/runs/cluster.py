"""Processes that share the slides, by dask.distributed: of this machine, one a GPU, or of a running cluster.

One slide is one task, and what comes back are a few numbers; the folder of the run is the truth. Few slides
more than there are processes are handed out at a time, so that neither scheduler nor this process grows with
the cohort. A slide whose process died is tried once more at the end, alone, and then marked.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
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
from napari_nic.runs.slurm import SlurmPlan, slurm_cluster

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
    # What is told of every task, and of what its process does, is for pages that nobody opens.
    "distributed.diagnostics.computations.nframes": 0,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.profile.enabled": False,
    # Pages for browsers have no certificate: none but that somebody is there.
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": ["distributed.http.health"],
    "distributed.comm.timeouts.connect": "60 s",
    "distributed.comm.timeouts.tcp": "5 minutes",
}
"""Settings of dask for clusters that are started here."""

_WAITING_LONG = {"distributed.scheduler.no-workers-timeout": "7 days"}
"""A queue may be longer than a job is."""


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
    slurm : SlurmPlan, optional
        Jobs of Slurm.
    dashboard : bool
        Whether dask's page for browsers is shown, on this machine alone; any user of it can look at it.
    """

    workers: int = 0
    gpus: tuple[str, ...] = ()
    scheduler: str = ""
    slurm: SlurmPlan | None = None
    dashboard: bool = False

    def __post_init__(self) -> None:
        if sum(map(bool, (self.workers, self.gpus, self.scheduler, self.slurm))) != 1:
            raise InvalidParameterError(
                "it is not clear which processes work",
                expected="one of --workers, --gpus, --scheduler and --slurm",
            )
        if len(set(self.gpus)) != len(self.gpus):
            raise InvalidParameterError("a GPU is named twice", found=", ".join(self.gpus))

    @property
    def processes(self) -> int:
        """Processes that are started here."""
        return self.workers or len(self.gpus)

    @property
    def config(self) -> dict[str, Any]:
        """Settings of dask."""
        more = {} if self.slurm is None else _WAITING_LONG
        return {name: value for name, value in {**CONFIG, **more}.items() if not self._shows(name)}

    def _shows(self, name: str) -> bool:
        return self.dashboard and name == "distributed.scheduler.http.routes"

    @property
    def threads(self) -> int:
        """Of one process."""
        if self.slurm is not None:
            return self.slurm.threads
        return max(1, usable_cores() // max(1, self.processes))


@contextmanager
def cluster_pool(
    plan: ClusterPlan, *, place: Path | None = None, token: CancellationToken | None = None
) -> Iterator[ClusterPool]:
    """Start processes, or connect to those of a cluster, for the length of a ``with`` block.

    What is started here listens on this machine only, but for jobs of Slurm, and answers only to who has the
    certificate that is made for this run.

    Parameters
    ----------
    plan : ClusterPlan
    place : Path, optional
        Folder of the run, through which jobs of Slurm get the certificate.
    token : CancellationToken, optional
        Asked while processes are waited for.

    Raises
    ------
    MissingDependencyError
        If dask.distributed, or what else the plan needs, is not installed.
    NicError
        If no process has come up after two minutes, or the cluster cannot be reached. Jobs of Slurm are
        waited for as long as they are in its queue.
    CancelledError
    """
    distributed = require("distributed", "several processes")
    dask = require("dask", "several processes")
    if plan.dashboard:
        require("bokeh", "dask's page for browsers")
    with ExitStack() as opened:
        opened.enter_context(dask.config.set(plan.config))
        if plan.scheduler:
            client = opened.enter_context(_reached(distributed, plan.scheduler))
        else:
            security = distributed.Security.temporary()
            made = _made(distributed, plan, security, place or Path())
            cluster = opened.enter_context(made)
            client = opened.enter_context(
                distributed.Client(cluster, security=security, set_as_default=False)
            )
        _wait_for_processes(client, plan, token or CancellationToken())
        yield ClusterPool(client, threads=plan.threads)


def _made(distributed: Any, plan: ClusterPlan, security: Any, place: Path) -> Any:
    if plan.slurm is not None:
        return slurm_cluster(plan.slurm, security, place, plan.config)
    return _local(distributed, plan, security)


def _wait_for_processes(client: Any, plan: ClusterPlan, token: CancellationToken) -> None:
    """Wait for all that were started here, else for the first; who waits in the library is deaf to Ctrl-C."""
    end = time.monotonic() + _START_SECONDS
    while len(client.nthreads()) < max(1, plan.processes):
        token.checkpoint()
        if plan.slurm is None and time.monotonic() > end:
            raise NicError(
                "the cluster has no processes that could work",
                found=f"none after {_START_SECONDS:g} s",
                hint="start workers for it, then do the same again",
            )
        time.sleep(_LOOK_SECONDS)


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
            "dashboard": plan.dashboard,
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

    @property
    def dashboard(self) -> str:
        """Address of dask's page for browsers; empty where there is none."""
        return str(self.client.dashboard_link or "")

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
        if order.copies is not None:
            order.copies.begin(paths, order.is_wanted)
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


_TAKEN_BACK = (concurrent.futures.CancelledError, asyncio.CancelledError)


@contextmanager
def _reached_still() -> Iterator[None]:
    """Say what the library's errors mean once the scheduler is gone: it takes back what it was given."""
    try:
        yield
    except NicError:
        raise
    except (OSError, *_TAKEN_BACK) as error:
        raise NicError(
            "the cluster's scheduler has ended, or cannot be reached any more",
            found=" ".join(str(error).split()) or type(error).__name__,
            hint="what is stored is kept; when it runs again, the same command goes on",
        ) from error


_Ended: TypeAlias = tuple[Path, BaseException | None, Any]
"""A slide, what its process raised, and what it answered."""


class _Work:
    """Slides that are handed out."""

    def __init__(self, pool: ClusterPool, order: Order, stop: Path, token: CancellationToken) -> None:
        self._work, self._client, self._token = pool.work, pool.client, token
        self._copies = order.copies
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
            while waiting and self._is_near(waiting[0]):
                with _reached_still():
                    if len(self._at_work) >= self._room():
                        break
                    path = waiting.popleft()
                    self._hand_out(path)
                yield RunProgress(0, 0, "at work", name=path.name)
            for path, error, value in self._ended():
                if self._copies is not None:
                    self._copies.drop(path)
                if isinstance(error, KilledWorker):
                    self.lost.append(path)
                elif isinstance(error, _TAKEN_BACK):
                    with _reached_still():
                        raise error
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

    def _is_near(self, path: Path) -> bool:
        """Whether a slide was copied, or need not be."""
        return self._copies is None or self._copies.is_ready(path)

    def _hand_out(self, path: Path) -> None:
        copy = None if self._copies is None else self._copies.take(path, self._token)
        future = self._client.submit(
            self._work,
            str(path.absolute()),
            *self._common,
            *([] if copy is None else [str(copy.absolute())]),
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
