"""What a process of a cluster does: one slide, told and answered in plain values."""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dask
import distributed

from napari_nic.errors import CancelledError
from napari_nic.jobs import Outcome, Progress
from napari_nic.runs.bench import Tools
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.settings import RunSettings, plan_tasks
from napari_nic.runs.slide_work import Order, SlideResult, iter_slide
from napari_nic.runs.slurm import ONE_GPU
from napari_nic.runs.stopping import FileToken

TOPIC = "napari-nic"
"""Under which dask's events say what a process is at."""

_TELL_SECONDS = 2.0
"""A process says at most so often how far one stage is: many of them share one scheduler."""


def dask_setup(worker: object) -> None:
    """Prepare a process before its first slide.

    Ctrl-C, which a terminal sends to all processes, is left to the one that hands slides out. The processes
    of one job of Slurm share out its GPUs: each sees one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.environ.get(ONE_GPU):
        number = str(getattr(worker, "name", "")).rpartition("-")[2]
        os.environ["CUDA_VISIBLE_DEVICES"] = own_gpu(os.environ.get("CUDA_VISIBLE_DEVICES", ""), number)


def own_gpu(visible: str, number: str) -> str:
    """Return the GPU of a process.

    Parameters
    ----------
    visible : str
        Those of the job, as ``CUDA_VISIBLE_DEVICES`` lists them; empty where Slurm names none.
    number : str
        Of the process in its job, from 0.
    """
    position = int(number) if number.isdecimal() else 0
    listed = visible.split(",") if visible else []
    return listed[position % len(listed)] if listed else str(position)


def do_slide(path: str, root: str, settings: Mapping[str, Any], stop: str, copy: str = "") -> dict[str, Any]:
    """Work on a slide; see :func:`~napari_nic.runs.slide_work.iter_slide`.

    Parameters
    ----------
    path : str
        Of the slide, the same on all machines.
    root : str
        Folder of the run, likewise.
    settings : mapping
        :meth:`RunSettings.to_dict`.
    stop : str
        File that says, once it is there, that all is to stop.
    copy : str
        Of the slide, on a disk of this machine; empty for none.

    Returns
    -------
    dict
        Of a :class:`SlideResult`; ``busy`` where it was stopped.
    """
    order, tools = _order(root, json.dumps(dict(settings)))
    try:
        # Left to itself, dask would hand what a slide computes back to the cluster, which waits for it here.
        with dask.config.set(scheduler="threads"):
            near, token = Path(copy) if copy else None, FileToken(Path(stop))
            work = Outcome(iter_slide(Path(path), order, tools, copy=near, token=token))
            teller = Teller(path, stop)
            for report in work:
                teller.tell(report)
            return asdict(work.value)
    except CancelledError:
        return asdict(SlideResult(path, Path(path).name, "busy", reason="stopped"))


class Teller:
    """Says to whoever handed a slide out how far it is, through the cluster's scheduler.

    Parameters
    ----------
    path : str
        Of the slide, as it was handed out.
    run : str
        Tells runs apart that share a cluster: the file that stops this one.
    """

    def __init__(self, path: str, run: str) -> None:
        self._slide = {"path": path, "run": run}
        self._stage, self._told = "", float("-inf")

    def tell(self, report: Progress) -> None:
        """Pass a report on, unless one of its stage was passed on just now."""
        if report.stage == self._stage and time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._stage, self._told = report.stage, time.monotonic()
        told = {"stage": report.stage, "done": report.done, "total": report.total, "unit": report.unit}
        distributed.get_worker().log_event(TOPIC, self._slide | told)


@functools.lru_cache(maxsize=1)
def _order(root: str, settings: str) -> tuple[Order, Tools]:
    """Load what all slides of a process share once."""
    wanted = RunSettings.from_dict(json.loads(settings))
    return Order(RunFolder(Path(root)), wanted, plan_tasks(wanted)), Tools(wanted)
