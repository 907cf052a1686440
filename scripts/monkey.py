"""Do thousands of random things in the real window, and look whether it bears them.

    scripts/with-screen.sh .venv/bin/python scripts/monkey.py                    # 10,000 actions
    scripts/with-screen.sh .venv/bin/python scripts/monkey.py --seed 7 --actions 300

The monkey clicks, types, drags, opens and closes slides, annotations, models and docks, compresses, pauses,
cancels, trains, exports, and deletes layers. Dialogs are answered at random. It fails at the first exception,
error that is none of ours, critical message of Qt or deadlock, and at the end if a thread, a dock, a slide or
a store is left, or memory is not given back; then it prints the seed and the last actions. The same seed
chooses the same actions as long as the window offers the same, which timing may change. Slides are small and
made by code; settings and files go to a temporary folder.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from monkey_actions import Monkey
from monkey_window import HANG_SECONDS, Failures, give_back
from monkey_world import World

from napari_nic.plugin.heaps import keep_few_heaps

ACTIONS = 10_000
ALLOWED_MB = 200
MORTAL = (
    "NicDock",
    "TrainDock",
    "CohortDock",
    "Session",
    "Slide",
    "CompressedSlide",
    "TileCache",
    "QtViewer",
)
REPORTED = 100
"""Actions between two lines of progress."""


def rss_mb() -> float:
    """Memory of this process that is in RAM."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def warm_up(monkey: Monkey) -> None:
    """Load all that is loaded only once: libraries, fonts, shaders."""
    monkey.open_window()
    for path in (monkey.world.slides[0], monkey.world.outlines[0], monkey.world.model):
        monkey.viewer.open(path, plugin="napari-nic")
    dock = monkey.dock("NicDock")
    dock.compressing.start(whole=True)
    monkey.rest()
    for kind in ("pca", "prediction", "saliency"):
        dock.overlays.show(kind, on=True)
        monkey.rest()
    for title in ("Train encoder", "Cohort browser"):
        monkey.open_dock(title)
    monkey.train(source="tiles")
    monkey.rest()
    monkey.close_window()


def left_threads() -> list[str]:
    """Threads of ours, or of Qt's pool, that have not ended."""
    from qtpy.QtCore import QThreadPool

    ours = [t.name for t in threading.enumerate() if t.name.startswith(("nic-", "napari-nic"))]
    active = QThreadPool.globalInstance().activeThreadCount()
    return ours + ([f"{active} of Qt's pool"] if active else [])


def left_objects() -> list[str]:
    """What must not outlive the window: docks, slides with their tiles, stores, napari's own window."""
    gc.unfreeze()
    gc.collect()
    counts = Counter(type(thing).__name__ for thing in gc.get_objects())
    return [f"{counts[name]} {name}" for name in MORTAL if counts[name]]


def run(
    seed: int,
    actions: int,
    folder: Path,
    *,
    seconds: float = float("inf"),
    allowed_mb: float = ALLOWED_MB,
) -> dict[str, Any]:
    """Let the monkey loose; returns what it did and found."""
    keep_few_heaps()  # as ``napari-nic view`` does
    failures, rng = Failures(), random.Random(seed)  # noqa: S311 -- nothing is kept secret by it
    monkey = Monkey(World(folder), rng, failures)
    failures.listen()
    warm_up(monkey)
    before, began, number = rss_mb(), time.monotonic(), 0
    most = before
    monkey.open_window()
    while number < actions and not failures.found and time.monotonic() - began < seconds:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            monkey.act(number)
        except Exception:  # noqa: BLE001 -- whatever it is, it is a finding
            failures.add(traceback.format_exc())
        number += 1
        if number % REPORTED == 0:
            give_back()
            most = max(most, rss_mb())
            print(f"{number} actions, {time.monotonic() - began:.0f} s, {rss_mb():.0f} MB", file=sys.stderr)
    faulthandler.dump_traceback_later(2 * HANG_SECONDS, exit=True)
    if not failures.found:
        monkey.rest()
    monkey.close_window()
    if threads := left_threads():
        failures.add(f"threads are left: {threads}")
    if objects := left_objects():
        failures.add(f"objects are left: {objects}")
    give_back()  # what the last collection has freed
    after = rss_mb()
    if after - before > allowed_mb:
        failures.add(f"{after - before:.0f} MB are not given back")
    faulthandler.cancel_dump_traceback_later()
    return {
        "seed": seed,
        "actions": number,
        "seconds": round(time.monotonic() - began, 1),
        "rss_before_mb": round(before),
        "rss_most_mb": round(most),
        "rss_after_mb": round(after),
        "done": dict(monkey.done),
        "failures": failures.found,
        "last": list(monkey.log),
    }


def main() -> int:
    """Parse the command line, run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--actions", type=int, default=ACTIONS)
    parser.add_argument("--allowed", type=float, default=ALLOWED_MB, help="MB that closing may keep")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; no limit")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nic-monkey-", ignore_cleanup_errors=True) as home:
        os.environ["NAPARI_NIC_HOME"] = str(Path(home) / "home")
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        settings = Path(home) / "home" / "plugin.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"encoder": "mean-rgb"}), "utf-8")
        try:
            found = run(args.seed, args.actions, Path(home), seconds=args.seconds, allowed_mb=args.allowed)
        finally:
            sys.excepthook = sys.__excepthook__  # else an error of the monkey itself would be heard by nobody
    failures, last = found.pop("failures"), found.pop("last")
    print(json.dumps(found))
    if failures:
        print(f"seed {args.seed}, the last actions:\n" + "\n".join(last), file=sys.stderr)
        print("\n".join(failures[:5]), file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
