"""One slide of a run: what is complete is left, what is missing or was made otherwise is done."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from napari_nic.errors import CancelledError, DamagedSlideError, NicError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.runs.beating import beating
from napari_nic.runs.bench import Bench, Made, Tools
from napari_nic.runs.claims import Claim, Owner, deaths_before, take_claim
from napari_nic.runs.copying import CopyAhead, is_copy_of
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.mishaps import described, stop_if_full
from napari_nic.runs.records import FileStamp, Output, SlideRecord, Source, TaskRecord
from napari_nic.runs.settings import RunSettings, Task
from napari_nic.runs.steps import DOERS
from napari_nic.slides import Slide
from napari_nic.wording import counted

SlideOutcome: TypeAlias = Literal["done", "empty", "failed", "busy"]
"""``empty``: there is nothing on it to work on; ``busy``: another run works on it."""

MOST_DEATHS = 3
"""Processes that may end while they work on a slide before it is marked and left out."""


@dataclass(frozen=True)
class SlideResult:
    """What a run came to for one slide; small, so that it can be sent between machines.

    Attributes
    ----------
    path : str
    name : str
        In this run.
    outcome : {"done", "empty", "failed", "busy"}
    worked : bool
        Whether anything was done now; False if all was complete already.
    seconds : float
    reason : str
        Of what failed, in full; who works on it; or why it is empty.
    """

    path: str
    name: str
    outcome: SlideOutcome
    worked: bool = True
    seconds: float = 0.0
    reason: str = ""

    @classmethod
    def of(cls, record: SlideRecord, tasks: Sequence[Task], **more: Any) -> Self:
        """Read it off the slide's record."""
        outcome, reason = outcome_of(record, [task.name for task in tasks])
        return cls(record.source.path, record.name, outcome, reason=reason, **more)


@dataclass(frozen=True)
class Order:
    """What is to be done, the same for all slides.

    Attributes
    ----------
    folder : RunFolder
    settings : RunSettings
    tasks : tuple of Task
        See :func:`~napari_nic.runs.settings.plan_tasks`.
    copies : CopyAhead, optional
        Copies slides to a near disk before their turn.
    """

    folder: RunFolder
    settings: RunSettings
    tasks: tuple[Task, ...]
    copies: CopyAhead | None = None

    def is_wanted(self, path: Path) -> bool:
        """Whether a slide is likely to be read, as far as its record tells."""
        try:
            record = self.folder.find(path)
        except NicError:
            return False
        if record is None or not record.source.looks_unchanged():
            return True
        return outcome_of(record, [task.name for task in self.tasks])[0] == "failed"


def outcome_of(record: SlideRecord, names: Sequence[str]) -> tuple[SlideOutcome, str]:
    """Tell from a record what tasks came to, and why.

    Parameters
    ----------
    record : SlideRecord
    names : sequence of str
        Of the tasks that were to be done.

    Returns
    -------
    outcome : {"done", "empty", "failed"}
    reason : str
    """
    if record.reason:
        return "failed", record.reason
    found = [record.tasks.get(name) for name in names]
    failed = [task for task in found if task is None or not task.is_final]
    if failed:
        reasons = [task.reason for task in failed if task is not None and task.reason]
        return "failed", "\n".join(reasons) or "not all steps were done"
    empty = [task for task in found if task is not None and task.outcome == "empty"]
    worked = [t for t, name in zip(found, names, strict=True) if t is not None and name != "tissue"]
    if empty and all(task.outcome == "empty" for task in worked):
        return "empty", empty[0].reason
    return "done", ""


def iter_slide(
    path: Path,
    order: Order,
    tools: Tools,
    *,
    copy: Path | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideResult]:
    """Do for one slide what is not done yet.

    What goes wrong with the slide is in the result and in its record, and raises nothing.

    Parameters
    ----------
    path : Path
    order : Order
    tools : Tools
        Shared by the slides of a process.
    copy : Path, optional
        Of the slide, whole and of what it holds now; see :mod:`napari_nic.runs.copying`.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        Of the steps.

    Returns
    -------
    SlideResult

    Raises
    ------
    CancelledError
        What was finished is kept; the same call goes on from there.
    StoreError
        If the folder of the run cannot be written: its disk is full, or not there any more.
    """
    started, token = time.monotonic(), token or CancellationToken()
    token.checkpoint()
    folder = order.folder
    record = folder.enrol(path)
    record = _found_at(record, path)
    if _is_finished(record, order, tools, token):
        return SlideResult.of(record, order.tasks, worked=False)
    claim = take_claim(folder, record.name)
    if isinstance(claim, Owner):
        return SlideResult(str(path), record.name, "busy", worked=False, reason=f"{claim}")
    if deaths_before(claim, record.released) >= MOST_DEATHS:
        return give_up(record, claim, order)
    own = CancellationToken(token)
    try:
        with beating(claim, own):
            work = _Work(_found_at(folder.read(record.name), path), claim, order, copy)
            record = yield from work.do(tools, own)
    except CancelledError:
        token.checkpoint()
        return SlideResult(str(path), record.name, "busy", reason="another run took it over")
    seconds = round(time.monotonic() - started, 3)
    return SlideResult.of(record, order.tasks, worked=work.has_worked, seconds=seconds)


def give_up_on(path: Path, order: Order) -> SlideResult:
    """Mark a slide whose process died when nothing else was worked on."""
    record = _found_at(order.folder.enrol(path), path)
    claim = take_claim(order.folder, record.name)
    if isinstance(claim, Owner):
        return SlideResult(str(path), record.name, "busy", worked=False, reason=f"{claim}")
    return give_up(_found_at(order.folder.read(record.name), path), claim, order)


def give_up(record: SlideRecord, claim: Claim, order: Order) -> SlideResult:
    """Mark a slide that ends every process that works on it; the next run tries it again."""
    deaths = deaths_before(claim, record.released)
    record = replace(
        record,
        released=claim.number,
        reason=f"{record.source.path}: each process that works on this slide ends: {counted(deaths, 'time')} "
        "by now. A library that reads it crashes, it needs more memory than there is, or the processes were "
        "killed from outside; the next run tries it again, and goes on where they stopped",
    )
    order.folder.write(record)
    claim.give_back()
    return SlideResult.of(record, order.tasks)


def _found_at(record: SlideRecord, path: Path) -> SlideRecord:
    """Note where a slide lies now, if it was moved."""
    return replace(record, source=replace(record.source, path=str(path.absolute())))


def _is_finished(record: SlideRecord, order: Order, tools: Tools, token: CancellationToken) -> bool:
    """Whether nothing is left to do, as far as that is seen without opening the slide."""
    if record.reason or not record.source.looks_unchanged():
        return False
    keys = _keys(order.tasks, record.source.fingerprint)
    with _bench(record, order, tools, token) as bench:
        return all(_is_complete(task, keys[task.name], record, bench) for task in order.tasks)


def _bench(record: SlideRecord, order: Order, tools: Tools, token: CancellationToken) -> Bench:
    path = Path(record.source.path)
    return Bench(path, record.name, order.folder, order.settings, tools, token, record.tasks)


def _keys(tasks: Sequence[Task], fingerprint: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for task in tasks:
        keys[task.name] = task.key(fingerprint, keys)
    return keys


def _is_complete(task: Task, key: str, record: SlideRecord, bench: Bench) -> bool:
    """Whether a task was done by these settings on these bytes, and what it made is still there."""
    known = record.tasks.get(task.name)
    if known is None or not known.is_final or known.key != key:
        return False
    root = bench.folder.root
    there = all(output.is_there(root) for output in known.outputs)
    return there and (not known.outputs or DOERS.get(task.step).is_whole(task, bench))


class _Work:
    """The tasks of one claimed slide, and its record."""

    def __init__(self, record: SlideRecord, claim: Claim, order: Order, copy: Path | None) -> None:
        self._record = record
        self._claim = claim
        self._order = order
        self._copy = copy
        self.has_worked = False
        """Whether anything was left to do: another run may have ended the slide just before."""

    def do(self, tools: Tools, token: CancellationToken) -> Generator[Progress, None, SlideRecord]:
        """Do what is not done, and give the claim back.

        Raises
        ------
        CancelledError, StoreError
            As :func:`iter_slide`.
        """
        try:
            with _bench(self._record, self._order, tools, token) as bench:
                bench.copy = self._copy
                yield Progress(0, 0, "opening")
                if self._look(bench):
                    yield from self._do_tasks(bench)
        finally:
            self._give_back()
        return self._record

    def _give_back(self) -> None:
        """Let others have the slide. Where the record cannot be written the claim stays until we end."""
        if self._claim.is_ours():
            self._keep(replace(self._record, released=self._claim.number))
            self._claim.give_back()

    def _keep(self, record: SlideRecord) -> None:
        self._claim.check()
        self._order.folder.write(record)
        self._record = record

    def _look(self, bench: Bench) -> bool:
        """Make sure of the slide's bytes; False if it cannot be opened."""
        if self._record.source.looks_unchanged() and not self._record.reason:
            return True
        self.has_worked = True
        try:
            slide = bench.slide()
            stamps = self._stamps(slide, bench)
            source = Source(str(bench.path.absolute()), slide.fingerprint, stamps)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a slide does is named, and the others go on
            stop_if_full(error)
            self._keep(replace(self._record, reason=self._described(error)))
            return False
        self._keep(replace(self._record, source=source, reason=""))
        return True

    def _stamps(self, slide: Slide, bench: Bench) -> tuple[FileStamp, ...]:
        """Look at the slide's files where they lie, copied or not.

        Raises
        ------
        DamagedSlideError
            If the slide is another one than was copied.
        """
        folder, files = bench.path.absolute().parent, [file.absolute() for file in slide.files]
        if self._copy is not None:
            near = self._copy.absolute().parent
            files = [folder / file.relative_to(near) for file in files]
            if not is_copy_of(self._copy, bench.path):
                raise DamagedSlideError(
                    "the slide changed while it was copied",
                    path=bench.path,
                    hint="run the same command again",
                )
        return tuple(FileStamp.of(file, folder) for file in files)

    def _described(self, error: BaseException) -> str:
        """Say what went wrong in the words of the slide's own path, if a copy of it was read."""
        text = described(error)
        return text if self._copy is None else text.replace(str(self._copy), self._record.source.path)

    def _do_tasks(self, bench: Bench) -> Generator[Progress, None, None]:
        keys = _keys(self._order.tasks, self._record.source.fingerprint)
        for task in self._order.tasks:
            bench.token.checkpoint()
            bench.tasks = self._record.tasks
            if _is_complete(task, keys[task.name], self._record, bench):
                continue
            self.has_worked = True
            needed = [self._record.tasks.get(name) for name in task.needs]
            if not all(
                need is not None and need.is_final and need.key == keys[name]
                for name, need in zip(task.needs, needed, strict=True)
            ):
                continue  # what it needs has failed, which is said already
            empty = next((need for need in needed if need is not None and need.outcome == "empty"), None)
            if empty is not None and not DOERS.get(task.step).takes_nothing:
                self._end(task, TaskRecord(keys[task.name], "empty", reason=empty.reason))
            else:
                yield from self._do(task, keys[task.name], bench)

    def _do(self, task: Task, key: str, bench: Bench) -> Generator[Progress, None, None]:
        """Do one task, and keep what came of it."""
        step, known, started = DOERS.get(task.step), self._record.tasks.get(task.name), time.monotonic()
        try:
            bench.owns = known is not None and known.key != ""
            # Without a key: what lies there is not known to be ours, and would not be replaced later either.
            owned = bench.owns or not any(place.exists() for place in step.places(task, bench))
            outputs = () if known is None else known.outputs
            self._end(task, TaskRecord(key if owned else "", "running", outputs=outputs))
            made = yield from step.run(task, bench)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a slide does is named, and the others go on
            stop_if_full(error)
            running = self._record.tasks.get(task.name)
            failed = TaskRecord(running.key if running else "", "failed", reason=self._described(error))
            self._end(task, _ended(replace(failed, outputs=known.outputs if known else ()), started))
        else:
            self._end(task, _ended(self._finished(key, made), started), before=outputs)

    def _finished(self, key: str, made: Made) -> TaskRecord:
        root = self._order.folder.root
        outputs = tuple(Output.of(path, root) for path in made.outputs)
        return TaskRecord(key, made.outcome, reason=made.reason, outputs=outputs, facts=made.facts)

    def _end(self, task: Task, record: TaskRecord, before: Sequence[Output] = ()) -> None:
        """Keep the record of a task; files that it made before and does not make any more are removed."""
        self._keep(self._record.with_task(task.name, record))
        kept = {output.path for output in record.outputs}
        for output in before:
            if output.path not in kept and output.size >= 0:
                (self._order.folder.root / output.path).unlink(missing_ok=True)


def _ended(record: TaskRecord, started: float) -> TaskRecord:
    seconds = round(time.monotonic() - started, 3)
    return replace(record, seconds=seconds, ended=datetime.now(UTC).isoformat(timespec="seconds"))
