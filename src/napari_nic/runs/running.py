"""A run over many slides in this process, one slide after the other with all cores."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_nic.errors import NicError
from napari_nic.jobs import CancellationToken, Outcome, Progress, checked
from napari_nic.names import exists
from napari_nic.runs.bench import Tools
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.settings import RunSettings, plan_tasks, shard_of
from napari_nic.runs.slide_work import Order, SlideResult, described, iter_slide, stop_if_full


@dataclass(frozen=True)
class RunProgress(Progress):
    """A report of a run.

    Attributes
    ----------
    name : str
        The slide that is worked on.
    result : SlideResult or None
        What a slide came to, once after each.
    inner : Progress or None
        How far the step of the slide is.
    """

    name: str = ""
    result: SlideResult | None = None
    inner: Progress | None = None


def iter_run(
    slides: Sequence[Path],
    folder: RunFolder,
    settings: RunSettings,
    *,
    part: tuple[int, int] = (1, 1),
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
    token : CancellationToken, optional

    Yields
    ------
    RunProgress
        With a result after each slide. Slides that another run works on are looked at once more at the end.

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
    order = Order(folder, settings, plan_tasks(settings))
    folder.write_plan({"settings": settings.to_dict(), "tasks": [task.name for task in order.tasks]})
    absent = yield from _enrol(slides, folder, token)
    mine = shard_of(slides, *part)
    tools, done, busy = Tools(settings), 0, []
    for path in checked(mine, token):
        found = absent.get(path)
        result = found or (yield from _one(path, order, tools, (done, len(mine)), token))
        if result.outcome == "busy":
            busy.append(path)
            continue
        done += 1
        yield RunProgress(done, len(mine), "", "slides", result.name, result)
    for path in checked(busy, token):
        result = yield from _one(path, order, tools, (done, len(mine)), token)
        done += 1
        yield RunProgress(done, len(mine), "", "slides", result.name, result)


def _enrol(
    slides: Sequence[Path], folder: RunFolder, token: CancellationToken
) -> Generator[RunProgress, None, dict[Path, SlideResult]]:
    """Give every slide its name before the first is worked on; return those of which that is all."""
    failed: dict[Path, SlideResult] = {}
    for number, path in enumerate(checked(slides, token)):
        try:
            if exists(path) or folder.find(path) is not None:
                folder.enrol(path)
                continue
            problem = f"{path}: no such file or folder"
        except NicError as error:
            stop_if_full(error)
            problem = described(error)
        failed[path] = SlideResult(str(path), path.name, "failed", reason=problem)
        yield RunProgress(number, len(slides), "looking at the slides", "slides")
    return failed


def _one(
    path: Path, order: Order, tools: Tools, count: tuple[int, int], token: CancellationToken
) -> Generator[RunProgress, None, SlideResult]:
    """Work on one slide, and pass its progress on as that of the run."""
    work = Outcome(iter_slide(path, order, tools, token=token))
    for report in work:
        yield RunProgress(*count, report.stage, "slides", path.name, inner=report)
    return replace(work.value, path=str(path))
