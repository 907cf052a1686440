"""Kill the program while it writes, and fill its disk: nothing half is found under a name that a user sees.

    python scripts/write_campaign.py kills --count 100 --seed 0
    python scripts/write_campaign.py full-disk
    python scripts/write_campaign.py drawing --count 50

Each job (recompress, without loss and by a learned codec too, compress, pca, saliency, export, import of
features, annotations, patches, models train) is run undisturbed first. Then, `count` times in turn, it is
run in a child that is killed (SIGKILL): at a seeded moment, or before a seeded one of the calls by which it
opens for writing, renames or removes. What is then found under final names must be what was there before or
what the undisturbed run made; a store or a training may be partial, where each block that counts as done, and
each model, is the undisturbed one's. The same command again must end well with the same bits, and leave no
temporary file.

``full-disk`` runs each job onto a file system without space: a small tmpfs where mounting is allowed, else
with a limit to the size of files. It must fail with one sentence and exit code 1, and what was there before
must be unharmed.

``drawing`` kills a child that draws annotations with napari's shapes: what is kept beside the slide must be
what was drawn at most 10 s before, and a file that it saves over must be whole, with a copy of what was
there.

Children are forked, so that each needs no seconds to start; this works on Linux and macOS only.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy
import shapely
import tifffile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing_campaign import drawing_campaign

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations, write_annotations
from napari_nic.cli import cohorts as _cohorts  # noqa: F401 - loaded before forking, as all that follow
from napari_nic.cli.main import main as command_line
from napari_nic.cohorts import training as _training  # noqa: F401
from napari_nic.embeddings import CompressedSlide, export_store, import_store
from napari_nic.encoders import get_spec
from napari_nic.errors import NicError
from napari_nic.explain import grad_cam as _grad_cam  # noqa: F401
from napari_nic.jobs import result_of
from napari_nic.patches import PatchStore
from napari_nic.recompression import validate
from napari_nic.recompression.lossy import validate_lossy
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slide_models.network import SlideNet

Digest = Mapping[str, str]
KILLED, HUNG = -signal.SIGKILL, 999
LONGEST_SECONDS = 120.0


@dataclass(frozen=True)
class Job:
    """Something that writes.

    Attributes
    ----------
    name : str
    run : callable
        ``run(out) -> exit code``; writes into the folder `out`.
    digest : callable
        ``digest(out) -> {name: checksum}`` of what lies under final names; raises if something is half.
    goes_on : bool
        Whether a part of the result is a proper state: a store, a training.
    """

    name: str
    run: Callable[[Path], int]
    digest: Callable[[Path], Digest]
    goes_on: bool = False


@dataclass
class Report:
    """What a campaign found."""

    kills: int = 0
    before_the_end: int = 0
    with_something_written: int = 0
    faults: list[str] = field(default_factory=list)


# -- data ---------------------------------------------------------------------------------------------------


def make_data(folder: Path) -> None:
    """Make slides, stores, a model, features, a table and annotations; all small."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in (("a", 0), ("b", 1)):
        _slide(folder / f"{name}.tif", seed)
    _slide(folder / "p.tif", 2, compression="jpeg")
    stores = [folder / f"{name}.nic.zarr" for name in ("s0", "s1", "s2", "s3", "s4", "s5")]
    for number, store in enumerate(stores):
        _slide(folder / "t.tif", 10 + number, side=768)
        _cli("compress", folder / "t.tif", "--out", store, "--encoder", "mean-rgb", "--stride", "32", "-q")
    with (folder / "cohort.csv").open("w", newline="") as file:
        rows = [(store.name, "x" if number % 2 else "y") for number, store in enumerate(stores)]
        csv.writer(file).writerows([("slide", "label"), *rows])
    export_store(CompressedSlide.open(stores[0]), folder / "features.h5", "trident")
    _model(folder / "model")
    _codec(folder / "codec", folder / "tiles")


def make_slide(folder: Path) -> None:
    """Make the first of the slides alone."""
    folder.mkdir(parents=True, exist_ok=True)
    _slide(folder / "a.tif", 0)


def _slide(path: Path, seed: int, side: int = 1536, compression: str | None = None) -> None:
    rng = np.random.default_rng(seed)
    tissue = np.clip(rng.normal((185, 95, 160), 25, (side, side, 3)), 0, 255).astype(np.uint8)
    tissue[: side // 8] = tissue[:, : side // 8] = 245
    tifffile.imwrite(
        path,
        tissue,
        tile=(256, 256),
        photometric="rgb",
        compression=compression,
        resolution=(20_000,) * 2,
        resolutionunit="CENTIMETER",
    )


def _model(folder: Path) -> None:
    config = SlideNetConfig(3, outputs=1, crop_size=8, width=4, strides=(1, 2))
    card = ModelCard("tiny", "classification", ("x", "y"), get_spec("mean-rgb").to_dict(), config)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
    ModelBundle(card, weights, Standardiser(np.zeros(3, np.float32), np.ones(3, np.float32))).save(folder)


def _codec(folder: Path, tiles: Path) -> None:
    """Train a learned codec for one step: it starts as a linear transform, so it is none of the worst."""
    tiles.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).normal((160, 95, 185), 25, (2, 128, 128, 3))
    for number, tile in enumerate(np.clip(noise, 0, 255).astype(np.uint8)):
        cv2.imwrite(str(tiles / f"{number}.png"), tile)
    sizes = ("--filters", 16, "--channels", 64, "--crop", 64, "--batch-size", 1, "--steps", 1)
    made = ("--name", "tiny", "--out", folder, "--tiles", f"{tiles}=0.5", "--start", "components", *sizes)
    if _cli("codecs", "train", *made, "--device", "cpu", "-q"):
        raise RuntimeError("the learned codec was not made")


def _cli(*arguments: object) -> int:
    try:
        return command_line([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def jobs(data: Path) -> list[Job]:
    """List the jobs on the data that :func:`make_data` made."""
    encoder, store = ("--encoder", "mean-rgb", "-q"), data / "s0.nic.zarr"
    tiny = (
        "--epochs",
        2,
        "--steps",
        1,
        "--folds",
        3,
        "--batch-size",
        2,
        "--width",
        4,
        "--architecture",
        "attention",
    )

    def imported(out: Path) -> int:
        return _told(lambda: import_store(data / "features.h5", out / "i.nic.zarr", overwrite=True).close())

    def annotated(out: Path) -> int:
        return _told(
            lambda: [write_annotations(_annotations(), out / name) for name in ("a.geojson", "a.xml")]
        )

    def exported(out: Path) -> int:
        kinds = ("npy", "trident", "zarr", "clam-pt", "stamp")
        return max(
            _cli("export", store, "--format", kind, "--out", out / kind, "--overwrite", "-q")
            for kind in kinds
        )

    def compressed(out: Path) -> int:
        return _cli("compress", data / "a.tif", data / "b.tif", "--stride", 32, "--out", out, *encoder)

    def apply_dihedral(out: Path) -> int:
        return _cli("compress", data / "a.tif", "--augment", 8, "--out", out, *encoder)

    def extracted(out: Path) -> int:
        place = out / "p.patches.zarr"
        return _cli("patches", "extract", data / "a.tif", data / "b.tif", "--out", place, "--overwrite", "-q")

    def explained(out: Path) -> int:
        return _cli(
            "saliency", store, "--model", data / "model", "--out", out / "m.png", "-q", "--device", "cpu"
        )

    def trained(out: Path) -> int:
        table = ("models", "train", data / "cohort.csv", "--stores", data, "--out", out / "t")
        return _cli(*table, *tiny, "--device", "cpu", "-q")

    def reencoded(out: Path) -> int:
        lossy = ("--mode", "lossy", "--codec", "jpeg", "--overwrite", "--workers", 2, "-q")
        return max(
            _cli("recompress", data / "a.tif", *lossy, "--out", out / name)
            for name in ("r.tif", "r.ome.tif", "r.ome.zarr")
        )

    def by_network(out: Path) -> int:
        lossy = (
            "--mode",
            "lossy",
            "--codec",
            f"neural:{data / 'codec'}",
            "--overwrite",
            "--workers",
            2,
            "-q",
        )
        return max(
            _cli("recompress", data / "a.tif", *lossy, "--out", out / name)
            for name in ("n.tif", "n.ome.zarr")
        )

    def packed(out: Path) -> int:
        return max(
            _cli("recompress", data / "p.tif", "--mode", mode, *again, "--out", out / f"{mode}.tif")
            for mode in ("repack", "optimize")
        )

    again = ("--overwrite", "--workers", 2, "-q")
    return [
        Job("recompress", reencoded, _reencoded),
        Job("without loss", packed, _packed),
        Job("learned codec", by_network, _reencoded),
        Job("compress", compressed, _stores, goes_on=True),
        Job("pca", lambda out: _cli("pca", store, "--cell-px", 24, "--out", out / "p.png", "-q"), _files),
        Job("saliency", explained, _files),
        Job("export", exported, _files_and_stores),
        Job("import", imported, _stores),
        Job("annotations", annotated, _files),
        Job("patches", extracted, _patches),
        Job("models train", trained, _trained, goes_on=True),
        Job("transformed patches", apply_dihedral, _stores, goes_on=True),
    ]


def _told(work: Callable[[], object]) -> int:
    """Run what has no command, as the command line runs one."""
    try:
        work()
    except NicError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _annotations() -> AnnotationSet:
    rng = np.random.default_rng(0)
    shapes = tuple(
        Annotation(
            "tumour", "polygon", shapely.Point(*rng.uniform(500, 5000, 2)).buffer(300, 100), name=f"{n}"
        )
        for n in range(60)
    )
    return AnnotationSet(shapes, {"tumour": (255, 0, 0)}, source="campaign")


# -- what lies under final names ----------------------------------------------------------------------------


def _files(out: Path) -> Digest:
    """Read files as their users do; raise if one is half."""
    found = {}
    for file in sorted(_visible(out)):
        if any(part.endswith(".zarr") for part in file.relative_to(out).parts):
            continue
        if file.suffix == ".png" and cv2.imread(str(file)) is None:
            raise ValueError(f"{file.name} is no picture")
        if file.suffix in (".geojson", ".xml"):
            read_annotations(file)
        found[str(file.relative_to(out))] = _sha256(file.read_bytes())
    return found


def _stores(out: Path) -> Digest:
    found = {}
    for path in sorted(out.rglob("*.nic.zarr")):
        if any(part.startswith(".") for part in path.relative_to(out).parts):
            continue
        for inner in (path, *sorted((path / "turns").glob("[0-9]"))):
            found |= _blocks(inner, str(inner.relative_to(out)))
    return found


def _blocks(path: Path, name: str) -> Digest:
    store = CompressedSlide.open(path)
    codes = store.read()  # raises on codes that are not what `done` says
    found = {f"{name} cells": _sha256(store.coverage.tobytes())}
    wanted = store.coverage.reshape(store.coverage.shape)
    for row, col in np.argwhere(store.done).tolist():
        part = (slice(row * 16, row * 16 + 16), slice(col * 16, col * 16 + 16))
        if wanted[part].any():
            found[f"{name} {row} {col}"] = _sha256(codes[part].tobytes())
    if store.status == "complete":
        found[f"{name} status"] = "complete"
    return found


def _files_and_stores(out: Path) -> Digest:
    return {**_files(out), **_stores(out)}


def _reencoded(out: Path) -> Digest:
    """Check results as whole; a folder counts as one."""
    found = {}
    for path in sorted(path for path in out.iterdir() if not path.name.startswith(".")):
        result_of(validate_lossy(path, workers=1))
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        found[path.name] = _sha256(b"".join(file.read_bytes() for file in files))
    return found


def _packed(out: Path) -> Digest:
    """Check results of the modes without loss as whole."""
    found = {}
    for path in sorted(path for path in out.iterdir() if not path.name.startswith(".")):
        result_of(validate(path, workers=1))
        found[path.name] = _sha256(path.read_bytes())
    return found


def _patches(out: Path) -> Digest:
    path = out / "p.patches.zarr"
    if not path.exists():
        return {}
    store = PatchStore.open(path)
    images = store.read(np.arange(len(store))) if hasattr(store, "read") else np.asarray(store[:])
    return {"patches": _sha256(np.ascontiguousarray(images).tobytes() + store.labels.tobytes())}


def _trained(out: Path) -> Digest:
    folder = out / "t"
    found = {}
    for file in sorted(folder.glob("**/predictions.csv")):
        found[str(file.relative_to(out))] = _sha256(file.read_bytes())
        if file.parent != folder:
            ModelBundle.load(file.parent)
            weights = safetensors.numpy.load_file(file.parent / "weights.safetensors")
            found[f"{file.parent.name} weights"] = _sha256(
                b"".join(weights[name].tobytes() for name in sorted(weights))
            )
    return found


def _visible(out: Path) -> Iterator[Path]:
    for path in out.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts):
            yield path


def _leftovers(out: Path) -> list[str]:
    return [str(path.relative_to(out)) for path in out.rglob("*") if path.name.endswith((".partial", ".old"))]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- children -----------------------------------------------------------------------------------------------

_WRITING_EVENTS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod")


def in_child(
    run: Callable[[], int],
    output: Path,
    *,
    after: float | None = None,
    before_call: int | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Run in a forked child and return its exit code, ``-SIGKILL`` if it was killed.

    Parameters
    ----------
    run : callable
    output : Path
        File for what it prints; its last line tells how many calls wrote.
    after : float, optional
        Seconds after which it is killed.
    before_call : int, optional
        Number of the writing call before which it kills itself.
    prepare : callable
        Called in the child first.
    """
    child = os.fork()
    if child == 0:
        _be_child(run, output, before_call, prepare)
    started = time.monotonic()
    deadline = started + (LONGEST_SECONDS if after is None else after)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return KILLED if after is not None else HUNG
        time.sleep(0.0005)


def _be_child(
    run: Callable[[], int], output: Path, before_call: int | None, prepare: Callable[[], None]
) -> None:
    code = 70
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        calls = 0

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal calls
            opens = (
                event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            )
            if opens or event in _WRITING_EVENTS:
                calls += 1
                if calls == before_call:
                    os.kill(os.getpid(), signal.SIGKILL)

        prepare()
        sys.addaudithook(count)
        code = run()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(handle, f"\n{calls}".encode())
    except Exception:  # noqa: BLE001 - told in the log, and by the exit code
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


# -- campaigns ----------------------------------------------------------------------------------------------


def kill_campaign(work: Path, *, count: int, seed: int, only: str = "") -> Report:
    """Kill each job in turn, or one of them alone; see the module's text."""
    report, rng = Report(), random.Random(seed)  # noqa: S311 - no secret
    chosen = [job for job in jobs(work / "data") if only in ("", job.name)]
    known = {job.name: _undisturbed(job, work) for job in chosen}
    for number in range(count):
        job = chosen[number % len(chosen)]
        seconds, calls, wanted = known[job.name]
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        older = _older(job, out, work) if rng.random() < 0.5 and not job.goes_on else {}
        moment = rng.uniform(0, seconds) if rng.random() < 0.3 else None
        call = None if moment is not None else rng.randrange(calls) + 1
        label = f"kill {number}, {job.name}, " + (f"call {call}" if call else f"{moment:.3f} s")
        code = in_child(lambda: job.run(out), work / "log", after=moment, before_call=call)  # noqa: B023
        report.kills += 1
        report.before_the_end += code == KILLED
        report.faults += [f"{label}: {fault}" for fault in _after_kill(job, out, wanted, older, report)]
        report.faults += [f"{label}: {fault}" for fault in _gone_on(job, out, wanted, work)]
    return report


def _undisturbed(job: Job, work: Path) -> tuple[float, int, Digest]:
    out = work / "out"
    digests = []
    for _ in range(2):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        started = time.monotonic()
        code = in_child(lambda: job.run(out), work / "log")
        seconds = time.monotonic() - started
        if code != 0:
            raise SystemExit(f"{job.name} fails undisturbed ({code}): {(work / 'log').read_text()}")
        digests.append(job.digest(out))
    if digests[0] != digests[1] or not digests[0]:
        different = [name for name in digests[0] if digests[1].get(name) != digests[0][name]]
        raise SystemExit(f"{job.name} does not repeat itself, or makes nothing: {', '.join(different)}")
    calls = int((work / "log").read_bytes().rpartition(b"\n")[2])
    print(f"{job.name}: {seconds:.2f} s, {calls} writing calls, {len(digests[0])} parts")
    return seconds, calls, digests[0]


def _older(job: Job, out: Path, work: Path) -> Digest:
    """Let the job find what an earlier run made."""
    in_child(lambda: job.run(out), work / "log")
    return job.digest(out)


def _after_kill(job: Job, out: Path, wanted: Digest, older: Digest, report: Report) -> Iterator[str]:
    try:
        found = job.digest(out)
    except Exception as error:  # noqa: BLE001 - whatever a reader says of it is a fault of the writer
        yield f"half of something lies under its name: {type(error).__name__}: {error}"
        return
    report.with_something_written += bool(found) or bool(_leftovers(out))
    wrong = [name for name, digest in found.items() if wanted.get(name) != digest]
    if wrong:
        yield f"not what an undisturbed run makes: {', '.join(wrong[:3])}"
    lost = [name for name in older if name not in found]
    if lost:
        yield f"what was there before is gone: {', '.join(lost[:3])}"


def _gone_on(job: Job, out: Path, wanted: Digest, work: Path) -> Iterator[str]:
    code = in_child(lambda: job.run(out), work / "log")
    if code != 0:
        yield f"the same command again ends with {code}: {(work / 'log').read_text(errors='replace')[:300]}"
    elif job.digest(out) != wanted:
        yield "gone on with, the result differs"
    elif left := _leftovers(out) + [path.name for path in out.glob(".*.unfinished")]:
        yield f"left behind: {', '.join(left[:3])}"


def full_disk_campaign(work: Path, only: str = "") -> list[str]:
    """Run each job onto a full disk, or one of them alone; see the module's text."""
    faults = []
    with _small_disk(work / "disk") as (disk, kind):
        print(f"full disk: {kind}")
        for job in (job for job in jobs(work / "data") if only in ("", job.name)):
            for older in (False, True):
                faults += [f"{job.name}: {fault}" for fault in _on_full_disk(job, disk, work, older, kind)]
            print(f"{job.name}: done")
    return faults


def _on_full_disk(job: Job, disk: Path, work: Path, older: bool, kind: str) -> Iterator[str]:
    out = disk / "out"
    shutil.rmtree(out, ignore_errors=True)
    (disk / "ballast").unlink(missing_ok=True)
    out.mkdir()
    before = _older(job, out, work) if older and not job.goes_on else {}
    limit: Callable[[], None] = lambda: None  # noqa: E731
    if kind == "tmpfs":
        _fill(disk / "ballast")
    else:
        limit = _limit_files
    code = in_child(lambda: job.run(out), work / "log", prepare=limit)
    said = (work / "log").read_text(errors="replace").rpartition("\n")[0]
    if code != 1 or "error:" not in said:
        yield f"exit code {code}: {said[-300:]}"
    if "Traceback" in said:
        yield f"a traceback: {said[-600:]}"
    with contextlib.suppress(FileNotFoundError):
        (disk / "ballast").unlink()
    try:
        found = job.digest(out)
    except Exception as error:  # noqa: BLE001 - as above
        yield f"half of something lies under its name: {type(error).__name__}: {error}"
        return
    if before and found != before:
        yield "what was there before is harmed"
    if _leftovers(out):
        yield f"left behind: {', '.join(_leftovers(out)[:3])}"


def _fill(ballast: Path) -> None:
    """Leave less than a page on the disk."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def _limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[tuple[Path, str]]:
    folder.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        yield folder, "a limit to the size of files"
        return
    try:
        yield folder, "tmpfs"
    finally:
        subprocess.run([str(shutil.which("umount")), "-l", str(folder)], check=True)


def main() -> int:
    """Run a campaign; exit code 1 if it found a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaign", choices=("kills", "full-disk", "drawing"))
    parser.add_argument("--count", type=int, default=100, help="kills; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="JOB", help="this job alone")
    parser.add_argument("--work", type=Path, help="folder for data and outputs; default: a temporary one")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        # In a child: the parent must have no threads when it forks.
        make = make_slide if args.campaign == "drawing" else make_data
        if in_child(lambda: make(work / "data") or 0, Path(temporary) / "data.log"):
            raise SystemExit((Path(temporary) / "data.log").read_text())
        if args.campaign == "drawing":
            drawn = drawing_campaign(work, work / "data" / "a.tif", count=args.count, seed=args.seed)
            faults = drawn.faults
            most = max(drawn.lost, default=0.0)
            print(f"{drawn.kills} kills after {drawn.edits} edits; at most {most:.2f} s of drawing lost")
        elif args.campaign == "full-disk":
            faults = full_disk_campaign(work, args.only)
        else:
            report = kill_campaign(work, count=args.count, seed=args.seed, only=args.only)
            faults = report.faults
            print(
                f"{report.kills} kills, {report.before_the_end} of them before the end, "
                f"{report.with_something_written} with something written"
            )
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
