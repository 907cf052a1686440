"""What handing out very many slides costs: tasks that sleep, no pixels.

    python benchmarks/run_simulation.py --slides 20000 --workers 64

The scheduler has a process of its own, all workers share another one (64 of dask's workers on one event loop,
each with a thread that sleeps), and this process is the client of `napari-nic run --scheduler`. So what the
scheduler and the client need for a slide is measured for each alone; what 64 processes would need beside
their slides is not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nic.jobs import CancellationToken, Progress
from napari_nic.runs import RunFolder, RunSettings, plan_tasks
from napari_nic.runs.cluster import CONFIG
from napari_nic.runs.handing_out import ClusterPool
from napari_nic.runs.remote import Teller
from napari_nic.runs.slide_work import Order


def asleep(path: str, _root: str, _settings: dict[str, Any], stop: str) -> dict[str, Any]:
    """Take the time of a very small slide; say what it is at, and answer, as one does."""
    teller = Teller(path, stop)
    for stage in ("opening", "reading the whole slide", "compressing"):
        teller.tell(Progress(0, 1, stage))
    time.sleep(SECONDS)
    return {
        "path": path,
        "name": Path(path).stem,
        "outcome": "done",
        "worked": True,
        "seconds": SECONDS,
        "reason": "",
    }


SECONDS = 0.1


async def _serve(count: int, file: str) -> None:
    """Be so many workers until somebody ends this process."""
    from distributed import Worker

    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1"}
    workers = [Worker(scheduler_file=file, name=number, **options) for number in range(count)]
    await asyncio.gather(*workers)
    await asyncio.Event().wait()


@contextmanager
def _cluster(workers: int, place: str) -> Iterator[tuple[str, int]]:
    """Start scheduler and workers; yield the file that says where, and the scheduler's process."""
    file = f"{place}/scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    env = {**os.environ, **_environment()}
    # Workers that share a process need not all look at what it uses twice a second.
    quiet = {"DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "1 hour"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", *words],
            env=env,
            stderr=subprocess.DEVNULL,
        ),
        subprocess.Popen(
            [sys.executable, __file__, "--serve", file, "--workers", str(workers)],
            env=env | quiet,
            stderr=subprocess.DEVNULL,
        ),
    ]
    try:
        yield file, started[0].pid
    finally:
        for process in started:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Settings of dask as it reads them from the environment: a run gives them to what it starts."""
    plain = {name: value for name, value in CONFIG.items() if isinstance(value, str | int)}
    return {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": f"{v}" for name, v in plain.items()}


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, name: str = "VmHWM") -> float:
    """MiB of a process: at most so far, or now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def simulate(slides: int, workers: int) -> None:
    """Hand out slides that only sleep; print what scheduler and client need."""
    import dask
    from distributed import Client

    with tempfile.TemporaryDirectory() as place, _cluster(workers, place) as (file, scheduler):
        while not Path(file).exists():
            time.sleep(0.05)
        with dask.config.set(CONFIG), Client(scheduler_file=file, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
            pool = ClusterPool(client, threads=1, work=asleep)
            _measure(slides, workers, pool, scheduler, Path(place))


def _measure(slides: int, workers: int, pool: ClusterPool, scheduler: int, place: Path) -> None:
    settings = RunSettings(("compress",), ("mean-rgb",))
    order = Order(RunFolder(place), settings, plan_tasks(settings))
    paths = [place / f"slide-{number:06}.tif" for number in range(slides)]
    own, theirs, wall = time.process_time(), _processor_seconds(scheduler), time.perf_counter()
    before = _memory(os.getpid(), "VmRSS")
    done = sum(report.result is not None for report in pool(paths, order, CancellationToken()))
    own, theirs = time.process_time() - own, _processor_seconds(scheduler) - theirs
    wall = time.perf_counter() - wall
    if done != slides:
        sys.exit(f"{done} of {slides} came back")
    least = slides * SECONDS / workers
    print(
        f"{slides:,} slides of {SECONDS:g} s on {workers} workers: {wall:.1f} s, {least:.1f} s at the least"
    )
    print(
        f"scheduler: {1000 * theirs / slides:.2f} ms of a core a slide, {_memory(scheduler):.0f} MiB at most"
    )
    grown = _memory(os.getpid()) - before
    print(f"client: {1000 * own / slides:.2f} ms of a core a slide, {_memory(os.getpid()):.0f} MiB at most")
    print(f"of them {max(0.0, grown):.0f} MiB since the first slide was handed out")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=20000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        while not Path(args.serve).exists():
            time.sleep(0.05)
        asyncio.run(_serve(args.workers, args.serve))
    else:
        simulate(args.slides, args.workers)


if __name__ == "__main__":
    main()
