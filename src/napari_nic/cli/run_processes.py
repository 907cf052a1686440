"""Who works on the slides of a run: this process, some of this machine, a cluster, jobs of Slurm."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.runs.cluster import ClusterPlan
    from napari_nic.runs.copying import CopyAhead
    from napari_nic.runs.handing_out import ClusterPool
    from napari_nic.runs.slurm import SlurmPlan


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who works."""
    parser.add_argument(
        "--shard",
        type=_part,
        default=(1, 1),
        metavar="I/N",
        help="do every N-th of the slides only, from the I-th: for job arrays, with the same slides in each",
    )
    processes = parser.add_mutually_exclusive_group()
    processes.add_argument(
        "--workers",
        type=arguments.positive_int,
        metavar="N",
        help="processes on this machine, each with a slide of its own; default: one slide with all cores",
    )
    processes.add_argument(
        "--gpus", type=_numbers, metavar="0,1", help="a process for each of these GPUs, which sees no other"
    )
    processes.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="dask scheduler of a cluster that runs already, such as tcp://10.0.0.1:8786: it, and all who "
        "reach it, can do what you can",
    )
    processes.add_argument(
        "--slurm",
        type=arguments.positive_int,
        metavar="JOBS",
        help="so many jobs of Slurm, which this process hands slides to",
    )
    parser.add_argument(
        "--dashboard", action="store_true", help="dask's page for browsers, on this machine alone"
    )
    parser.add_argument(
        "--threads", type=arguments.positive_int, metavar="N", help="of one slide; default: all cores"
    )
    parser.add_argument(
        "--copy-ahead",
        metavar="FOLDER",
        help="copy slides to this folder, on a disk of this machine, before their turn; removed after it",
    )
    parser.add_argument(
        "--copy-limit",
        type=_bytes,
        default=_bytes("50GB"),
        metavar="SIZE",
        help="what the copies may take at a time, such as 50GB, which is the default",
    )
    _add_slurm(parser)


def _add_slurm(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("jobs of Slurm")
    group.add_argument("--partition", default="", metavar="NAME", help="default: the site's")
    group.add_argument("--account", default="", metavar="NAME", help="default: yours")
    group.add_argument("--time", default="12:00:00", metavar="H:M:S", help="of a job; default: 12:00:00")
    group.add_argument("--memory", default="16GB", metavar="SIZE", help="of a job; default: 16GB")
    group.add_argument(
        "--cores", type=arguments.positive_int, default=4, metavar="N", help="of a job; default: 4"
    )
    group.add_argument(
        "--job-gpus",
        type=arguments.positive_int,
        default=0,
        metavar="N",
        help="of a job, with a process for each; default: none",
    )
    group.add_argument("--job-logs", metavar="FOLDER", help="for what jobs print")
    group.add_argument(
        "--interface",
        default="",
        metavar="NAME",
        help="network by which jobs reach us, such as ib0",
    )
    group.add_argument(
        "--job-script", action="store_true", help="print what --slurm would submit for each job, and end"
    )


@contextmanager
def pool_of(args: argparse.Namespace, console: Console, token: Any) -> Iterator[ClusterPool | None]:
    """Start, or reach, the processes that were asked for; None where this one works."""
    plan = _plan(args)
    if plan is None:
        yield None
        return
    from napari_nic.runs.cluster import cluster_pool

    console.note(_begun(plan))
    with cluster_pool(plan, place=Path(args.out), token=token) as pool:
        if args.dashboard and pool.dashboard:
            console.note(f"dask's page: {pool.dashboard}")
        yield pool


def _begun(plan: ClusterPlan) -> str:
    """Say what is waited for."""
    if plan.slurm is not None:
        jobs = counted(plan.slurm.jobs, "job")
        return f"asking Slurm for {jobs}; slides are handed out once the first one runs"
    if plan.scheduler:
        return f"connecting to {plan.scheduler}"
    return f"starting {counted(plan.processes, 'process')}"


def _plan(args: argparse.Namespace) -> ClusterPlan | None:
    """Return which processes work; None for this one."""
    if not (args.workers or args.gpus or args.scheduler or args.slurm):
        return None
    from napari_nic.runs.cluster import ClusterPlan

    gpus = tuple(args.gpus or ())
    slurm = _slurm(args) if args.slurm else None
    return ClusterPlan(args.workers or 0, gpus, args.scheduler or "", slurm, args.dashboard)


def _slurm(args: argparse.Namespace) -> SlurmPlan:
    from napari_nic.runs.slurm import SlurmPlan

    return SlurmPlan(
        args.slurm,
        partition=args.partition,
        account=args.account,
        time=args.time,
        memory=args.memory,
        cores=args.cores,
        gpus=args.job_gpus,
        logs=None if args.job_logs is None else Path(args.job_logs),
        interface=args.interface,
    )


def check_processes(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing together.

    Raises
    ------
    UsageError
    """
    if args.job_script and not args.slurm:
        raise arguments.UsageError("--job-script prints a job of Slurm", expected="--slurm JOBS with it")
    if args.dashboard and not (args.workers or args.gpus):
        raise arguments.UsageError(
            "--dashboard shows processes that are started on this machine", expected="--workers or --gpus"
        )
    if args.copy_ahead and (args.scheduler or args.slurm):
        raise arguments.UsageError(
            "--copy-ahead copies to a disk of this machine, and other machines would work",
            hint="leave it out, or start jobs that each take a part of the slides: --shard",
        )


@contextmanager
def copies_of(args: argparse.Namespace) -> Iterator[CopyAhead | None]:
    """Copy slides to a near disk, if that was asked for."""
    if not args.copy_ahead:
        yield None
        return
    from napari_nic.runs.copying import copying_ahead

    with copying_ahead(Path(args.copy_ahead), args.copy_limit) as copies:
        yield copies


def print_job_script(args: argparse.Namespace, console: Console) -> int:
    """Print what would be submitted for each job."""
    from napari_nic.runs.cluster import ClusterPlan
    from napari_nic.runs.slurm import job_script

    plan = _slurm(args)
    console.result(job_script(plan, ClusterPlan(slurm=plan).config).rstrip("\n"))
    return 0


def _numbers(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(name.isdecimal() for name in names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers of GPUs, for instance 0,1")
    return names


def _bytes(text: str) -> int:
    """Read a size: a number with kB, MB, GB or TB of 1000, or bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)B?", text.strip())
    if found is None or not (size := int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size, for instance 50GB")
    return size


def _part(text: str) -> tuple[int, int]:
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected I/N, for instance 2/10, the second of ten parts"
        )
    return int(number), int(parts)
