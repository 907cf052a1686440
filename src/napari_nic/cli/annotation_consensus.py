"""``napari-nic annotations consensus``: one annotation file of several readers', by a named rule."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotation_input import Formats
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.readings import ReadingPlan, SlideFiles, add_files, each_slide
from napari_nic.jobs import Progress

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.reader_study import ReadSlide
    from napari_nic.reader_study.consensus import Consensus

CONSENSUS = """\
Make one annotation file from those of several readers. --rule says how: majority (more than half of the
readers, exact; --ties says what becomes of a half), staple (Warfield et al. 2004, on a raster; needs
SimpleITK), or reader:NAME. Each area of the file is named after the rule."""

MAJORITY, STAPLE, READER = "majority", "staple", "reader:"


def add_consensus(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "consensus",
        run_consensus,
        "Make one annotation file of several readers'",
        description=CONSENSUS,
    )
    add_files(parser, models=False)
    arguments.add_out(parser, "annotation file; with folders of readers a folder", required=True)
    parser.add_argument(
        "--rule",
        metavar="RULE",
        default=MAJORITY,
        help=f"{MAJORITY} (default), {STAPLE} or {READER}NAME",
    )
    parser.add_argument(
        "--ties",
        choices=("out", "in", "first"),
        default="out",
        help="where exactly half of the readers have a class (majority): out (default), in, or as the first "
        "reader says",
    )
    parser.add_argument(
        "--raster", type=arguments.positive, metavar="UM", default=4.0, help="of STAPLE; default: %(default)s"
    )
    parser.add_argument(
        "--to",
        metavar="NAME",
        choices=Formats(written=True),
        help="format; default: by suffix, GeoJSON in folders",
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_consensus(args: argparse.Namespace, console: Console) -> int:
    """Make the consensus of each slide and write it."""
    if args.rule not in (MAJORITY, STAPLE) and not args.rule.startswith(READER):
        raise arguments.UsageError(
            "unknown rule", expected=f"{MAJORITY}, {STAPLE} or {READER}NAME", found=args.rule
        )
    with stoppable(console, ending=STOPPED) as token:
        plan = ReadingPlan(args, console)
        records = console.outcome(_make_all(plan, args, console, token), "Making a consensus")
        plan.tell_unmatched()
    if args.json:
        console.json(records)
    return 0


def _make_all(
    plan: ReadingPlan, args: argparse.Namespace, console: Console, token: CancellationToken
) -> Generator[Progress, None, list[dict[str, Any]]]:
    from napari_nic.annotations import write_annotations

    records: list[dict[str, Any]] = []

    def make(slide: SlideFiles) -> None:
        """Make and write the consensus of one slide."""
        target = _target(slide.name, plan, args)
        check_all_free({"--out": target}, overwrite=args.overwrite)
        read = plan.read(slide, token)
        found = _consensus(read, args, token)
        target.parent.mkdir(parents=True, exist_ok=True)
        lost = write_annotations(found.annotations, target, args.to, token=token, extent=read.extent)
        for text in (*found.annotations.notes, *lost):
            console.warning(f"note: {target.name}: {text}")
        records.append({"slide": read.name, "file": str(target)} | found.to_dict())
        _print(target, found, console)

    yield from each_slide(plan, console, token, make)
    return records


def _target(slide: str, plan: ReadingPlan, args: argparse.Namespace) -> Path:
    from napari_nic.annotations import FORMATS
    from napari_nic.names import is_folder, known_suffix, safe_name

    out = Path(args.out)
    named = known_suffix(out.name) and not is_folder(out)
    if named and plan.is_cohort:
        raise arguments.UsageError("one file was named for several slides", path=out, expected="a folder")
    if named:
        return out
    return out / safe_name(f"{slide}{FORMATS.get(args.to or 'geojson').suffixes[0]}")


def _consensus(read: ReadSlide, args: argparse.Namespace, token: CancellationToken) -> Consensus:
    from napari_nic.reader_study.consensus import majority, of_reader
    from napari_nic.reader_study.staple import staple

    labels = args.label
    if args.rule == MAJORITY:
        return majority(read.readings, read.pixel, labels=labels, ties=args.ties, token=token)
    if args.rule == STAPLE:
        return staple(read.readings, read.pixel, labels=labels, raster_um=args.raster, token=token)
    return of_reader(read.readings, args.rule.removeprefix(READER), labels=labels)


def _print(target: Path, found: Consensus, console: Console) -> None:
    console.result(f"{target}: {found.rule}")
    for label, number in found.annotations.counts().items():
        tied = found.tied_mm2.get(label)
        half = "" if tied is None else f", half of the readers have another {tied:.4f} mm2"
        console.result(f"  {label}: {number:,} areas{half}")
    rows = [
        (label, reader, f"{sensitivity:.4f}", f"{specificity:.4f}")
        for label, readers in found.performance.items()
        for reader, sensitivity, specificity in readers
    ]
    if rows:
        console.table(("class", "reader", "sensitivity", "specificity"), rows)
