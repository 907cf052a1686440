"""Processes that share the slides, by dask.distributed: of this machine, one a GPU, or of a running cluster.

One slide is one task, and what comes back are a few numbers; the folder of the run is the truth. Few slides
more than there are processes are handed out at a time, so that neither scheduler nor this process grows with
the cohort. A slide whose process died is tried once more at the end, alone, and then marked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import usable_cores
from napari_nic.runs.handing_out import ClusterPool
from napari_nic.runs.slurm import SlurmPlan, slurm_cluster
from napari_nic.telling import Notices, tell

_START_SECONDS = 120.0
"""So long processes may take to start, or a cluster to have any."""

_LOOK_SECONDS = 0.1
"""So often a run that waits for processes looks whether it is to stop."""

CONFIG = {
    # A process that dies is no fault of the slides that waited for it: which one it was is seen alone.
    "distributed.scheduler.allowed-failures": 0,
    # A library that holds the interpreter keeps a process from answering for long.
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.scheduler.no-workers-timeout": "10 minutes",
    "distributed.worker.daemon": False,
    # Memory that a process keeps for its next slide is no reason to give it none: it would pause for good.
    "distributed.worker.memory.pause": False,
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
        If no process has come up after two minutes, or the cluster cannot be reached; with some of those that
        were asked for the work goes on, which is told. Jobs of Slurm are
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
            made = _made(distributed, plan, security, place or Path(), token)
            cluster = opened.enter_context(made)
            client = opened.enter_context(
                distributed.Client(cluster, security=security, set_as_default=False)
            )
        _wait_for_processes(client, plan, token or CancellationToken())
        yield ClusterPool(client, threads=plan.threads)


def _made(
    distributed: Any, plan: ClusterPlan, security: Any, place: Path, token: CancellationToken | None
) -> Any:
    if plan.slurm is not None:
        return slurm_cluster(plan.slurm, security, place, plan.config, token)
    return _local(distributed, plan, security)


def _wait_for_processes(client: Any, plan: ClusterPlan, token: CancellationToken) -> None:
    """Wait for all that were started here, else for the first; who waits in the library is deaf to Ctrl-C."""
    end = time.monotonic() + _START_SECONDS
    while (there := len(client.nthreads())) < max(1, plan.processes):
        token.checkpoint()
        if plan.slurm is None and time.monotonic() > end:
            break
        time.sleep(_LOOK_SECONDS)
    if not there:
        raise NicError(
            "the cluster has no processes that could work",
            found=f"none after {_START_SECONDS:g} s",
            hint="start workers for it, then do the same again",
        )
    if there < plan.processes:
        # One that loses its first connection, on a busy machine, ends and is not started again.
        tell(Notices("processes", (f"{there} of {plan.processes} have started: the work goes on with them",)))


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
