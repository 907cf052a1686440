"""Tables of cohorts on the command line: their options, how they are read, and what was understood."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.cohorts import Cohort, Columns, Fold, TableOptions

NAMES_SHOWN = 10


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add how a cohort's table is read, and where its slides are."""
    table = parser.add_argument_group("the table")
    table.add_argument(
        "--stores",
        metavar="FOLDER",
        help="of compressed slides, or of other programs' features; default: beside the slides",
    )
    table.add_argument(
        "--features", metavar="NAME", help="which, where the folder holds those of several encoders"
    )
    table.add_argument(
        "--slides",
        metavar="FOLDER",
        help="in which, or below which, the slides lie: they say how large pixels are where features do not",
    )
    table.add_argument(
        "--slides-table",
        metavar="FILE",
        help="table of slides by patient; the first one is then a clinical table by patient",
    )
    table.add_argument("--sheet", metavar="NAME", help="of a workbook; default: the first one with data")
    table.add_argument("--slides-sheet", metavar="NAME", help="the same, of the table of slides")
    table.add_argument(
        "--columns",
        metavar="KIND=NAME",
        nargs="+",
        default=[],
        help="names of columns that are not found by themselves, such as: label=grade case=surgery",
    )
    table.add_argument(
        "--classes",
        metavar="A,B",
        help="classes in order, the positive one of two last; default: sorted, normal or negative first. "
        "Slides with a word such as NA are left out, unless it is listed here",
    )
    table.add_argument(
        "--splits",
        metavar="FILE",
        help="which slides teach, validate and test: CLAM's splits_k.csv or splits_k_bool.csv, a folder of "
        "them (with --fold), or a table of slides with a column split",
    )
    table.add_argument(
        "--fold",
        type=arguments.natural,
        metavar="K",
        help="take the parts of the column fold_K; of a column fold, K tests and the others teach",
    )
    table.add_argument(
        "--strict",
        action="store_true",
        help="stop if a slide is not found; default: leave it out, and say so",
    )
    table.add_argument(
        "--allow-partial", action="store_true", help="take slides that are not compressed completely"
    )
    table.add_argument(
        "--mpp",
        type=arguments.positive,
        metavar="UM",
        help="um/px of level 0, for imported files that do not say, where the table has no column mpp",
    )


def _check_tables(args: argparse.Namespace) -> None:
    if args.slides_sheet is not None and args.slides_table is None:
        raise arguments.UsageError(
            "a sheet of the table of slides was named, and no such table", expected="--slides-table FILE"
        )


def read(args: argparse.Namespace, task: Any) -> Cohort:
    """Read the table as the options say."""
    from napari_nic.cohorts import read_cohort

    _check_tables(args)
    classes = [name.strip() for name in args.classes.split(",")] if args.classes else None
    return read_cohort(
        args.table,
        task,
        stores=args.stores,
        columns=_columns(args.columns),
        classes=classes if task == "classification" else None,
        options=_options(args),
    )


def say(cohort: Cohort, console: Console, *, classes_listed: bool) -> None:
    """Say in short what was understood, and what may not be meant: a user who lists classes means them."""
    from napari_nic.cohorts import preview

    understood = preview(cohort)
    console.note(f"columns: {understood.facts['columns']}")
    for note in cohort.understood.notes:
        console.warning(f"note: {note}")
    _tell_left_out(cohort, console)
    for doubt in () if classes_listed else understood.doubts:
        console.warning(doubt)


def show(cohort: Cohort, folds: tuple[Fold, ...], table: str, console: Console) -> None:
    """Print what was understood, before anything is done."""
    from napari_nic.cohorts import preview

    understood = preview(cohort)
    if console.as_json:
        console.json(understood.to_dict() | {"folds": [fold.to_dict() for fold in folds]})
        return
    console.card(table, understood.facts)
    if understood.classes:
        console.result("")
        console.table(("class", "slides", "cases"), understood.classes)
    console.result("")
    sizes = [(fold.number, len(fold.train), len(fold.validation), len(fold.test)) for fold in folds]
    console.table(("fold", "train", "validation", "test"), sizes)
    for note in (*understood.notes, *understood.doubts):
        console.result(f"note: {note}")


def _options(args: argparse.Namespace) -> TableOptions:
    from napari_nic.cohorts import TableOptions

    return TableOptions(
        slides_table=None if args.slides_table is None else Path(args.slides_table),
        sheet=args.sheet,
        slides_sheet=args.slides_sheet,
        splits=None if args.splits is None else Path(args.splits),
        fold=args.fold,
        strict=args.strict,
        features=args.features,
        slides=None if args.slides is None else Path(args.slides),
    )


def _tell_left_out(cohort: Cohort, console: Console) -> None:
    """Name what has no label, when quiet too: nobody may miss that slides are not learned from."""
    names = cohort.left_out
    if names:
        shown = ", ".join(names[:NAMES_SHOWN])
        more = "" if len(names) <= NAMES_SHOWN else f" and {len(names) - NAMES_SHOWN:,} more"
        console.warning(f"left out, having no label: {counted(len(names), 'slide')}: {shown}{more}")


def _columns(given: list[str]) -> Columns:
    from napari_nic.cohorts import Columns

    names = dict(entry.partition("=")[::2] for entry in given)
    known = Columns.__dataclass_fields__
    if set(names) - set(known) or not all(names.values()):
        raise arguments.UsageError(
            "--columns cannot be read",
            expected=f"KIND=NAME, where KIND is one of {', '.join(known)}",
            found=" ".join(given),
        )
    return Columns(**names)
