"""``napari-nic demo``: the whole tour on a slide made by code, in napari or as pictures."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.view import has_napari, require_napari

if TYPE_CHECKING:
    from napari_nic.demo import DemoDone

OUT = "demo-output"

DESCRIPTION = """\
Show everything on a synthetic slide with a lesion of known outline. In napari: the slide is compressed while
you look, then switch prediction and saliency on beside the outline. With --offscreen or --out, or without a
screen: write pictures and the embedding array to a folder."""

PROBE = "from qtpy.QtGui import QGuiApplication; QGuiApplication([])"
BLIND_PLATFORMS = ("offscreen", "minimal")
"""Qt platforms that answer but cannot draw OpenGL."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "demo", run, "Show everything on a synthetic slide", description=DESCRIPTION
    )
    parser.add_argument("--offscreen", action="store_true", help="write pictures instead of opening a window")
    arguments.add_out(parser, f"folder for pictures and arrays; default: {OUT}")


def run(args: argparse.Namespace, console: Console) -> int:
    """Open the window, or write the pictures."""
    if args.offscreen or args.out is not None:
        return _write(Path(args.out or OUT), console)
    require_napari()
    if not screen_answers():
        console.note(f"no screen: writing pictures to {OUT}/ instead")
        return _write(Path(OUT), console)
    from napari_nic.plugin.launch import run_demo_window

    run_demo_window()
    return 0


def screen_answers() -> bool:
    """Whether a window can be opened; asked in another process, because Qt ends the one that fails."""
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in BLIND_PLATFORMS:
        return False
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    probe = subprocess.run([sys.executable, "-P", "-c", PROBE], capture_output=True, check=False)  # noqa: S603 - our own text
    return probe.returncode == 0


def _write(out: Path, console: Console) -> int:
    """Write the composite pictures, the store and the array; with a (virtual) screen the real window too."""
    from napari_nic.demo import DemoDone, run_demo

    with stoppable(console) as token:
        done = None
        for report in console.follow(run_demo(out, samples=out, token=token), "demo"):
            if isinstance(report, DemoDone):
                done = report
    if done is not None:
        _tell(done, console)
    if has_napari() and screen_answers():
        from napari_nic.plugin.launch import demo_window_pictures

        for path in demo_window_pictures(out):
            console.result(str(path))
    else:
        console.note("no pictures of the napari window: napari or a screen is missing")
    return 0


def _tell(done: DemoDone, console: Console) -> None:
    for path in done.files:
        console.result(str(path))
    if done.prediction is not None:
        console.result(f"the model says: {done.prediction.summary}")
    if done.agreement is not None:
        console.result(
            f"saliency against the lesion's outline: pixel AUC {done.agreement.auc:.3f}, "
            f"Jaccard {done.agreement.jaccard:.3f} at the best threshold (optimistic)"
        )
