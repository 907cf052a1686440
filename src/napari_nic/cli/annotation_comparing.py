"""``napari-nic annotations compare``: two files against each other, class by class."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotation_input import add_input, extent_of, read_input
from napari_nic.cli.annotation_pictures import known_pixel
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.disk import write_text
from napari_nic.names import RESULT_SUFFIXES

if TYPE_CHECKING:
    from napari_nic.annotations import ClassComparison
    from napari_nic.geometry import PixelSize

COMPARE = """\
Compare the areas of two annotation files of one slide, class by class: Dice and Jaccard index, areas, numbers
of areas, and how far the boundaries lie apart. Exact, from the outlines themselves."""

_SHOWN = ("class", "areas", "mm2", "common mm2", "Dice", "Jaccard", "boundary um: mean", "95 %", "max")


def add_compare(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "compare", run_compare, "Compare the areas of two annotation files", description=COMPARE
    )
    parser.add_argument("first", metavar="FILE", help="annotation file")
    parser.add_argument("second", metavar="FILE", help="annotation file of the same slide")
    arguments.add_out(parser, "table of results: .csv or .json")
    add_input(parser)
    parser.add_argument(
        "--step",
        type=arguments.positive,
        metavar="UM",
        default=1.0,
        help="boundaries are compared at points this far apart at most; default: %(default)s",
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_compare(args: argparse.Namespace, console: Console) -> int:
    """Compare two files and print or write the results."""
    from napari_nic.annotations import compare_sets

    out = None if args.out is None else Path(args.out)
    if out is not None and out.suffix.lower() not in RESULT_SUFFIXES:
        raise arguments.UsageError("--out is no table", expected=".csv or .json", found=out.name)
    check_all_free({"--out": out}, overwrite=args.overwrite)
    extent = extent_of(args)
    pixel = _stated(args) if extent is None else known_pixel(extent.pixel_size, args.slide)
    with stoppable(console, ending=STOPPED) as token:
        first, second = (read_input(Path(path), args, extent, token) for path in (args.first, args.second))
        results = compare_sets(first, second, pixel, step_um=args.step, token=token)
    records = [result.to_dict() for result in results]
    if out is not None:
        write_text(
            out, _as_csv(records) if out.suffix.lower() == ".csv" else json.dumps(records, indent=2) + "\n"
        )
    if args.json:
        console.json(records)
        return 0
    console.table(_SHOWN, [_row(result) for result in results])
    return 0


def _stated(args: argparse.Namespace) -> PixelSize:
    from napari_nic.geometry import PixelSize

    if args.mpp is None:
        raise arguments.UsageError("the pixel size is not known", expected="--slide SLIDE, or --mpp UM")
    return PixelSize(args.mpp, args.mpp)


def _as_csv(records: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(records[0]) if records else ["label"]
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def _row(result: ClassComparison) -> tuple[str, ...]:
    return (
        result.label,
        f"{result.n_first:,} and {result.n_second:,}",
        f"{result.first_mm2:.4f} and {result.second_mm2:.4f}",
        f"{result.common_mm2:.4f}",
        *(_number(value, 4) for value in (result.dice, result.jaccard)),
        *(
            _number(value, 2)
            for value in (result.boundary_mean_um, result.boundary_p95_um, result.boundary_max_um)
        ),
    )


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
