"""``napari-nic annotations doctor``: objects whose codes look like another class, for a second look."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.readings import ReadingPlan, SlideFiles, add_files, each_slide
from napari_nic.disk import write_text
from napari_nic.jobs import Progress
from napari_nic.names import RESULT_SUFFIXES, has_suffix
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.reader_study.doctor import Diagnosis, DoctorSlide

DOCTOR = """\
Rank annotated objects by how little they look like their class: the mean code of each object's cells is
scored by a linear model that saw no object of the same slide (of a single slide: of the same part of it). The
first ones of the list are worth a second look; nothing is changed. --stores names the compressed slides."""

SHOWN = 20


def add_doctor(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "doctor", run_doctor, "Rank objects that may be labelled wrong", description=DOCTOR
    )
    add_files(parser, models=False)
    arguments.add_out(parser, "the whole list: .csv or .json")
    parser.add_argument(
        "--first",
        type=arguments.positive_int,
        metavar="N",
        default=SHOWN,
        help="how many are printed; default: %(default)s",
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_doctor(args: argparse.Namespace, console: Console) -> int:
    """Rank the objects and print the head of the list."""
    from napari_nic.reader_study.doctor import examine

    out = None if args.out is None else Path(args.out)
    if out is not None and not has_suffix(out, *RESULT_SUFFIXES):
        raise arguments.UsageError("--out is no table", expected=".csv or .json", found=out.name)
    check_all_free({"--out": out}, overwrite=args.overwrite)
    if args.stores is None:
        raise arguments.UsageError("objects need codes", expected="--stores, with the compressed slides")
    if len(args.files) != 1:
        raise arguments.UsageError(
            "one reader is examined at a time", expected="one file or folder", found=" ".join(args.files)
        )
    with stoppable(console, ending=STOPPED) as token:
        plan = ReadingPlan(args, console)
        slides = console.outcome(_read_all(plan, args, console, token), "Reading codes")
        found = examine(slides, token=token)
    records = [one.to_dict() for one in found.suspects]
    if out is not None:
        write_text(
            out,
            _as_csv(records) if has_suffix(out, ".csv") else json.dumps(_document(found), indent=2) + "\n",
        )
        console.result(str(out))
    if args.json:
        console.json(_document(found))
    else:
        _print(found, args.first, console)
    return 0


def _read_all(
    plan: ReadingPlan, args: argparse.Namespace, console: Console, token: CancellationToken
) -> Generator[Progress, None, list[DoctorSlide]]:
    from napari_nic.embeddings import ResidentCodes
    from napari_nic.reader_study import only_labels
    from napari_nic.reader_study.doctor import DoctorSlide
    from napari_nic.reader_study.object_codes import object_codes

    slides: list[DoctorSlide] = []

    def read(slide: SlideFiles) -> None:
        """Average the codes of the objects of one slide."""
        found = plan.read(slide, token)
        if found.store is None:
            raise arguments.UsageError("objects need codes", expected="--stores, with the compressed slides")
        annotations = only_labels(found.readings[0].annotations, args.label)
        objects = object_codes(annotations, ResidentCodes.load(found.store, token=token), token=token)
        slides.append(DoctorSlide(slide.name, annotations, objects))

    yield from each_slide(plan, console, token, read)
    return slides


def _document(found: Diagnosis) -> dict[str, object]:
    return {
        "classes": list(found.classes),
        "held_out": found.held_out,
        "balanced_accuracy": found.balanced_accuracy,
        "objects": [one.to_dict() for one in found.suspects],
        "left_out": [
            {"slide": slide, "object": index + 1, "why": why} for slide, index, why in found.left_out
        ],
    }


def _as_csv(records: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]) if records else ["slide"], lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def _print(found: Diagnosis, first: int, console: Console) -> None:
    others = sum(one.looks_like != one.label for one in found.suspects)
    console.result(
        f"{others:,} of {counted(len(found.suspects), 'object')} look like another class; "
        f"{len(found.left_out):,} could not be scored"
    )
    console.result(
        f"balanced accuracy {found.balanced_accuracy:.3f} with {found.held_out} held out "
        f"(chance: {1 / len(found.classes):.3f})"
    )
    rows = [
        (
            one.slide,
            one.index + 1,
            one.label,
            one.reason,
            f"{one.center_px[0]:.0f}, {one.center_px[1]:.0f}",
            one.n_cells,
        )
        for one in found.suspects[:first]
    ]
    console.table(("slide", "object", "class", "why", "x, y (px)", "cells"), rows)
