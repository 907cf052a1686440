"""Write a slide anew in fewer bytes, without any loss."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_nic.jobs import Progress
from napari_nic.recompression import recompress
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.settings import Task

_TIFF = ".tif"


def run(task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Write the file; the slide itself stays as it is."""
    (out,) = _places(task, bench)
    report = yield from recompress(
        bench.path, out, task.by, workers=bench.settings.threads, token=bench.token
    )
    return Made([out], {"before": report.before, "after": report.after, "original_sha256": report.sha256})


def _places(_task: Task, bench: Bench) -> tuple[Path, ...]:
    # Whatever a TIFF was called, it is one: the suffix of its name is kept only where others know it as such.
    return (bench.folder.root / "recompressed" / f"{bench.name}{bench.path.suffix or _TIFF}",)


STEP = Step(run, _places)
