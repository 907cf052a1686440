"""``napari-nic predict``: what a slide-level model says about compressed slides."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.files import ARRAY, check_free, save_array
from napari_nic.cli.inputs import find_stores, is_store, outputs_for
from napari_nic.cli.interrupt import stoppable
from napari_nic.names import is_folder

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.slide_models import ModelBundle, Prediction

VECTOR = ".h5"
DESCRIPTION = """\
Print the score of each compressed slide: mean and spread over crops and their dihedral transforms. Models on
slide vectors score vectors' files (.h5, or a folder of them), and compressed slides that have their vector
beside them. With --out the scores of the cells are written as an array (rows, cols, classes), float32,
not-a-number where nothing is encoded."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "predict", run, "Score slides with a slide-level model", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    arguments.add_model(parser)
    arguments.add_out(parser, f"file ending in {ARRAY}, or folder, for the scores of the cells")
    arguments.add_overwrite(parser)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share."""

    console: Console
    bundle: ModelBundle
    device: str
    token: CancellationToken
    overwrite: bool


def run(args: argparse.Namespace, console: Console) -> int:
    """Score each store."""
    paths = [path for given in find_stores(args.stores) for path in _vectors_in(given) or [given]]
    targets = outputs_for(paths, args.out, suffix=ARRAY, label="cells") if args.out else {}
    with stoppable(console) as token:
        from napari_nic.slide_models import ModelBundle

        task = _Task(console, ModelBundle.load(args.model), args.device, token, args.overwrite)
        return run_each(paths, lambda path: _predict_one(path, targets.get(path), task), console)


def _vectors_in(path: Path) -> list[Path]:
    """List the vectors in a folder that is no store; none of anything else."""
    if is_store(path) or not is_folder(path):
        return []
    return sorted(file for file in path.glob(f"*{VECTOR}") if file.is_file())


def _predict_one(path: Path, target: Path | None, task: _Task) -> dict[str, Any]:
    from napari_nic.slide_models import predict
    from napari_nic.slide_vectors import holds_vector

    if holds_vector(path):
        return _predict_vector(path, target, task)

    if target is not None:
        check_free(target, overwrite=task.overwrite)
    store = open_encoded(path, task.console)
    prediction = predict(task.bundle, store, device=task.device, token=task.token)
    task.console.result(f"{store.path}: {prediction.summary}")
    record = prediction_record(prediction, int(store.coverage.sum()))
    if target is not None:
        save_array(_cell_scores(prediction), target)
        task.console.result(str(target))
        record["files"] = [str(target)]
    return record


def _predict_vector(path: Path, target: Path | None, task: _Task) -> dict[str, Any]:
    from napari_nic.slide_models import predict_vector
    from napari_nic.slide_vectors import read_vector

    prediction = predict_vector(task.bundle, read_vector(path), device=task.device)
    if target is not None:
        prediction.of_cells()
    task.console.result(f"{path}: {prediction.summary}")
    return prediction_record(prediction, 1)


def prediction_record(prediction: Prediction, covered: int) -> dict[str, Any]:
    """Return a prediction for JSON."""
    return prediction.to_dict() | {"covered_cells": covered}


def _cell_scores(prediction: Prediction) -> Any:
    scores = prediction.of_cells().copy()
    scores[~prediction.mask] = float("nan")
    return scores
