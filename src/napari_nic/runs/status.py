"""How far a run is, read from its folder alone: by anybody, at any time, also while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.runs.claims import claimed_by
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.records import SlideRecord, Source
from napari_nic.runs.slide_work import outcome_of

SlideState: TypeAlias = Literal["done", "empty", "failed", "running", "stopped", "waiting"]
"""``stopped``: a run that is gone left it in the middle; the same command goes on with it."""


@dataclass(frozen=True)
class SlideStatus:
    """One slide of a run.

    Attributes
    ----------
    record : SlideRecord
    state : {"done", "empty", "failed", "running", "stopped", "waiting"}
    reason : str
        Why it failed or is empty; who works on it.
    """

    record: SlideRecord
    state: SlideState
    reason: str = ""

    @property
    def name(self) -> str:
        """Its name in the run."""
        return self.record.name

    @property
    def seconds(self) -> float:
        """What its steps took, in all."""
        return sum(task.seconds for task in self.record.tasks.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        steps = {
            name: {"outcome": task.outcome, "seconds": task.seconds, "reason": task.reason}
            for name, task in self.record.tasks.items()
        }
        return {
            "name": self.name,
            "slide": self.record.source.path,
            "state": self.state,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "steps": steps,
        }


@dataclass(frozen=True)
class RunStatus:
    """All slides of a run.

    Attributes
    ----------
    tasks : tuple of str
        What the last run was asked to do with each.
    slides : tuple of SlideStatus
        By name.
    """

    tasks: tuple[str, ...]
    slides: tuple[SlideStatus, ...]

    @property
    def counts(self) -> dict[SlideState, int]:
        """How many slides are in each state; those without any are left out."""
        found = Counter(slide.state for slide in self.slides)
        return {state: found[state] for state in get_args(SlideState) if found[state]}

    @property
    def failed(self) -> tuple[SlideStatus, ...]:
        """Slides that failed."""
        return tuple(slide for slide in self.slides if slide.state == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "tasks": list(self.tasks),
            "counts": dict(self.counts),
            "slides": [slide.to_dict() for slide in self.slides],
        }


def read_status(folder: RunFolder, *, token: CancellationToken | None = None) -> RunStatus:
    """Read how far a run is.

    Parameters
    ----------
    folder : RunFolder
    token : CancellationToken, optional
        Asked at each slide.

    Raises
    ------
    StoreError
        If it is no folder of a run.
    CancelledError
    """
    tasks = tuple(str(task) for task in folder.read_plan().get("tasks", ()))
    return RunStatus(tasks, tuple(_slides(folder, tasks, token)))


def _slides(
    folder: RunFolder, tasks: Sequence[str], token: CancellationToken | None
) -> Iterator[SlideStatus]:
    for name in checked(folder.names(), token):
        yield read_slide_status(folder, name, tasks)


def read_slide_status(folder: RunFolder, name: str, tasks: Sequence[str]) -> SlideStatus:
    """Read how far one slide is; a damaged record is a slide that failed.

    Parameters
    ----------
    folder : RunFolder
    name : str
        Of the slide, in the run.
    tasks : sequence of str
        What is to be done with it.
    """
    try:
        return _status(folder, folder.read(name), tasks)
    except StoreError as error:
        return SlideStatus(SlideRecord(name, Source("")), "failed", str(error))


def _status(folder: RunFolder, record: SlideRecord, tasks: Sequence[str]) -> SlideStatus:
    owner = claimed_by(folder, record.name)
    if owner is not None:
        return SlideStatus(record, "running", str(owner))
    outcome, reason = outcome_of(record, tasks)
    if outcome != "failed" or record.reason:
        return SlideStatus(record, outcome, reason)  # type: ignore[arg-type]  # never "busy", which is of a run
    known = [record.tasks[name] for name in tasks if name in record.tasks]
    if any(task.outcome == "failed" for task in known):
        return SlideStatus(record, "failed", reason)
    if any(task.outcome == "running" for task in known):
        return SlideStatus(record, "stopped", "a run was stopped in the middle of it")
    return SlideStatus(record, "waiting")
