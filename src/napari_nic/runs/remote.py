"""What a process of a cluster does: one slide, told and answered in plain values."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dask

from napari_nic.errors import CancelledError
from napari_nic.jobs import result_of
from napari_nic.runs.bench import Tools
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.settings import RunSettings, plan_tasks
from napari_nic.runs.slide_work import Order, SlideResult, iter_slide
from napari_nic.runs.stopping import FileToken


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that hands slides out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def do_slide(path: str, root: str, settings: Mapping[str, Any], stop: str) -> dict[str, Any]:
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

    Returns
    -------
    dict
        Of a :class:`SlideResult`; ``busy`` where it was stopped.
    """
    order, tools = _order(root, json.dumps(dict(settings)))
    try:
        # Left to itself, dask would hand what a slide computes back to the cluster, which waits for it here.
        with dask.config.set(scheduler="threads"):
            return asdict(result_of(iter_slide(Path(path), order, tools, token=FileToken(Path(stop)))))
    except CancelledError:
        return asdict(SlideResult(path, Path(path).name, "busy", reason="stopped"))


@functools.lru_cache(maxsize=1)
def _order(root: str, settings: str) -> tuple[Order, Tools]:
    """Load what all slides of a process share once."""
    wanted = RunSettings.from_dict(json.loads(settings))
    return Order(RunFolder(Path(root)), wanted, plan_tasks(wanted)), Tools(wanted)
