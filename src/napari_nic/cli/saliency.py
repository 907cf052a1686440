"""``napari-nic saliency``: where on compressed slides a model finds what speaks for a target."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotated import add_frame, annotation_of, annotations_on
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import check_not_slide, open_encoded
from napari_nic.cli.files import ARRAY, PICTURE, check_free, save_array, save_overlay
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import stoppable
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.names import has_suffix

if TYPE_CHECKING:
    import numpy as np

    from napari_nic.annotations import Agreement
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.explain import AreaOptions, SaliencyMap
    from napari_nic.jobs import CancellationToken
    from napari_nic.slide_models import ModelBundle, ModelCard

INTEGRATED = "integrated-gradients"

INSIDE = 0.5
"""A cell counts as annotated when at least this share of it is."""

DESCRIPTION = """\
Write signed Grad-CAM maps: what speaks for (+, red) and against (-, blue) a class, as a picture (.png) or as
raw values (.npy, not-a-number where nothing is encoded). Of each map is said whether it should be believed:
does the score fall when the marked cells are masked, and is the map the same when the slide is turned, cut
and seen by models of other folds? With --annotation, print how well map and annotation agree."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "saliency", run, "Write maps of what a model looks at", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    arguments.add_model(parser)
    parser.add_argument("--target", metavar="CLASS", help="name or number; default: the model's last class")
    parser.add_argument(
        "--layer",
        type=arguments.natural,
        default=0,
        metavar="N",
        help="convolution, from 0 (default), the finest",
    )
    parser.add_argument(
        "--method",
        choices=("Grad-CAM", "LayerCAM", "HiResCAM", INTEGRATED),
        default="Grad-CAM",
        help=f"default: Grad-CAM; {INTEGRATED} takes a minute and has no layer",
    )
    arguments.add_out(parser, "file ending in .png or .npy, or folder; default: beside the compressed slide")
    arguments.add_overwrite(parser, "replace a file even if this program did not write it")
    arguments.add_cell_px(parser)
    parser.add_argument(
        "--annotation", metavar="PATH", help="annotation file, or folder of files called like the slides"
    )
    add_frame(parser)
    parser.add_argument("--label", action="append", help="only annotations of this label; may be repeated")
    _add_area(parser)
    add_fold(parser)
    parser.add_argument(
        "--no-check", action="store_true", help="do not say whether the map should be believed; quicker"
    )
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def add_fold(parser: argparse.ArgumentParser) -> None:
    """Add the models that learned the same from other slides."""
    parser.add_argument(
        "--fold",
        action="append",
        default=[],
        metavar="NAME",
        help="model of another fold, whose map should be alike; may be repeated",
    )


def _add_area(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "area", "what is compared with --annotation beside the map: the map smoothed, cut off, without specks"
    )
    group.add_argument("--smooth", type=arguments.not_negative, metavar="CELLS", help="sigma of the Gaussian")
    group.add_argument(
        "--threshold", type=float, metavar="VALUE", help="raw value; default: Otsu's threshold"
    )
    group.add_argument("--least-cells", type=arguments.natural, metavar="N", help="smaller parts are specks")


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share."""

    args: argparse.Namespace
    console: Console
    bundle: ModelBundle
    target: int
    token: CancellationToken
    folds: list[ModelBundle] = field(default_factory=list)


def run(args: argparse.Namespace, console: Console) -> int:
    """Explain the model's output for each store."""
    from napari_nic.slide_models import ModelBundle

    paths = find_stores(args.stores)
    arguments.require_own("--annotation", args.annotation, several=len(paths) > 1)
    suffix = ARRAY if has_suffix(args.out or "", ARRAY) else PICTURE
    targets = outputs_for(paths, args.out, suffix=suffix, label="saliency")
    with stoppable(console, ending="stopped") as token:
        bundle = ModelBundle.load(args.model)
        target = target_number(bundle.card, args.target)
        task = _Task(args, console, bundle, target, token, [ModelBundle.load(name) for name in args.fold])
        return run_each(paths, lambda path: _explain_one(path, targets[path], task), console)


def target_number(card: ModelCard, text: str | None) -> int:
    """Return the number of a class given by name or number.

    Raises
    ------
    UsageError
        If the model has no such class.
    """
    try:
        return card.target_number(text)
    except InvalidParameterError as error:
        raise arguments.UsageError(error.problem, expected=error.expected) from error


def _explain_one(path: Path, target: Path, task: _Task) -> dict[str, Any]:
    args = task.args
    store = open_encoded(path, task.console)
    check_not_slide(store, target)
    check_free(target, overwrite=args.overwrite)
    task.bundle.check_store(store)
    saliency = _saliency(store, task)
    _save(saliency, store, target, args.cell_px)
    task.console.result(str(target))
    record: dict[str, Any] = {
        "model": saliency.model,
        "target": saliency.target,
        "method": saliency.method,
        "layer": saliency.layer,
        "files": [str(target)],
    }
    if not args.no_check and args.method != INTEGRATED:
        record["reliability"] = _check(saliency, store, task)
    if args.annotation:
        found, area, labels = _compare(saliency, store, task)
        task.console.result(_agreement_line(saliency, found, area, labels))
        record["agreement"] = asdict(found) | {"labels": labels}
        record["area"] = {"jaccard": area.jaccard, "dice": area.dice}
    return record


def _saliency(store: CompressedSlide, task: _Task) -> SaliencyMap:
    from napari_nic.explain import grad_cam, integrated_gradients

    args = task.args
    common: dict[str, Any] = {"target": task.target, "device": args.device, "token": task.token}
    codes, mask = store.read(token=task.token), store.encoded()
    if args.method == INTEGRATED:
        return integrated_gradients(task.bundle, codes, mask, **common)
    return grad_cam(task.bundle, codes, mask, layer=args.layer, method=args.method, **common)


def _check(saliency: SaliencyMap, store: CompressedSlide, task: _Task) -> dict[str, Any]:
    """Say whether the map should be believed; return the numbers."""
    from napari_nic.explain import check_saliency

    for fold in task.folds:
        fold.check_store(store)
    codes = store.read(token=task.token)
    what: dict[str, Any] = {"folds": task.folds, "device": task.args.device, "token": task.token}
    job = check_saliency(task.bundle, codes, saliency, **what)
    found = task.console.outcome(job, store.header.slide_name)
    task.console.result(f"  {found.line}")
    return found.to_dict()


def _save(saliency: SaliencyMap, store: CompressedSlide, target: Path, cell_px: int) -> None:
    if has_suffix(target, ARRAY):
        values = saliency.values.copy()
        values[~saliency.mask] = float("nan")
        save_array(values, target)
        return
    from napari_nic.explain import saliency_overlay

    save_overlay(saliency_overlay(saliency, store.grid.placement), target, cell_px=cell_px)


def _compare(
    saliency: SaliencyMap, store: CompressedSlide, task: _Task
) -> tuple[Agreement, Agreement, list[str]]:
    """Compare the map at its best threshold, and the area made from it, with the annotation."""
    from napari_nic.annotations import agreement, rasterise
    from napari_nic.explain import compare_area, salient_area

    args = task.args
    path = annotation_of(store, Path(args.annotation))
    annotations = annotations_on(store, path, args)
    labels = args.label or list(annotations.labels())
    outline = rasterise(annotations, store.grid, labels, token=task.token) >= INSIDE
    _check_comparable(outline[saliency.mask], labels, path)
    found = agreement(saliency.values, outline, saliency.mask)
    area = salient_area(saliency, _area_options(args))
    return found, compare_area(area, outline, saliency.mask), labels


def _check_comparable(inside: np.ndarray, labels: list[str], path: Path) -> None:
    """Refuse to give numbers that mean nothing: with all encoded cells in the annotated areas, or none."""
    if inside.any() and not inside.all():
        return
    share = "every" if inside.any() else "no"
    raise AnnotationError(
        f"nothing to compare: {share} encoded cell is annotated",
        path=path,
        found=f"areas of {', '.join(labels)}",
    )


def _area_options(args: argparse.Namespace) -> AreaOptions:
    from napari_nic.explain import AreaOptions

    given = {"sigma": args.smooth, "threshold": args.threshold, "min_cells": args.least_cells}
    return AreaOptions(**{name: value for name, value in given.items() if value is not None})


def _agreement_line(saliency: SaliencyMap, found: Agreement, area: Agreement, labels: list[str]) -> str:
    what = f"{saliency.method} for {saliency.target!r} against {', '.join(labels)}"
    return (
        f"  {what}: pixel AUC {found.auc:.3f}, "
        f"Jaccard {area.jaccard:.3f} as an area, {found.jaccard:.3f} at the best threshold (optimistic), "
        f"{found.n_inside:,} of {found.n_cells:,} cells annotated"
    )
