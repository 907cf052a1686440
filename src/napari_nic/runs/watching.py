"""A run as it goes on, looked at again and again: only what changed is read anew, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from napari_nic.jobs import CancellationToken, checked
from napari_nic.runs.folder import PLAN_FILE, RECORD_FILE, RunFolder
from napari_nic.runs.status import RunStatus, SlideStatus, read_slide_status

_ENDED = ("done", "empty", "failed")
_CLAIM = "claim-"

_Stamp: TypeAlias = tuple[int, int, int, bool]


@dataclass(frozen=True)
class RunView:
    """A run at one moment.

    Attributes
    ----------
    status : RunStatus
    per_hour : float or None
        Slides an hour that were done since the last command was given; None before the first.
    seconds_left : float or None
        What the rest will take at this rate.
    changed : bool
        Whether anything is otherwise than at the last look.
    """

    status: RunStatus
    per_hour: float | None = None
    seconds_left: float | None = None
    changed: bool = True

    @property
    def left(self) -> int:
        """Slides that are not done, nor failed."""
        return sum(slide.state not in _ENDED for slide in self.status.slides)


class RunWatch:
    """Looks at the folder of a run.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._known: dict[str, tuple[_Stamp, SlideStatus]] = {}
        self._tasks: tuple[str, ...] | None = None

    def look(self, token: CancellationToken | None = None) -> RunView:
        """Read what changed.

        Parameters
        ----------
        token : CancellationToken, optional
            Asked at each slide.

        Raises
        ------
        StoreError
            If it is no folder of a run.
        CancelledError
        """
        tasks = tuple(str(task) for task in self.folder.read_plan().get("tasks", ()))
        changed = tasks != self._tasks
        known = {} if changed else self._known
        found: dict[str, tuple[_Stamp, SlideStatus]] = {}
        for name, stamp in checked(_stamps(self.folder), token):
            before = known.get(name)
            # Who holds a claim may be gone by now, which no file tells.
            if before is not None and before[0] == stamp and not stamp[-1]:
                found[name] = before
            else:
                found[name] = stamp, read_slide_status(self.folder, name, tasks)
        slides = tuple(slide for _, slide in found.values())
        changed = changed or slides != tuple(slide for _, slide in self._known.values())
        self._known, self._tasks = found, tasks
        per_hour = self._rate()
        status = RunStatus(tasks, slides)
        view = RunView(status, per_hour, changed=changed)
        left = None if per_hour is None else 3600 * view.left / per_hour
        return RunView(status, per_hour, left, changed)

    def _rate(self) -> float | None:
        """Slides an hour, by the times of the files alone: clocks of machines differ."""
        began = (self.folder.root / PLAN_FILE).stat().st_mtime_ns
        ended = [
            stamp[0]
            for stamp, slide in self._known.values()
            if slide.state in ("done", "empty") and stamp[0] > began
        ]
        return 3600e9 * len(ended) / (max(ended) - began) if ended else None


def _stamps(folder: RunFolder) -> Iterator[tuple[str, _Stamp]]:
    """Yield the slides that have a record, by name, with what tells one state of it from the next."""
    root = folder.root / "slides"
    for name in sorted(path.name for path in root.iterdir()) if root.is_dir() else ():
        stamp, claimed = None, False
        try:
            with os.scandir(root / name) as entries:
                for entry in entries:
                    if entry.name == RECORD_FILE:
                        status = entry.stat()
                        stamp = status.st_mtime_ns, status.st_size, status.st_ino
                    claimed = claimed or entry.name.startswith(_CLAIM)
        except OSError:
            continue  # it is gone, or no folder
        if stamp is not None:
            yield name, (*stamp, claimed)


def store_paths(folder: RunFolder, slide: SlideStatus) -> tuple[Path, ...]:
    """Return the compressed slides that a run has made of a slide."""
    outputs = [
        folder.root / output.path
        for name, task in slide.record.tasks.items()
        if name.partition(":")[0] == "compress" and task.outcome == "done"
        for output in task.outputs
    ]
    return tuple(path for path in outputs if path.is_dir())
