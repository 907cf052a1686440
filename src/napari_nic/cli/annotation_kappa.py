"""``napari-nic annotations kappa``: agreement of readers beyond chance, on cells or on objects."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.annotation_comparing import interval
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.readings import ReadingPlan, add_files, each_slide
from napari_nic.jobs import Progress
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.reader_study import ReadSlide
    from napari_nic.reader_study.kappa import KappaResult
    from napari_nic.reader_study.units import Units

KAPPA = """\
Cohen's kappa of each pair of readers and Fleiss' kappa of all of them: agreement beyond chance, on cells of a
grid or on objects that all outlined, with intervals of 95 % over slides. With --stores the cells are those of
the compressed slides that hold tissue; without, squares of --cell um that some reader annotated."""


def add_kappa(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "kappa", run_kappa, "Agreement of readers beyond chance", description=KAPPA
    )
    add_files(parser, models=True)
    parser.add_argument(
        "--on",
        choices=("cells", "objects"),
        default="cells",
        help="what is counted: cells (default), or objects, which overlap by a Jaccard index above 0.5",
    )
    parser.add_argument(
        "--cell",
        type=arguments.positive,
        metavar="UM",
        default=100.0,
        help="side of a cell; default: %(default)s",
    )
    parser.add_argument(
        "--weights",
        choices=("none", "linear", "quadratic"),
        default="none",
        help="how much a disagreement counts (Cohen's): all alike (default), or by how far the classes are "
        "apart in --order",
    )
    parser.add_argument(
        "--order",
        metavar="A,B,C",
        help="the classes in order, for weights; 'nothing' among them is what nobody annotated",
    )
    arguments.add_json(parser)


def run_kappa(args: argparse.Namespace, console: Console) -> int:
    """Measure and print the agreement."""
    from napari_nic.reader_study.kappa import kappa_of_readers

    order = _order(args)
    with stoppable(console, ending=STOPPED) as token:
        plan = ReadingPlan(args, console)
        if len(plan.names) < 2:
            raise arguments.UsageError("kappa needs two readers", found=", ".join(plan.names))
        reads = console.outcome(_read_all(plan, console, token), "Reading")
        classes = order or _classes(reads, args)
        units = console.outcome(_units_of(reads, classes, args, token), "Comparing")
        plan.tell_unmatched()
    found = kappa_of_readers(
        [one.classes for one in units],
        [read.name for read in reads],
        classes,
        plan.names,
        weights=args.weights,
    )
    left_out = sum(one.left_out for one in units)
    if args.json:
        console.json(found.to_dict() | {"on": args.on, "left_out": left_out})
    else:
        _print(found, left_out, args, console)
    return 0


def _order(args: argparse.Namespace) -> list[str] | None:
    if args.order is None:
        if args.weights != "none":
            raise arguments.UsageError("weights need an order of the classes", expected="--order A,B,C")
        return None
    order = [name.strip() for name in args.order.split(",")]
    if not all(order) or len(set(order)) < len(order):
        raise arguments.UsageError("--order names each class once", found=args.order)
    return order


def _classes(reads: Sequence[ReadSlide], args: argparse.Namespace) -> list[str]:
    from napari_nic.reader_study import labels_of
    from napari_nic.reader_study.units import NOTHING

    labels = args.label or list(labels_of([reading for read in reads for reading in read.readings]))
    return labels if args.on == "objects" else [NOTHING, *labels]


def _read_all(
    plan: ReadingPlan, console: Console, token: CancellationToken
) -> Generator[Progress, None, list[ReadSlide]]:
    reads: list[ReadSlide] = []
    yield from each_slide(plan, console, token, lambda slide: reads.append(plan.read(slide, token)))
    return reads


def _units_of(
    reads: Sequence[ReadSlide], classes: Sequence[str], args: argparse.Namespace, token: CancellationToken
) -> Generator[Progress, None, list[Units]]:
    from napari_nic.reader_study.units import cell_units, object_units
    from napari_nic.reader_study.votes import cells_of

    found: list[Units] = []
    for number, read in enumerate(reads):
        token.checkpoint()
        yield Progress(number, len(reads), read.name, "slides")
        sets = [reading.annotations for reading in read.readings]
        if args.on == "objects":
            found.append(object_units(sets, classes, token=token))
        else:
            grid, counted_cells = cells_of(read, args.cell)
            found.append(cell_units(sets, grid, classes, counted=counted_cells, token=token))
    return found


def _print(found: KappaResult, left_out: int, args: argparse.Namespace, console: Console) -> None:
    what = args.on[:-1]
    console.result(
        f"{counted(found.n_units, what)} of {counted(found.n_slides, 'slide')} in "
        f"{', '.join(found.classes)}; {left_out:,} left out"
    )
    weighted = "" if found.weights == "none" else f", {found.weights} weights"
    rows = [(f"{first} and {second}", interval(kappa, 3)) for first, second, kappa in found.pairs]
    if len(found.readers) > 2:
        rows.append((f"all {len(found.readers)} (Fleiss, without weights)", interval(found.fleiss, 3)))
    console.table(("readers", f"kappa{weighted}"), rows)
