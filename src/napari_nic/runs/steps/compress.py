"""Compress a slide by one encoder, or go on where that stopped."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import Encoder
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.explain import store_preview
from napari_nic.jobs import Progress
from napari_nic.pipeline import iter_compress, iter_prepare_store, precision_to_go_on
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.settings import Task
from napari_nic.runs.steps.tissue import load_mask


def run(task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Make the store, or finish it. An older one of other settings gives way if this task made it."""
    try:
        encoder, store = yield from _prepare(task, bench, overwrite=False)
    except (StoreError, StoreMismatchError):
        if not (bench.owns and bench.store_path(task).exists()):
            raise
        encoder, store = yield from _prepare(task, bench, overwrite=True)
    with store:
        if store.coverage.any():
            yield from iter_compress(
                bench.slide(), encoder, store, token=bench.token, workers=bench.settings.threads
            )
            if store.writable:
                store_preview(store, token=bench.token)
        return _made(store, bench)


def _prepare(
    task: Task, bench: Bench, *, overwrite: bool
) -> Generator[Progress, None, tuple[Encoder, CompressedSlide]]:
    path, settings = bench.store_path(task), bench.settings
    precision = precision_to_go_on(path, settings.precision, overwrite=overwrite)
    encoder = bench.tools.encoder(task.by, precision)
    store = yield from iter_prepare_store(
        bench.slide(),
        encoder,
        path=path,
        options=settings.grid,
        tissue=load_mask(bench),
        overwrite=overwrite,
        token=bench.token,
    )
    return encoder, store


def _made(store: CompressedSlide, bench: Bench) -> Made:
    facts = {
        "rows": store.grid.rows,
        "cols": store.grid.cols,
        "code_size": store.code_size,
        "covered_cells": int(store.coverage.sum()),
        "precision": store.header.precision,
    }
    if store.coverage.any():
        return Made([store.path], facts)
    least = f"{bench.settings.grid.min_tissue:.0%}"
    return Made([store.path], facts, "empty", f"no patch of this slide holds {least} of tissue")


def _places(task: Task, bench: Bench) -> tuple[Path, ...]:
    return (bench.store_path(task),)


def _is_whole(task: Task, bench: Bench) -> bool:
    try:
        return bench.store(task).is_complete
    except StoreError:
        return False


STEP = Step(run, _places, _is_whole, takes_nothing=True)
