"""Write the codes of a slide in another program's format."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_nic.embeddings import export_files, export_store
from napari_nic.jobs import Progress
from napari_nic.names import safe_name
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.settings import Task


def run(task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Write the files of one slide, beside those of the others."""
    yield Progress(0, 0, f"exporting as {task.by}")
    files = export_store(
        bench.store(task), _folder(task, bench), task.by, overwrite=bench.owns, token=bench.token
    )
    return Made(files, {"files": len(files)})


def _folder(task: Task, bench: Bench) -> Path:
    return bench.folder.root / "exports" / task.by / safe_name(task.encoder)


def _places(task: Task, bench: Bench) -> tuple[Path, ...]:
    return export_files(bench.store(task), _folder(task, bench), task.by)


STEP = Step(run, _places)
