"""``napari-nic models compare``: several trainings on one cohort in one table."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.wording import counted

DESCRIPTION = """\
Put trainings on one cohort side by side, the best first: models on grids, attention, and models on slide
vectors. They must answer one question and have been tested on the same slides. With --out the table is
written as CSV."""


def add_compare(actions: arguments.Subparsers) -> None:
    """Add ``models compare``."""
    parser = arguments.add_command(
        actions, "compare", run, "Put trainings on one cohort into one table", description=DESCRIPTION
    )
    parser.add_argument("folders", metavar="FOLDER", nargs="+", help="what models train or evaluate made")
    arguments.add_out(parser, "file ending in .csv")
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the table."""
    from napari_nic.cohorts import compare_folders
    from napari_nic.disk import replacing

    if args.out is not None:
        if Path(args.out).suffix.lower() != ".csv":
            raise arguments.UsageError("the table is written as CSV", expected="a name that ends in .csv")
        check_all_free({"--out": Path(args.out)}, overwrite=args.overwrite)
    found = compare_folders(args.folders)
    if not found.same_folds:
        console.warning("note: the slides were not shared out alike, so the models learned from other slides")
    if args.out is not None:
        with replacing(Path(args.out)) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([found.header, *found.rows])
    if args.json:
        console.json(found.to_dict())
        return 0
    console.note(f"{found.task}, {counted(found.slides, 'slide')}")
    console.table(found.header, found.rows)
    return 0
