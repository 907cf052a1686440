"""``napari-nic anomalies``: how unusual each cell of a compressed slide is."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import check_not_slide, open_encoded
from napari_nic.cli.files import ARRAY, PICTURE, check_free, save_array, save_overlay
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.names import has_suffix
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.similarity import AnomalyOptions, Reference

DESCRIPTION = """\
Write maps of how unusual each cell is, as a picture (.png) or as values (.npy): the share of a reference's
cells, in percent, that are less unusual. The reference is the slide itself, or the slides of --reference.
Folds, ink and blur are unusual too; unusual is not the same as diseased."""

UNUSUAL = 99.0
"""Percent above which cells are counted."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "anomalies", run, "Write maps of unusual cells", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    parser.add_argument(
        "--reference", metavar="FOLDER", help="compressed slides of what is usual; default: each slide itself"
    )
    parser.add_argument(
        "--method",
        choices=("knn", "mahalanobis"),
        default="knn",
        help="distance to the k nearest cells of a sample (default), or from the mean of all",
    )
    parser.add_argument(
        "--neighbours", type=arguments.positive_int, default=10, metavar="K", help="of knn; default: 10"
    )
    parser.add_argument("--seed", type=arguments.natural, default=0, metavar="N", help=arguments.SEED_HELP)
    arguments.add_out(parser, "file ending in .png or .npy, or folder; default: beside the compressed slide")
    arguments.add_overwrite(parser, "replace a file even if this program did not write it")
    arguments.add_cell_px(parser)
    arguments.add_json(parser)


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share; `reference` is None where each slide is its own."""

    args: argparse.Namespace
    console: Console
    options: AnomalyOptions
    reference: Reference | None
    token: CancellationToken


def run(args: argparse.Namespace, console: Console) -> int:
    """Map each store."""
    from napari_nic.similarity import AnomalyOptions

    paths = find_stores(args.stores)
    suffix = ARRAY if has_suffix(args.out or "", ARRAY) else PICTURE
    targets = outputs_for(paths, args.out, suffix=suffix, label="anomaly")
    options = AnomalyOptions(args.method, args.neighbours, args.seed)
    with stoppable(console, ending=STOPPED) as token:
        reference = None if args.reference is None else _reference(args, options, token)
        task = _Task(args, console, options, reference, token)
        return run_each(paths, lambda path: _map_one(path, targets[path], task), console)


def _reference(args: argparse.Namespace, options: AnomalyOptions, token: CancellationToken) -> Reference:
    from napari_nic.similarity import Reference, open_reference, stores_in

    stores = open_reference(stores_in(Path(args.reference)), token=token)
    return Reference.of(stores, options, token=token)


def _map_one(path: Path, target: Path, task: _Task) -> dict[str, Any]:
    args = task.args
    store = open_encoded(path, task.console)
    check_not_slide(store, target)
    check_free(target, overwrite=args.overwrite)
    percent = _percent(store, task)
    mask = store.encoded()
    if has_suffix(target, ARRAY):
        percent[~mask] = float("nan")
        save_array(percent, target)
    else:
        from napari_nic.similarity import anomaly_overlay

        name = "this slide" if task.reference is None else task.reference.name
        overlay = anomaly_overlay(percent, mask, store.grid.placement, task.options, reference=name)
        save_overlay(overlay, target, cell_px=args.cell_px)
    unusual = int((percent[mask] >= UNUSUAL).sum())
    task.console.result(str(target))
    task.console.result(f"  {counted(unusual, 'cell')} more unusual than {UNUSUAL:g} % of the reference")
    return {"files": [str(target)], "cells": int(mask.sum()), "unusual_cells": unusual}


def _percent(store: CompressedSlide, task: _Task) -> Any:
    from napari_nic.similarity import Reference

    reference = task.reference or Reference.of([store], task.options, token=task.token)
    return reference.percent_map(store, token=task.token)
