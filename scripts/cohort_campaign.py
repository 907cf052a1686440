"""Try `napari-nic run` on a cohort made by code: good and bad slides, processes, kills.

    python scripts/cohort_campaign.py make /tmp/cohort --slides 200
    python scripts/cohort_campaign.py accept /tmp/cohort            # all of it, by two processes
    python scripts/cohort_campaign.py compare /tmp/cohort           # good slides: two processes against one
    python scripts/cohort_campaign.py kills /tmp/cohort --count 20  # scheduler, worker, client in turn
    python scripts/cohort_campaign.py full-disk /tmp/cohort         # the results on a disk that fills up

Whatever is not as it must be ends the script with a sentence. Ten of the cohort's slides are special: one is
all glass, two are of one name in two folders, one bears another format's suffix, and six cannot be done: cut
off, without pixel size, gone before its turn, not allowed to be read, crashing its process, and no slide.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cohort_slides import BAD, DEADLY, REASONS, expect, hostile, make, slides_of, vanishing

from napari_nic.embeddings import CompressedSlide
from napari_nic.runs import RunFolder, read_status

LINE = ("--encoder", "mean-rgb", "--patch-size", "32", "--stride", "16", "--target-mpp", "0.5", "--json")

_GIVE_UP_SECONDS = 120
"""A client whose scheduler is gone must have ended by then."""


@dataclass(frozen=True)
class Ended:
    """A run that came to its end.

    Attributes
    ----------
    records : list of dict
        What came of each slide.
    code : int
        Exit code.
    wall, processor : float
        Seconds on the clock, and of all its processes together.
    """

    records: list[dict[str, Any]]
    code: int
    wall: float
    processor: float


def command(slides: list[str], out: Path, *more: str) -> list[str]:
    """Return the words of a run."""
    return [sys.executable, "-m", "napari_nic.cli", "run", *slides, "--out", str(out), *LINE, *more]


def run(words: list[str], env: dict[str, str] | None = None) -> Ended:
    """Run to the end."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL, env=env)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        out.seek(0)
        records = json.loads(out.read())
    return Ended(records, process.returncode, wall, used.ru_utime + used.ru_stime)


def accept(folder: Path) -> None:
    """Run all slides by two processes: what can be done is done, the others are named; then once more."""
    slides, out = slides_of(folder), _fresh(folder / "all")
    prefix, env = hostile(folder)
    with vanishing(folder, out):
        first = run([*prefix, *command(slides, out, "--workers", "2")], env)
    _check_outcomes(first, len(slides))
    again = run([*prefix, *command(slides, out, "--workers", "2")], env)
    _check_outcomes(again, len(slides))
    twice = [r["name"] for r in again.records if r["worked"] and Path(r["path"]).name not in BAD]
    expect(not twice, f"computed again: {twice}")
    print("the same command again computes none of them and names the same six")


def _check_outcomes(ended: Ended, slides: int) -> None:
    counts = Counter(record["outcome"] for record in ended.records)
    done = counts["done"] + counts["empty"]
    print(f"{slides} slides: {done} done, {counts['failed']} failed, exit code {ended.code}")
    failed = {Path(r["path"]).name: r["reason"] for r in ended.records if r["outcome"] == "failed"}
    for name, reason in sorted(failed.items()):
        print(f"  {name}: {reason.splitlines()[0]}")
    expect(set(failed) == set(BAD), f"failed were {sorted(failed)}")
    wrong = [name for name, reason in failed.items() if not reason or REASONS[name] not in reason]
    expect(not wrong, f"another reason than expected: {wrong}")
    expect((done, ended.code) == (slides - len(BAD), 1), "another count, or exit code")
    empty = [record["name"] for record in ended.records if record["outcome"] == "empty"]
    expect(empty == ["glass"], f"empty are {empty}")
    names = {record["name"] for record in ended.records}
    expect({"twin", "slides-twin", "renamed"} <= names, "slides lack their names")


def check_folder(out: Path) -> None:
    """Look at what a run of all slides left: records, stores, the page."""
    status = read_status(RunFolder(out))
    failed = {Path(slide.record.source.path).name for slide in status.failed}
    expect(failed == set(BAD), f"its records say that {sorted(failed)} failed")
    expect(not list(out.rglob("claim-*")), "claims were left behind")
    page = (out / "summary.html").read_text("utf-8")
    expect(all(f"{name}</td>" in page or name in page for name in BAD), "the page names not all that failed")
    stores = [path.name for path in (out / "stores").iterdir()]
    expect(len(stores) == len(status.slides) - len(BAD), f"{len(stores)} stores")
    expect(DEADLY.partition(".")[0] not in " ".join(stores), "a store of a slide that was never read")


def compare(folder: Path) -> None:
    """Do the good slides by one process with two threads, and by two processes; compare times and codes."""
    good = slides_of(folder, good=True)
    one = run(command(good, _fresh(folder / "one"), "--threads", "2"))
    two = run(command(good, _fresh(folder / "two"), "--workers", "2", "--threads", "1"))
    expect((one.code, two.code) == (0, 0), "not all were done")
    print(f"{len(good)} good slides")
    for name, ended in (("one process, two threads", one), ("two processes", two)):
        print(f"{name}: {ended.wall:.1f} s, {ended.processor:.1f} s of processor time")
    print(
        f"ratio: {two.wall / one.wall:.2f} of the time, {two.processor / one.processor:.2f} of processor time"
    )
    _same(RunFolder(folder / "one"), RunFolder(folder / "two"))
    print("the codes are the same to the bit")


# -- kills ---------------------------------------------------------------------------------------------------


class Cluster:
    """A scheduler and two workers, as somebody would start them beside a run; all are killed in the end.

    Parameters
    ----------
    place : Path
        Where the scheduler says its address.
    """

    def __init__(self, place: Path) -> None:
        file = place / "scheduler.json"
        file.unlink(missing_ok=True)
        host = ("--host", "127.0.0.1", "--no-dashboard")
        self.scheduler = _start("scheduler", *host, "--port", "0", "--scheduler-file", str(file))
        self._file = file
        more = ("--nthreads", "1", "--nworkers", "2", "--memory-limit", "0")
        self.workers = _start("worker", *host, *more, "--scheduler-file", str(file))

    def address(self) -> str:
        """Wait for the scheduler."""
        while not self._file.exists() or not self._file.read_text().strip():
            time.sleep(0.05)
        return str(json.loads(self._file.read_text())["address"])

    def kill_scheduler(self) -> None:
        """End the scheduler at once."""
        self.scheduler.kill()

    def kill_worker(self) -> None:
        """End one of the processes that work, at once."""
        os.kill(_children(self.workers.pid)[-1], signal.SIGKILL)

    def close(self) -> None:
        """End all of it."""
        for process in (self.scheduler, self.workers):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start(what: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def _cluster(place: Path) -> Iterator[Cluster]:
    cluster = Cluster(place)
    try:
        yield cluster
    finally:
        cluster.close()


def kills(folder: Path, count: int, seed: int) -> None:
    """Kill scheduler, worker and client in turn at random moments; then let the run end."""
    good = slides_of(folder, good=True)
    reference, killed = RunFolder(folder / "one"), RunFolder(_fresh(folder / "killed"))
    if not reference.stores.is_dir():
        expect(run(command(good, reference.root, "--threads", "2")).code == 0, "the reference was not done")
    rng = np.random.default_rng(seed)
    for number in range(count):
        before = _written(killed)
        victim = ("scheduler", "worker", "client")[number % 3]
        with _cluster(folder) as cluster:
            said = _killed_once(command(good, killed.root), cluster, victim, rng.uniform(0, 3), killed)
        after = _written(killed)
        for name, when in before.items():
            expect(after.get(name) == when, f"{name} was complete, and was written again")
        print(f"kill {number + 1}, {victim}: {len(after)} of {len(good)} done{said}", flush=True)
    for _ in range(3):  # a slide that three kills hit is marked, and tried again by the next run
        before = _written(killed)
        ended = run(command(good, killed.root, "--workers", "2"))
        again = [record["name"] for record in ended.records if record["worked"] and record["name"] in before]
        expect(not again, f"computed again: {again}")
        if ended.code == 0:
            break
    failed = [record for record in ended.records if record["outcome"] == "failed"]
    expect(ended.code == 0, f"it did not end well: {failed[:2]}")
    expect(not list(killed.root.rglob("claim-*")), "claims were left behind")
    _same(reference, killed)
    print(f"after {count} kills all {len(good)} slides are done, their codes the same to the bit")


def _killed_once(words: list[str], cluster: Cluster, victim: str, wait: float, folder: RunFolder) -> str:
    """Start a run on a cluster and kill a part of it some seconds after its first slide was begun."""
    words = [*words, "--scheduler", cluster.address()]
    with tempfile.TemporaryFile() as err:
        client = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True)
        known = _claims(folder)
        while client.poll() is None and _claims(folder) <= known:
            time.sleep(0.02)
        time.sleep(wait)
        if victim == "client":
            os.killpg(client.pid, signal.SIGKILL)
        elif victim == "scheduler":
            cluster.kill_scheduler()
        else:
            cluster.kill_worker()
            time.sleep(2)  # the other one goes on
            client.send_signal(signal.SIGTERM)
        started = time.monotonic()
        try:
            client.wait(_GIVE_UP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(client.pid, signal.SIGKILL)
            expect(False, f"the run still waited {_GIVE_UP_SECONDS} s after its {victim} was killed")
        err.seek(0)
        lines = [line for line in err.read().decode().splitlines() if line.startswith("error:")]
        if victim == "scheduler":
            expect(client.returncode == 0 or bool(lines), "the loss of the scheduler is not said")
            return (
                f"; it ended after {time.monotonic() - started:.1f} s, code {client.returncode}: {lines[:1]}"
            )
        return ""


# -- a full disk ---------------------------------------------------------------------------------------------


def full_disk(folder: Path) -> None:
    """Let the results fill a disk of their own, by one process and by two; make it larger, and go on."""
    good = slides_of(folder, good=True)
    expect((folder / "one" / "stores").is_dir(), "the reference is missing: do 'compare' first")
    for more in ((), ("--workers", "2")):
        with _small_disk(folder / "small") as disk:
            words, out = command(good, disk / "out", *more), RunFolder(disk / "out")
            ended = subprocess.run(words, capture_output=True, text=True, check=False)
            errors = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
            expect(ended.returncode == 1 and len(errors) == 1, f"code {ended.returncode}: {errors[:3]}")
            expect("no space left" in errors[0], errors[0])
            before = _written(out)
            expect(0 < len(before) < len(good), f"{len(before)} were done when the disk was full")
            _mounting("mount", "-o", "remount,size=1g", str(disk))
            again = run(words)
            expect(again.code == 0, "it did not go on")
            expect(all(_written(out)[name] == when for name, when in before.items()), "one was written again")
            _same(RunFolder(folder / "one"), out)
        print(f"{' '.join(more) or 'one process'}: {len(before)} of {len(good)} done, then: {errors[0]}")
        print("  with more space the same command did the rest, to the bit")


@contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    _mounting("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    try:
        yield place
    finally:
        _mounting("umount", str(place))


def _mounting(program: str, *words: str) -> None:
    found = shutil.which(program)
    expect(found is not None and os.geteuid() == 0, "only the administrator may mount a small disk")
    subprocess.run([str(found), *words], check=True)


def _written(folder: RunFolder) -> dict[str, int]:
    """When the stores of slides that are done were written."""
    if not (folder.root / "run.json").exists():
        return {}
    done = [slide.name for slide in read_status(folder).slides if slide.state in ("done", "empty")]
    stores = {name: folder.stores / f"{name}.mean-rgb.nic.zarr" for name in done}
    return {name: (path / "zarr.json").stat().st_mtime_ns for name, path in stores.items()}


def _claims(folder: RunFolder) -> set[Path]:
    return set(folder.root.rglob("claim-*"))


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in listed.read_text().split()] or [pid]


def _same(one: RunFolder, other: RunFolder) -> None:
    """Compare the stores: headers, codes and masks, and which files there are."""
    names = sorted(path.name for path in one.stores.iterdir())
    expect(names == sorted(path.name for path in other.stores.iterdir()), "there are other stores")
    for name in names:
        ours, theirs = (CompressedSlide.open(place.stores / name) for place in (one, other))
        expect(np.array_equal(ours.read(), theirs.read()), f"the codes of {name} differ")
        expect(np.array_equal(ours.coverage, theirs.coverage), f"the cells of {name} differ")
        expect(_files(ours.path) == _files(theirs.path), f"the files of {name} differ")


def _files(store: Path) -> dict[str, bytes]:
    """Content of all files of a store that hold numbers."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.name != "zarr.json"
    }


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "accept", "compare", "kills", "full-disk"))
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "cohort-campaign"
    )
    parser.add_argument("--slides", type=int, default=200)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, args.slides)
    elif args.what == "accept":
        accept(args.folder)
        check_folder(args.folder / "all")
    elif args.what == "compare":
        compare(args.folder)
    elif args.what == "kills":
        kills(args.folder, args.count, args.seed)
    else:
        full_disk(args.folder)


if __name__ == "__main__":
    main()
