"""Processes as jobs of Slurm, by dask-jobqueue: what is asked for, and the script that is submitted."""

from __future__ import annotations

import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_nic.disk import writing_to
from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken

NAME = "napari-nic"
"""Of the jobs."""

ONE_GPU = "NAPARI_NIC_ONE_GPU"
"""Set for the processes of a job that share out its GPUs, see :func:`napari_nic.runs.remote.dask_setup`."""

_START_SECONDS = 600
"""A job that has not reached this machine by then ends: its processes load for minutes on a busy node."""

_UNKNOWN = "tls://SCHEDULER:PORT"
_TIME = re.compile(r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}")
_WORD = re.compile(r"[\w.@+/,:=-]+")


@dataclass(frozen=True)
class SlurmPlan:
    """Jobs to ask Slurm for.

    Attributes
    ----------
    jobs : int
        How many; each works on one slide at a time, or on one a GPU.
    partition, account : str
        The site's default where empty.
    time : str
        As Slurm writes it, such as ``"12:00:00"``.
    memory : str
        Of a job, such as ``"16GB"``.
    cores : int
        Of a job.
    gpus : int
        Of a job; a process for each, which sees no other.
    logs : Path, optional
        Folder of what the jobs print; their output is where Slurm puts it by default otherwise.
    interface : str
        Network interface by which the jobs reach this machine, such as ``"ib0"``.
    """

    jobs: int
    partition: str = ""
    account: str = ""
    time: str = "12:00:00"
    memory: str = "16GB"
    cores: int = 4
    gpus: int = 0
    logs: Path | None = None
    interface: str = ""

    def __post_init__(self) -> None:
        if not _TIME.fullmatch(self.time):
            raise InvalidParameterError(
                "this is no length of time", expected="as Slurm writes it: 12:00:00, or 2-00", found=self.time
            )
        for name in ("partition", "account", "interface"):
            word = getattr(self, name)
            if word and not _WORD.fullmatch(word):  # it becomes a line of a script
                raise InvalidParameterError(f"this is no name of a Slurm {name}", found=word)

    @property
    def processes(self) -> int:
        """Of a job."""
        return max(1, self.gpus)

    @property
    def threads(self) -> int:
        """Of a process."""
        return max(1, self.cores // self.processes)


def job_script(plan: SlurmPlan, config: Mapping[str, Any]) -> str:
    """Return what would be submitted for each job; the scheduler's address is known when it runs.

    Raises
    ------
    MissingDependencyError
        If dask-jobqueue is not installed.
    """
    jobqueue = require("dask_jobqueue", "jobs of Slurm")
    job = jobqueue.slurm.SLURMJob(_UNKNOWN, name="NAME", **_options(plan, config))
    return str(job.job_script())


@contextmanager
def slurm_cluster(
    plan: SlurmPlan,
    security: Any,
    place: Path,
    config: Mapping[str, Any],
    token: CancellationToken | None = None,
) -> Iterator[Any]:
    """Submit the jobs, and take back those that still run in the end.

    Parameters
    ----------
    plan : SlurmPlan
    security : distributed.Security
        Made for this run.
    place : Path
        Folder on the disk that the jobs share with this machine: the jobs find the certificate in a folder
        below it, which only this user may read, for as long as this lasts.
    config : mapping
        Settings of dask for the processes.
    token : CancellationToken, optional
        Asked while the jobs are submitted.

    Raises
    ------
    MissingDependencyError
        If dask-jobqueue is not installed.
    NicError
        If Slurm refuses the jobs, or is not there.
    CancelledError
    """
    jobqueue = require("dask_jobqueue", "jobs of Slurm")
    with writing_to(place):
        place.mkdir(parents=True, exist_ok=True)
        shared = tempfile.TemporaryDirectory(prefix=f".cluster-{uuid.uuid4().hex[:8]}-", dir=place)
    submissions = _Submissions()
    with shared as folder:  # made for its owner alone
        try:
            cluster = jobqueue.SLURMCluster(
                job_cls=submissions.of(jobqueue.slurm.SLURMJob),
                security=security,
                shared_temp_directory=str(Path(folder).absolute()),
                scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                **_options(plan, config),
            )
            with ExitStack() as opened:
                opened.callback(_close_files, cluster)  # when the cluster is closed
                opened.enter_context(cluster)
                cluster.scale(jobs=plan.jobs)
                submissions.wait(plan.jobs, token or CancellationToken())
                yield cluster
        except _REFUSALS as error:
            if error not in submissions.refused and not _is_of_slurm(error):
                raise
            raise NicError(
                "Slurm did not take the jobs",
                found=" ".join(str(error).split()),
                hint="look at them with --job-script, and at what sbatch says of them",
            ) from error


_REFUSALS = (RuntimeError, OSError, ValueError)
"""What submitting raises: Slurm says no, there is no sbatch, its answer names no job."""

_LOOK_SECONDS = 0.05


class _Submissions:
    """What became of the jobs: of a refused one the library tells only who awaits it at that moment."""

    def __init__(self) -> None:
        self.taken = 0
        self.refused: list[BaseException] = []

    def of(self, kind: Any) -> Any:
        """Derive a class of jobs that are counted here from the library's, `kind`."""

        async def start(job: Any) -> None:
            try:
                await kind.start(job)
                self.taken += 1
            except _REFUSALS as error:
                # As one that began and ended: such a job the library closes without complaint.
                job.status = type(job.status).running
                self.refused.append(error)

        async def close(job: Any) -> None:
            await kind.close(job)
            job.status = type(job.status).closed

        return type("CountedJob", (kind,), {"start": start, "close": close})

    def wait(self, jobs: int, token: CancellationToken) -> None:
        """Return when all are submitted; raise what was raised for the first that was refused."""
        while self.taken < jobs:
            token.checkpoint()
            if self.refused:
                raise self.refused[0]
            time.sleep(_LOOK_SECONDS)


def _close_files(cluster: Any) -> None:
    """Remove the files of the certificate now: the library leaves them to the collector, without a folder."""
    for name, value in list(vars(cluster).items()):
        if name.startswith("_job_") and hasattr(value, "close"):
            value.close()


def _is_of_slurm(error: Exception) -> bool:
    return any(word in str(error) for word in ("sbatch", "scancel"))


def _options(plan: SlurmPlan, config: Mapping[str, Any]) -> dict[str, Any]:
    """Say it in the words of dask-jobqueue; nothing is left to a file of its own settings."""
    exports = [f"export {name}={value}" for name, value in as_environment(config).items()]
    if plan.gpus:
        exports.append(f"export {ONE_GPU}=1")
    return {
        "cores": plan.processes,  # one slide at a time each; their threads are the program's own
        "job_cpu": plan.cores,
        "processes": plan.processes,
        "memory": plan.memory,
        "queue": plan.partition or None,
        "account": plan.account or None,
        "walltime": plan.time,
        "interface": plan.interface or None,
        "job_name": NAME,
        "death_timeout": _START_SECONDS,
        "python": sys.executable,
        "log_directory": None if plan.logs is None else str(plan.logs.absolute()),
        "job_extra_directives": [f"--gres=gpu:{plan.gpus}"] if plan.gpus else [],
        "job_script_prologue": exports,
        "worker_extra_args": ["--no-dashboard", "--preload", "napari_nic.runs.remote"],
    }


def as_environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Return settings of dask as variables of the environment, for processes that others start."""
    plain = {name: value for name, value in config.items() if isinstance(value, str | int)}
    plain = {name: value for name, value in plain.items() if ".scheduler." not in name}
    return {
        f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": f"'{value}'"
        for name, value in plain.items()
    }
