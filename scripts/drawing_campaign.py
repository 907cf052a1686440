"""Kill the program while somebody draws: what is on the disk is what was drawn until a moment ago."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import read_annotations
from napari_nic.editing import AnnotationObject, find_document
from napari_nic.slides import open_slide

MOST_LOST_SECONDS = 10.0
LONGEST_START_SECONDS = 120.0
STEP_MS = 15
MOST_SHAPES = 80


@dataclass
class DrawingReport:
    """What a campaign found.

    Attributes
    ----------
    kills, edits : int
    lost : list of float
        Of each kill, seconds between the first edit that is not on the disk and the kill; 0 if all are.
    faults : list of str
    """

    kills: int = 0
    edits: int = 0
    lost: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class _Quiet:
    """Answers for a user who is not there: nothing is asked while somebody draws."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args, **_options: None


def drawing_campaign(work: Path, slide: Path, *, count: int, seed: int) -> DrawingReport:
    """Let a child draw on a slide with napari's shapes and the window's controllers, and kill it; again.

    Each child goes on with what the one before left. Now and then it saves over a file that was there before
    the first one.

    Parameters
    ----------
    work : Path
    slide : Path
        Is copied to a folder of its own.
    count : int
        Kills.
    seed : int
    """
    folder = work / "drawing"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    slide = Path(shutil.copy(slide, folder / "slide.tif"))
    target = folder / "shapes.geojson"
    target.write_text('{"type": "FeatureCollection", "features": []}')
    original = target.read_bytes()
    with open_slide(slide) as opened:
        fingerprint = opened.fingerprint
    report, rng = DrawingReport(), random.Random(seed)  # noqa: S311 - no secret
    for number in range(count):
        log = folder / "log"
        log.unlink(missing_ok=True)
        killed_at = _draw_and_kill(slide, target, log, seed + number, rng.uniform(0, 2.0))
        report.kills += 1
        faults = list(_faults(slide, fingerprint, target, original, log, killed_at, report))
        report.faults += [f"kill {number}: {fault}" for fault in faults]
    return report


def _draw_and_kill(slide: Path, target: Path, log: Path, seed: int, seconds: float) -> float:
    child = os.fork()
    if child == 0:
        _be_child(slide, target, log, seed)
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while not (log.exists() and log.read_bytes().count(b"\n") > 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    killed_at = time.time()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return killed_at


def _be_child(slide: Path, target: Path, log: Path, seed: int) -> None:
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        errors = os.open(log.with_suffix(".errors"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(errors, 2)
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        os.environ["NAPARI_NIC_HOME"] = str(log.parent / "home")
        _draw(slide, target, handle, seed)
    finally:
        os._exit(70)


def _draw(slide: Path, target: Path, log: int, seed: int) -> None:
    from napari.components import ViewerModel
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    from napari_nic.plugin.controllers.annotating import AnnotationController
    from napari_nic.plugin.controllers.compressing import CompressController
    from napari_nic.plugin.controllers.models import ModelController
    from napari_nic.plugin.controllers.overlays import OverlayController
    from napari_nic.plugin.controllers.session import Session
    from napari_nic.plugin.controllers.tissue import TissueController
    from napari_nic.plugin.readers import read_slide
    from napari_nic.plugin.settings import Settings
    from napari_nic.plugin.worker import ThreadRunner

    application, viewer, runner = QApplication([]), ViewerModel(), ThreadRunner()
    session: Any = Session(viewer, Settings(), _Quiet())
    compressing = CompressController(session, runner, TissueController(session, runner))
    overlays = OverlayController(session, compressing, ModelController(session), runner)
    annotating = AnnotationController(session, overlays, runner)
    for data, options, _ in read_slide(slide):
        viewer.add_image(data, **options)
    rng = np.random.default_rng(seed)
    timer = QTimer()
    timer.timeout.connect(lambda: _step(annotating, target, log, rng))
    # Not before what was kept is back.
    QTimer.singleShot(500, lambda: timer.start(STEP_MS))
    application.exec()


def _step(annotating: Any, target: Path, log: int, rng: np.random.Generator) -> None:
    """Do one thing as napari's mouse does it, and note what there is afterwards."""
    documents = annotating.documents
    layer = next((one for one in annotating.layers() if hasattr(one, "shape_type")), None)
    if layer is None:
        layer = annotating.session.viewer.add_shapes(ndim=2)
    number, action = len(layer.data), rng.random()
    if number == 0 or (action < 0.5 and number < MOST_SHAPES):
        corner = rng.uniform(0, 1000, 2)
        layer.add(corner + np.array([(0, 0), (0, 90), (70, 60)]), shape_type="polygon")
    elif action < 0.75:
        data = list(layer.data)
        row = int(rng.integers(number))
        data[row] = data[row] + 1
        layer.data = data
    elif action < 0.9:
        layer.remove([int(rng.integers(number))])
    elif action < 0.97:
        documents.undo()
    else:
        annotating.save(target)
    digest = _digest(documents.document.objects())
    os.write(log, f"{time.time()} {digest}\n".encode())


def _digest(objects: tuple[AnnotationObject, ...]) -> str:
    parts = sorted(
        f"{item.id} {item.label} {shapely.to_wkb(item.annotation.geometry, hex=True)}" for item in objects
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _faults(
    slide: Path,
    fingerprint: str,
    target: Path,
    original: bytes,
    log: Path,
    killed_at: float,
    report: DrawingReport,
) -> list[str]:
    lines = [line.split() for line in log.read_text().splitlines() if line.count(" ") == 1]
    report.edits += len(lines)
    if not lines:
        return [f"nobody drew: {log.with_suffix('.errors').read_text(errors='replace')[-600:]}"]
    faults = _file_faults(slide, target, original)
    found = find_document(slide, fingerprint, [slide.parent, log.parent / "home" / "annotations"])
    if found.kept is None:
        return [*faults, f"nothing was kept: {'; '.join(found.notes)}"]
    digest = _digest(found.kept.state.objects)
    last = max((index for index, (_, known) in enumerate(lines) if known == digest), default=None)
    damaged = [note for note in found.kept.notes if "not written to its end" not in note]
    faults += [f"damaged: {damaged[0]}"] if damaged else []
    if last is None:
        # The kill may have come after the write and before the note of it: then it is newer than all.
        return faults if _is_newer(found.kept, lines) else [*faults, "what is kept was never there"]
    lost = killed_at - float(lines[last + 1][0]) if last + 1 < len(lines) else 0.0
    report.lost.append(max(0.0, lost))
    if lost > MOST_LOST_SECONDS:
        faults.append(f"the last {lost:.1f} s are lost")
    return faults


def _is_newer(kept: Any, lines: list[list[str]]) -> bool:
    """Whether the last edit that was kept was made at the time of the last note, or after it."""
    from datetime import datetime

    return datetime.fromisoformat(kept.edited.at).timestamp() >= int(float(lines[-1][0])) - 1


def _file_faults(slide: Path, target: Path, original: bytes) -> list[str]:
    read_annotations(target)  # raises if it is half
    if target.read_bytes() == original:
        return []
    copies = [path.read_bytes() for path in slide.parent.glob("*.nic.document/before-*")]
    return [] if original in copies else ["the file that was there before is gone"]
