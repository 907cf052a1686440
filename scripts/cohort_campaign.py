"""Try `napari-nic run` on a cohort made by code: good and bad slides, kills, very many.

    python scripts/cohort_campaign.py make /tmp/cohort --slides 200
    python scripts/cohort_campaign.py compare /tmp/cohort           # two processes against one
    python scripts/cohort_campaign.py kills /tmp/cohort --count 20  # at random moments, then to its end
    python scripts/cohort_campaign.py simulate --slides 20000 --workers 64  # tasks that sleep, no pixels

Whatever is not as it must be ends the script with a sentence. Ten of the cohort's slides are special: one is
all glass, two are of one name in two folders, one bears another format's suffix, and six cannot be done.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_nic.jobs import CancellationToken
from napari_nic.runs import RunFolder, RunSettings, plan_tasks, read_status
from napari_nic.runs.cluster import CONFIG, ClusterPool
from napari_nic.runs.slide_work import Order
from napari_nic.synthetic import SyntheticSlideSpec, write_slide

LINE = ("--encoder", "mean-rgb", "--patch-size", "32", "--stride", "16", "--target-mpp", "0.5", "--json")
BAD = ("cut.tif", "bare.tif", "gone.tif", "text.svs", "device.svs", "wrong.tif")
SIDE = 1024


def make(folder: Path, slides: int) -> None:
    """Write the cohort: `slides` in all, ten of them special."""
    place = _fresh(folder / "slides")
    (place / "other").mkdir(parents=True)
    for number in range(slides - 10):
        _slide(place / f"case-{number:04}.tif", seed=number)
    _slide(place / "twin.tif", seed=9001)
    _slide(place / "other" / "twin.tif", seed=9002)
    _slide(place / "renamed.tif", seed=9003).rename(place / "renamed.ndpi")
    _plain(place / "glass.tif", 243)
    whole = (place / "twin.tif").read_bytes()
    (place / "cut.tif").write_bytes(whole[: len(whole) // 2])
    _plain(place / "bare.tif", 200, mpp=None)
    (place / "gone.tif").symlink_to(place / "never-there.tif")
    (place / "text.svs").write_text("this is no slide")
    os.mkfifo(place / "device.svs")
    (place / "wrong.tif").write_bytes(os.urandom(100_000))


def _slide(path: Path, *, seed: int) -> Path:
    written = write_slide(path, SyntheticSlideSpec(SIDE, SIDE, seed=seed))
    written.annotation_path.unlink(missing_ok=True)
    return path


def _plain(path: Path, grey: int, mpp: float | None = 0.5) -> None:
    resolution = {} if mpp is None else {"resolution": (1e4 / mpp,) * 2, "resolutionunit": "CENTIMETER"}
    picture = np.full((SIDE, SIDE, 3), grey, np.uint8)
    tifffile.imwrite(path, picture, tile=(256, 256), photometric="rgb", metadata=None, **resolution)


def slides_of(folder: Path, *, good: bool = False) -> list[str]:
    """Paths of the cohort's slides, or of the good ones."""
    place = folder / "slides"
    names = sorted(
        entry for entry in [*place.iterdir(), place / "other" / "twin.tif"] if entry.name != "other"
    )
    return [str(path) for path in names if not good or path.name not in BAD]


def command(slides: list[str], out: Path, *more: str) -> list[str]:
    """Return the words of a run."""
    return [sys.executable, "-m", "napari_nic.cli", "run", *slides, "--out", str(out), *LINE, *more]


def run(slides: list[str], out: Path, *more: str) -> tuple[list[dict[str, Any]], float, int]:
    """Run to the end; return what came of each slide, seconds and the exit code."""
    started = time.perf_counter()
    done = subprocess.run(
        command(slides, out, *more), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return json.loads(done.stdout), time.perf_counter() - started, done.returncode


def compare(folder: Path) -> None:
    """Run all slides by two processes; the good ones by two processes, and by one with two threads."""
    records, _, code = run(slides_of(folder), _fresh(folder / "all"), "--workers", "2")
    counts = Counter(record["outcome"] for record in records)
    print(f"all slides, two processes: {dict(counts)}, exit code {code}")
    expected = {"failed": len(BAD), "empty": 1, "done": len(records) - len(BAD) - 1}
    _expect(dict(counts) == expected and code == 1, f"expected {expected} and exit code 1")
    named = {Path(record["path"]).name for record in records if record["outcome"] == "failed"}
    _expect(named == set(BAD), f"failed were {sorted(named)}")
    good = slides_of(folder, good=True)
    _, one, _ = run(good, _fresh(folder / "one"), "--threads", "2")
    _, two, _ = run(good, _fresh(folder / "two"), "--workers", "2", "--threads", "1")
    print(
        f"{len(good)} good slides: one process {one:.1f} s, two processes {two:.1f} s, ratio {two / one:.2f}"
    )
    _same(RunFolder(folder / "one"), RunFolder(folder / "two"))
    print("the codes are the same to the bit")


def kills(folder: Path, count: int, seed: int) -> None:
    """Kill the run, or one of its processes, at random moments; then let it end."""
    good = slides_of(folder, good=True)
    reference, killed = RunFolder(folder / "one"), RunFolder(_fresh(folder / "killed"))
    if not reference.stores.is_dir():
        run(good, reference.root, "--threads", "2")
    rng = np.random.default_rng(seed)
    computed: Counter[str] = Counter()
    for number in range(count):
        before = _written(killed)
        more = ("--workers", "2") if number % 2 else ()
        process = subprocess.Popen(
            command(good, killed.root, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        known = _claims(killed)
        while process.poll() is None and _claims(killed) <= known:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 4))
        victims = _children(process.pid) if number % 4 == 3 else [process.pid]
        for victim in victims[-1:]:
            os.kill(victim, signal.SIGKILL)
        if victims != [process.pid]:
            time.sleep(2)
            process.kill()
        process.wait()
        after = _written(killed)
        for name, when in before.items():
            _expect(after.get(name) == when, f"{name} was complete, and was written again")
        computed.update(after.keys() - before.keys())
        print(f"kill {number + 1}: {len(after)} of {len(good)} done")
    for _ in range(3):  # a slide that three kills hit is marked, and tried again by the next run
        records, _, code = run(good, killed.root)
        if code == 0:
            break
    _expect(code == 0, f"it did not end well: {[r for r in records if r['outcome'] == 'failed'][:2]}")
    _expect(not list(killed.root.rglob("claim-*")), "claims were left behind")
    _same(reference, killed)
    print(f"after {count} kills all {len(good)} slides are done, their codes the same to the bit")


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
    from napari_nic.embeddings import CompressedSlide

    names = sorted(path.name for path in one.stores.iterdir())
    _expect(names == sorted(path.name for path in other.stores.iterdir()), "there are other stores")
    for name in names:
        ours, theirs = (CompressedSlide.open(place.stores / name) for place in (one, other))
        _expect(np.array_equal(ours.read(), theirs.read()), f"the codes of {name} differ")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        sys.exit(f"not as it must be: {sentence}")


def asleep(
    path: str, _root: str, _settings: dict[str, Any], _stop: str, *, seconds: float = 0.01
) -> dict[str, Any]:
    """Take the time of a very small slide, and answer as one does."""
    time.sleep(seconds)
    return {
        "path": path,
        "name": Path(path).stem,
        "outcome": "done",
        "worked": True,
        "seconds": seconds,
        "reason": "",
    }


@contextmanager
def _sleepers(workers: int) -> Iterator[ClusterPool]:
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({**CONFIG, "distributed.admin.large-graph-warning-threshold": "1GB"}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield ClusterPool(client, threads=1, work=asleep)


def simulate(slides: int, workers: int) -> None:
    """Hand out slides that only sleep; print what scheduler, workers and this process need for each."""
    settings = RunSettings(("compress",), ("mean-rgb",))
    with tempfile.TemporaryDirectory() as place, _sleepers(workers) as pool:
        order = Order(RunFolder(Path(place)), settings, plan_tasks(settings))
        paths = [Path(place) / f"slide-{number:06}.tif" for number in range(slides)]
        before, wall = time.process_time(), time.perf_counter()
        done = sum(report.result is not None for report in pool(paths, order, CancellationToken()))
        cpu, wall = time.process_time() - before, time.perf_counter() - wall
    _expect(done == slides, f"{done} of {slides} came back")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{slides:,} slides on {workers} workers: {wall:.1f} s")
    print(f"scheduler, workers and client together: {1000 * cpu / slides:.2f} ms of a core a slide")
    print(f"memory of all of them in one process: {memory:.0f} MiB at most")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "compare", "kills", "simulate"))
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "cohort-campaign"
    )
    parser.add_argument("--slides", type=int, default=200)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=64)
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, args.slides)
    elif args.what == "compare":
        compare(args.folder)
    elif args.what == "kills":
        kills(args.folder, args.count, args.seed)
    else:
        simulate(args.slides, args.workers)


if __name__ == "__main__":
    main()
