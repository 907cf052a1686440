"""A run over many slides: those of one part, one after the other here, or by a pool of processes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from napari_nic.errors import NicError
from napari_nic.jobs import CancellationToken, Outcome, Progress, checked
from napari_nic.names import exists
from napari_nic.runs.bench import Tools
from napari_nic.runs.claims import watch_abandoned
from napari_nic.runs.copying import CopyAhead
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.mishaps import described, stop_if_full
from napari_nic.runs.settings import RunSettings, plan_tasks, shard_of
from napari_nic.runs.slide_work import Order, SlideResult, iter_slide


@dataclass(frozen=True)
class RunProgress(Progress):
    """A report of a run.

    Attributes
    ----------
    name : str
        File name of the slide that is worked on, or that ended.
    result : SlideResult or None
        What a slide came to, once after each.
    inner : Progress or None
        How far the step of the slide is, where that is known.
    """

    name: str = ""
    result: SlideResult | None = None
    inner: Progress | None = None


class Pool(Protocol):
    """Who works on slides."""

    def __call__(
        self, paths: Sequence[Path], order: Order, token: CancellationToken
    ) -> Iterator[RunProgress]:
        """Yield reports, and among them one result for each of the slides; counts are filled in later."""


def iter_run(
    slides: Sequence[Path],
    folder: RunFolder,
    settings: RunSettings,
    *,
    part: tuple[int, int] = (1, 1),
    pool: Pool | None = None,
    copies: CopyAhead | None = None,
    token: CancellationToken | None = None,
) -> Iterator[RunProgress]:
    """Do the steps of a run for every slide.

    Parameters
    ----------
    slides : sequence of Path
    folder : RunFolder
    settings : RunSettings
    part : (int, int)
        ``(2, 10)``: the second of ten parts of the slides, every tenth of them. Each part is of the same
        slides in the same order.
    pool : callable, optional
        Who works on the slides, see :mod:`napari_nic.runs.cluster`; by default this process, one slide after
        the other with all cores.
    copies : CopyAhead, optional
        Copies slides to a near disk before their turn, see :mod:`napari_nic.runs.copying`; for processes of
        this machine.
    token : CancellationToken, optional

    Yields
    ------
    RunProgress
        With a result after each slide. Slides that another run works on are looked at once more at the end;
        claims on them that seem abandoned are watched before that.

    Raises
    ------
    CancelledError
        What was finished is kept; the same call goes on from there.
    InvalidParameterError, UnknownNameError, WeightsError, BundleError
        If the settings do not fit together; nothing was done then.
    StoreError
        If the folder cannot be written, at once; what was stored before is kept.
    """
    token = token or CancellationToken()
    order = Order(folder, settings, plan_tasks(settings), copies)
    mine = shard_of(slides, *part)
    folder.write_plan({"settings": settings.to_dict(), "tasks": [task.name for task in order.tasks]})
    absent = yield from _enrol(slides, folder, token)
    done, busy, held = 0, [], []
    for result in (absent[path] for path in mine if path in absent):
        done += 1
        yield RunProgress(done, len(mine), "", "slides", result.name, result)
    pool = pool or one_by_one
    for report in pool([path for path in mine if path not in absent], order, token):
        if report.result is not None and report.result.outcome == "busy":
            busy.append(Path(report.result.path))
            held.append(report.result.name)
            continue
        done += report.result is not None
        yield replace(report, done=done, total=len(mine), unit="slides")
    for _ in watch_abandoned(folder, held, token):
        yield RunProgress(done, len(mine), "waiting for signs of life", "slides")
    for report in pool(busy, order, token) if busy else ():
        done += report.result is not None
        yield replace(report, done=done, total=len(mine), unit="slides")


def _enrol(
    slides: Sequence[Path], folder: RunFolder, token: CancellationToken
) -> Generator[RunProgress, None, dict[Path, SlideResult]]:
    """Give every slide its name before the first is worked on; return those of which that is all."""
    failed: dict[Path, SlideResult] = {}
    for number, path in enumerate(checked(slides, token)):
        yield RunProgress(number, len(slides), "looking at the slides", "slides")
        try:
            if exists(path) or folder.find(path) is not None:
                folder.enrol(path)
                continue
            problem = f"{path}: no such file or folder"
        except NicError as error:
            stop_if_full(error)
            problem = described(error)
        failed[path] = SlideResult(str(path), path.name, "failed", reason=problem)
    return failed


def one_by_one(paths: Sequence[Path], order: Order, token: CancellationToken) -> Iterator[RunProgress]:
    """Work on slides in this process; a :class:`Pool`."""
    tools, copies = Tools(order.settings), order.copies
    if copies is not None:
        copies.begin(paths, order.is_wanted)
    for path in checked(paths, token):
        copy = None if copies is None else copies.take(path, token)
        work = Outcome(iter_slide(path, order, tools, copy=copy, token=token))
        for report in work:
            yield RunProgress(0, 0, report.stage, name=path.name, inner=report)
        if copies is not None:
            copies.drop(path)
        yield RunProgress(0, 0, name=path.name, result=replace(work.value, path=str(path)))
