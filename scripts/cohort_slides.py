"""Cohorts made by code for `cohort_campaign.py`: good slides, special ones, and six that cannot be done."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from napari_nic.runs import RunFolder
from napari_nic.synthetic import SyntheticSlideSpec, write_slide

CUT, BARE, GONE, LOCKED, DEADLY, TEXT = BAD = (
    "cut.tif",
    "bare.tif",
    "vanishes.tif",
    "locked.tif",
    "deadly.tif",
    "text.svs",
)
"""Cut off, without pixel size, gone before its turn, unreadable, crashing its process, and no slide."""

REASONS = {
    CUT: "",  # each reader has words of its own
    BARE: "--mpp",
    GONE: "no such file",
    LOCKED: "may not be read",
    DEADLY: "each process that works on this slide ends",
    TEXT: "",
}
"""What must stand in the reason of each."""

SPECIAL = 4 + len(BAD)
"""Slides beside the ordinary ones: glass, a wrong suffix, two of one name, and the bad ones."""

SIDE = 1024

_CRASH = f'''"""Ends the process as a failed assertion in a decoder does, as soon as it opens one slide."""
import os, resource, sys

def abort(event, args):
    if event == "open" and str(args[0]).endswith("{DEADLY}"):
        os.abort()

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.addaudithook(abort)
'''


def make(folder: Path, slides: int) -> None:
    """Write the cohort: `slides` in all, ten of them special."""
    place = folder / "slides"
    shutil.rmtree(place, ignore_errors=True)
    (place / "other").mkdir(parents=True)
    for number in range(slides - SPECIAL):
        _slide(place / f"case-{number:04}.tif", seed=number)
    _slide(place / "twin.tif", seed=9001)
    _slide(place / "other" / "twin.tif", seed=9002)
    _slide(place / "renamed.tif", seed=9003).rename(place / "renamed.ndpi")
    _plain(place / "glass.tif", 243)
    whole = (place / "twin.tif").read_bytes()
    (place / CUT).write_bytes(whole[: len(whole) // 2])
    _plain(place / BARE, 200, mpp=None)
    for name in (GONE, LOCKED, DEADLY):
        (place / name).write_bytes(whole)
    (place / LOCKED).chmod(0)
    (place / TEXT).write_text("this is no slide")
    (folder / "crash").mkdir(exist_ok=True)
    (folder / "crash" / "sitecustomize.py").write_text(_CRASH)


def _slide(path: Path, *, seed: int) -> Path:
    written = write_slide(path, SyntheticSlideSpec(SIDE, SIDE, seed=seed))
    written.annotation_path.unlink(missing_ok=True)
    return path


def _plain(path: Path, grey: int, mpp: float | None = 0.5) -> None:
    resolution = {} if mpp is None else {"resolution": (1e4 / mpp,) * 2, "resolutionunit": "CENTIMETER"}
    picture = np.full((SIDE, SIDE, 3), grey, np.uint8)
    tifffile.imwrite(path, picture, tile=(256, 256), photometric="rgb", metadata=None, **resolution)


def slides_of(folder: Path, *, good: bool = False) -> list[str]:
    """Paths of the cohort's slides, or of the good ones; the one that vanishes comes last."""
    place = folder / "slides"
    names = sorted(
        entry for entry in [*place.iterdir(), place / "other" / "twin.tif"] if entry.name != "other"
    )
    return [str(path) for path in names if not good or path.name not in BAD]


def hostile(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Words to set before a command, and its environment, so that two of the slides are as bad as they seem.

    The administrator may read everything, so that right is given up; one slide ends its process.
    """
    words = []
    if os.geteuid() == 0:
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    paths = [str(folder / "crash"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return words, {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": ""}


@contextmanager
def vanishing(folder: Path, out: Path) -> Iterator[None]:
    """Remove one slide as soon as it has its place in the run, before its turn."""
    record, stop = RunFolder(out).record_file(GONE.partition(".")[0]), threading.Event()

    def watch() -> None:
        while not record.exists() and not stop.wait(0.01):
            pass
        (folder / "slides" / GONE).unlink(missing_ok=True)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def expect(holds: bool, sentence: str) -> None:
    """End the script with a sentence unless something holds."""
    if not holds:
        sys.exit(f"not as it must be: {sentence}")
