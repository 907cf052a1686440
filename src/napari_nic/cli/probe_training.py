"""``napari-nic probe train``: a probe from annotation files."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotated import add_frame, annotation_of, shapes_on
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.files import check_all_free
from napari_nic.cli.inputs import find_stores
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.colors import RGB
    from napari_nic.jobs import CancellationToken
    from napari_nic.probe import Learner, Probe

DESCRIPTION = """\
Learn to tell the classes of annotations apart, patch by patch, from the codes of compressed slides. Areas
label the patches that they cover by half or more, lines and points those that they touch. The probe is tested
by leaving one shape out after the other."""


def add_train(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "train", run_train, "Learn classes from annotated slides", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    parser.add_argument(
        "--annotations",
        metavar="PATH",
        required=True,
        help="annotation file, or folder of files called like the slides",
    )
    add_frame(parser)
    parser.add_argument("--label", action="append", help="only annotations of this label; may be repeated")
    arguments.add_out(parser, "folder to write the probe to", required=True)
    arguments.add_overwrite(parser, "replace a probe that is there")
    parser.add_argument("--name", help="of the probe; default: the name of its folder")
    parser.add_argument(
        "--prior-cells",
        type=arguments.positive,
        metavar="N",
        help="labelled cells that the slide's own variance counts as; default: 10",
    )
    arguments.add_json(parser)


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train a probe and save it."""
    from napari_nic.probe import PROBE_FILE, Learner, save_probe

    paths = find_stores(args.stores)
    arguments.require_own("--annotations", args.annotations, several=len(paths) > 1)
    out = Path(args.out)
    check_all_free({"--out": out / PROBE_FILE}, overwrite=args.overwrite)
    options: dict[str, Any] = {} if args.prior_cells is None else {"prior_cells": args.prior_cells}
    with stoppable(console, ending=STOPPED) as token:
        learner, colors = Learner(), dict[str, "RGB"]()
        for path in paths:
            _learn_from(path, learner, colors, args, console, token)
        chosen, name = _of_classes(learner, colors), args.name or out.name
        trained = learner.train(chosen, name=name, token=token, **options)
        save_probe(trained.probe, out)
    for warning in trained.warnings:
        console.warning(f"note: {warning}")
    print_probe(trained.probe, console)
    console.result(str(out))
    return 0


def _learn_from(
    path: Path,
    learner: Learner,
    colors: dict[str, RGB],
    args: argparse.Namespace,
    console: Console,
    token: CancellationToken,
) -> None:
    """Add the strokes of one slide; of its codes only those of the strokes are kept."""
    from napari_nic.embeddings import ResidentCodes
    from napari_nic.probe import LearningSlide, strokes_of

    store = open_encoded(path, console)
    file = annotation_of(store, Path(args.annotations))
    annotations = shapes_on(store, file, args, token).only(args.label)
    resident = ResidentCodes.load(store, token=token)
    found = strokes_of(annotations, resident, token=token)
    for note in found.notes:
        console.warning(f"note: {file.name}: {note}")
    if not found.strokes:
        console.missed(str(path), f"nothing to learn from in {file.name}")
        return
    learner.set_strokes(LearningSlide.of(resident, token=token), found.strokes)
    for label, color in annotations.colors.items():
        colors.setdefault(label, color)
    cells = sum(len(stroke) for stroke in found.strokes)
    console.note(f"{store.slide_name}: {counted(len(found.strokes), 'stroke')}, {counted(cells, 'cell')}")


def _of_classes(learner: Learner, colors: dict[str, RGB]) -> dict[str, RGB]:
    from napari_nic.annotations import label_colors

    return label_colors(learner.counts(), colors)


def print_probe(probe: Probe, console: Console) -> None:
    """Print the card of a probe, for people or as JSON."""
    card = probe.card
    if console.as_json:
        console.json(asdict(card) | {"temperature": probe.temperature})
        return
    held = card.metrics.get("leave_one_stroke_out", {})
    facts = {"encoder": f"{card.encoder_name}, C = {card.encoder.get('code_size')}", "not for": card.not_for}
    if isinstance(held, dict) and "balanced_accuracy" in held:
        facts["accuracy"] = (
            f"{held['balanced_accuracy']:.3f}, leaving one of {held['strokes']} strokes out, classes alike; "
            f"nearest class mean {held['simple_shot_balanced_accuracy']:.3f}"
        )
    else:
        facts["accuracy"] = str(held)
    console.card(f"{card.name}: {card.summary}", facts)
    console.table(("class", "strokes", "cells", "recall"), _rows(probe))


def _rows(probe: Probe) -> list[tuple[object, ...]]:
    training, held = probe.card.training, probe.card.metrics.get("leave_one_stroke_out", {})
    recall = held.get("recall", {}) if isinstance(held, dict) else {}
    return [
        (
            label,
            training.get("strokes", {}).get(label, ""),
            training.get("cells", {}).get(label, ""),
            f"{recall[label]:.3f}" if label in recall else "not known",
        )
        for label in probe.class_names
    ]
