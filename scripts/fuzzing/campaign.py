"""Run mutants through children with limits of time and memory, and count the faults."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.assessing import Verdict, assess
from fuzzing.mutations import Mutant, make_mutant
from fuzzing.originals import KINDS, Original, companions, make_originals

HANG_SECONDS = 10.0
"""Of processor time: on a busy machine the clock runs on while a child waits for its turn."""
STUCK_SECONDS = 60.0
"""By the clock, for a child that waits for something that does not come."""


@dataclass(frozen=True)
class Fault:
    """A mutant that did not end as it should."""

    kind: str
    original: str
    number: int
    damage: str
    verdict: Verdict
    kept: Path | None = None


@dataclass
class Tally:
    """What a campaign found.

    Attributes
    ----------
    ends : counter of (kind, end)
    faults : list of Fault
    """

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the report, a line a kind and a line a fault."""
        for kind in KINDS:
            ends = {end: count for (of, end), count in sorted(self.ends.items()) if of == kind}
            if ends:
                total = sum(ends.values())
                yield f"{kind:10} {total:5} mutants: " + ", ".join(f"{n} {end}" for end, n in ends.items())
        names = Counter(fault.verdict.fault for fault in self.faults)
        yield "faults: " + (", ".join(f"{n} {name}" for name, n in names.items()) or "none")


class Child:
    """A process that opens files; a new one is started after each that had to be ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def ask(self, kind: str, path: Path) -> dict[str, Any]:
        """Let the child open a file, and wait for its answer, its end, or the limit."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"kind": kind, "path": str(path)}) + "\n")
        process.stdin.flush()
        before, waited = _processor_seconds(process.pid), 0.0
        while True:
            try:
                line = self._answers.get(timeout=0.5)
            except queue.Empty:
                waited += 0.5
                used = _processor_seconds(process.pid) - before
                if used > HANG_SECONDS or waited > STUCK_SECONDS:
                    self.end()
                    return {
                        "end": "hang",
                        "text": f"{used:.0f} s of processor time, {waited:.0f} s by the clock",
                    }
                continue
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            return {"end": "crash", "text": f"the process ended with {self._close()}"}

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "fuzzing.probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        )
        answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=_forward, args=(process, answers))
        self._reader.start()
        self._process, self._answers = process, answers
        return process

    def end(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.kill()
            self._close()

    def _close(self) -> int:
        """Wait for the process's end and let its pipes go."""
        process, self._process = self._process, None
        assert process is not None
        code = process.wait()
        self._reader.join()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        return code


def _forward(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line)
    answers.put("")  # the child is gone


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(frozen=True)
class Plan:
    """What a campaign does.

    Attributes
    ----------
    counts : mapping of kind to number of mutants
    seed : int
        The same seed makes the same mutants.
    workers : int
        Children at a time.
    keep : Path, optional
        Folder for mutants with faults.
    extra : tuple of Original
        Beside those made by code.
    """

    counts: dict[str, int]
    seed: int = 0
    workers: int = 2
    keep: Path | None = None
    extra: tuple[Original, ...] = ()


def run(plan: Plan, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Make the originals, then open the mutants of all kinds.

    Raises
    ------
    RuntimeError
        If a healthy original is not opened: then nothing can be said of its mutants.
    """
    tally, lock = Tally(), threading.Lock()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        work = Path(name)
        for kind in (kind for kind in KINDS if plan.counts.get(kind)):
            originals = make_originals(kind, work / "originals" / kind)
            healthy = _facts_of(originals)
            for original, facts in _extra(plan, kind):
                originals.append(original)
                healthy.append(facts)
            numbers = iter(range(plan.counts[kind]))
            jobs = _Jobs(plan, originals, healthy, work, tally, lock, tell)
            threads = [threading.Thread(target=jobs.work_off, args=(numbers,)) for _ in range(plan.workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return tally


def _facts_of(originals: list[Original]) -> list[dict[str, Any]]:
    """Open the healthy files."""
    answers = _answers(originals)
    for original, answer in zip(originals, answers, strict=True):
        if answer["end"] != "opened":
            raise RuntimeError(f"the healthy {original.kind} {original.name} is not opened: {answer}")
    return [answer["facts"] for answer in answers]


def _extra(plan: Plan, kind: str) -> list[tuple[Original, dict[str, Any]]]:
    """Files of other programs, less those that are refused with a reason."""
    originals = [original for original in plan.extra if original.kind == kind]
    answers = zip(originals, _answers(originals), strict=True)
    return [(original, answer["facts"]) for original, answer in answers if answer["end"] == "opened"]


def _answers(originals: list[Original]) -> list[dict[str, Any]]:
    child = Child()
    answers = [child.ask(original.kind, original.path) for original in originals]
    child.end()
    return answers


@dataclass
class _Jobs:
    """Mutants of one kind, shared by the workers."""

    plan: Plan
    originals: list[Original]
    healthy: list[dict[str, Any]]
    work: Path
    tally: Tally
    lock: threading.Lock
    tell: Callable[[str], None]

    def work_off(self, numbers: Iterator[int]) -> None:
        child = Child()
        while True:
            with self.lock:
                number = next(numbers, None)
            if number is None:
                break
            self._one(child, number)
        child.end()

    def _one(self, child: Child, number: int) -> None:
        index = number % len(self.originals)
        original = self.originals[index]
        rng = np.random.default_rng([self.plan.seed, KINDS.index(original.kind), number])
        folder = self.work / "mutants" / f"{original.kind}-{number}"
        mutant = make_mutant(original.path, companions(original), folder, rng)
        answer = child.ask(original.kind, mutant.path)
        verdict = assess(
            original.kind,
            mutant.path,
            self.healthy[index],
            answer,
            mutant.damage,
            stated=mutant.is_metadata,
        )
        with self.lock:
            self.tally.ends[original.kind, answer["end"]] += 1
            if verdict.fault:
                self._keep(
                    Fault(original.kind, original.name, number, mutant.damage, verdict), mutant, folder
                )
        shutil.rmtree(folder)

    def _keep(self, fault: Fault, mutant: Mutant, folder: Path) -> None:
        self.tally.faults.append(fault)
        last = (fault.verdict.text.strip().splitlines() or [""])[-1][:160]
        what = f"{fault.kind} {fault.number}, {fault.original}: {fault.damage}"
        self.tell(f"{fault.verdict.fault}: {what}: {last}")
        if self.plan.keep is not None:
            place = self.plan.keep / f"{fault.verdict.fault}-{folder.name}"
            shutil.copytree(folder, place, symlinks=True, dirs_exist_ok=True)
            (place / "fault.txt").write_text(f"{mutant.path.name}\n{fault.damage}\n{fault.verdict.text}\n")
