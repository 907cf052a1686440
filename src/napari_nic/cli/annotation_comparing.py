"""``napari-nic annotations compare``: readers and models against each other, class by class."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import PICTURE, check_all_free, check_free, save_overlay
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.readings import ReadingPlan, SlideFiles, add_files, each_slide
from napari_nic.disk import write_text
from napari_nic.jobs import Progress
from napari_nic.names import RESULT_SUFFIXES, check_apart, has_suffix, safe_name
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.metrics import Estimate
    from napari_nic.reader_study import ClassSummary, CompareOptions, PairComparison, ReadSlide
    from napari_nic.reader_study.report import SlideSection

COMPARE = """\
Compare the areas of annotation files of one slide, class by class: Dice and Jaccard index, sensitivity and
precision (the first file is the reference), areas, and how far the boundaries lie apart. Exact, from the
outlines themselves. With a folder for each reader, all slides that every reader has are compared, and summed
up with intervals of 95 % over slides. Models take part by --prediction and --saliency."""

_SHOWN = ("class", "areas", "mm2", "common mm2", "Dice", "Jaccard", "sensitivity", "precision")
_SHOWN_BOUNDARY = ("class", "boundary um: mean", "95 %", "max", "surface Dice", "pixel AUC", "unseen mm2")
_SHOWN_COHORT = (
    "class",
    "slides: both, one",
    "mm2",
    "Dice, pooled",
    "Jaccard, pooled",
    "Dice, mean",
    "boundary um, mean",
)


HTML = ".html"


def add_compare(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "compare", run_compare, "Compare readers and models", description=COMPARE
    )
    add_files(parser, models=True)
    arguments.add_out(parser, "table of results: .csv or .json")
    parser.add_argument(
        "--difference",
        metavar="PATH",
        help="pictures of where both, only one or only the other has a class: folder, or .png for one class "
        "of two readers",
    )
    parser.add_argument(
        "--report", metavar="FILE", help=f"page ({HTML}) with all tables and pictures; needs no other file"
    )
    parser.add_argument(
        "--step",
        type=arguments.positive,
        metavar="UM",
        default=1.0,
        help="boundaries are compared at points this far apart at most; default: %(default)s",
    )
    parser.add_argument(
        "--tolerance",
        type=arguments.not_negative,
        metavar="UM",
        default=10.0,
        help="boundaries that lie closer agree (surface Dice); default: %(default)s",
    )
    parser.add_argument(
        "--raster",
        type=arguments.positive,
        metavar="UM",
        help="compare on a raster of this size instead of the outlines themselves",
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_compare(args: argparse.Namespace, console: Console) -> int:
    """Compare readers and print or write the results."""
    from napari_nic.reader_study import CompareOptions, summarise

    out = None if args.out is None else Path(args.out)
    if out is not None and not has_suffix(out, *RESULT_SUFFIXES):
        raise arguments.UsageError("--out is no table", expected=".csv or .json", found=out.name)
    report = None if args.report is None else Path(args.report)
    if report is not None and not has_suffix(report, HTML):
        raise arguments.UsageError("--report is no page", expected=HTML, found=report.name)
    check_all_free({"--out": out, "--report": report}, overwrite=args.overwrite)
    labels = None if args.label is None else tuple(args.label)
    options = CompareOptions(labels, args.step, args.tolerance, args.raster)
    with stoppable(console, ending=STOPPED) as token:
        plan = ReadingPlan(args, console)
        _check_two(plan)
        sections = console.outcome(_compare_all(plan, options, args, console, token), "Comparing")
        plan.tell_unmatched()
    found = [one for section in sections for one in section.comparisons]
    if report is not None:
        write_text(report, _page(plan, options, sections))
        console.result(str(report))
    records = [one.to_dict() for one in found]
    summaries = summarise(found) if plan.is_cohort else ()
    document = _document(plan, records, summaries) if plan.is_cohort else records
    if out is not None:
        text = _as_csv(records) if has_suffix(out, ".csv") else json.dumps(document, indent=2) + "\n"
        write_text(out, text)
    if args.json:
        console.json(document)
    elif plan.is_cohort:
        _print_summaries(summaries, console)
    else:
        _print_pairs(found, console)
    return 0


def _check_two(plan: ReadingPlan) -> None:
    if len(plan.names) < 2:
        raise arguments.UsageError(
            "there is nothing to compare with", expected="two readers or models", found=", ".join(plan.names)
        )


def _compare_all(
    plan: ReadingPlan,
    options: CompareOptions,
    args: argparse.Namespace,
    console: Console,
    token: CancellationToken,
) -> Generator[Progress, None, list[SlideSection]]:
    """Compare slide by slide; of many, one that cannot be read does not stop the others."""
    from napari_nic.reader_study import compare_readings
    from napari_nic.reader_study.report import SlideSection, slide_section

    sections: list[SlideSection] = []

    def compare(slide: SlideFiles) -> None:
        """Compare one slide, and paint it where pictures are asked for."""
        read = plan.read(slide, token)
        found = compare_readings(read.name, read.readings, read.pixel, options, token=token)
        if args.difference is not None:
            _save_differences(read, plan, args, console, token)
        if args.report is None:
            sections.append(SlideSection(read.name, found, ()))
        else:
            sections.append(slide_section(read, found, options.labels, token=token))

    yield from each_slide(plan, console, token, compare)
    return sections


def _page(plan: ReadingPlan, options: CompareOptions, sections: Sequence[SlideSection]) -> str:
    from napari_nic.reader_study.report import ReaderReport

    left_out = [*plan.unmatched, *((name, why) for name, why in plan.failed)]
    return ReaderReport("Comparison of readers", plan.described, options, sections, left_out).to_html()


def _save_differences(
    read: ReadSlide, plan: ReadingPlan, args: argparse.Namespace, console: Console, token: CancellationToken
) -> None:
    from itertools import combinations

    from napari_nic.reader_study import difference_overlay, labels_of

    labels = args.label or labels_of(read.readings)
    wanted = [(pair, label) for pair in combinations(read.readings, 2) for label in labels]
    targets = _difference_targets(read, plan, args, [(a.name, b.name, label) for (a, b), label in wanted])
    check_apart({str(target): target for target in targets})
    for ((first, second), label), target in zip(wanted, targets, strict=True):
        check_free(target, overwrite=args.overwrite)
        overlay = difference_overlay(first, second, label, read.region, read.pixel, token=token)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_overlay(overlay, target, cell_px=1)
        console.result(str(target))


def _difference_targets(
    read: ReadSlide, plan: ReadingPlan, args: argparse.Namespace, wanted: Sequence[tuple[str, str, str]]
) -> list[Path]:
    out = Path(args.difference)
    if has_suffix(out, PICTURE) and not out.is_dir():
        if plan.is_cohort or len(wanted) != 1:
            raise arguments.UsageError(
                "one picture was named for several",
                path=out,
                expected="a folder",
                hint="or choose one class (--label)",
            )
        return [out]
    several = len(plan.names) > 2
    return [
        out / safe_name(f"{read.name}.{f'{a}-{b}.' if several else ''}{label}.difference{PICTURE}")
        for a, b, label in wanted
    ]


def _document(
    plan: ReadingPlan, records: Sequence[dict[str, Any]], summaries: Sequence[ClassSummary]
) -> dict[str, Any]:
    return {
        "readers": plan.names,
        "slides": records,
        "cohort": [summary.to_dict() for summary in summaries],
        "unmatched": [{"file": name, "why": why} for name, why in plan.unmatched],
    }


def _as_csv(records: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(records[0]) if records else ["label"]
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def _print_pairs(found: Sequence[PairComparison], console: Console) -> None:
    pairs = list(dict.fromkeys((one.first, one.second) for one in found))
    for first, second in pairs:
        own = [one for one in found if (one.first, one.second) == (first, second)]
        console.result(f"{first} (reference) and {second}")
        console.table(_SHOWN, [_row(one) for one in own])
        console.table(_SHOWN_BOUNDARY, [_boundary_row(one) for one in own])
    if not found:
        console.result("no class has areas: there is nothing to compare")


def _row(one: PairComparison) -> tuple[str, ...]:
    result = one.areas
    return (
        result.label,
        f"{result.n_first:,} and {result.n_second:,}",
        f"{result.first_mm2:.4f} and {result.second_mm2:.4f}",
        f"{result.common_mm2:.4f}",
        *(number(v, 4) for v in (result.dice, result.jaccard, result.sensitivity, result.precision)),
    )


def _boundary_row(one: PairComparison) -> tuple[str, ...]:
    result = one.areas
    distances = result.boundary_mean_um, result.boundary_p95_um, result.boundary_max_um
    return (
        result.label,
        *(number(value, 2) for value in distances),
        f"{number(result.surface_dice, 4)} (within {result.tolerance_um:g} um)",
        number(one.auc, 4),
        f"{one.unseen_mm2:.4f}",
    )


def _print_summaries(summaries: Sequence[ClassSummary], console: Console) -> None:
    for first, second in dict.fromkeys((one.first, one.second) for one in summaries):
        own = [one for one in summaries if (one.first, one.second) == (first, second)]
        console.result(f"{first} (reference) and {second}, {counted(own[0].n_slides, 'slide')}")
        console.table(_SHOWN_COHORT, [_summary_row(one) for one in own])


def _summary_row(one: ClassSummary) -> tuple[str, ...]:
    return (
        one.label,
        f"{one.n_both}, {one.n_one}",
        f"{one.first_mm2:.4f} and {one.second_mm2:.4f}",
        interval(one.pooled["dice"], 3),
        interval(one.pooled["jaccard"], 3),
        interval(one.means["dice"], 3),
        interval(one.means["boundary_mean_um"], 1),
    )


def number(value: float, digits: int) -> str:
    """Write a number, or a dash where it is not defined."""
    return "-" if value != value else f"{value:.{digits}f}"


def interval(found: Estimate, digits: int) -> str:
    """Write a number with its interval, where it has one."""
    if found.low != found.low:
        return number(found.value, digits)
    return f"{number(found.value, digits)} ({number(found.low, digits)} to {number(found.high, digits)})"
