"""``napari-nic annotations froc``: lesions found at so many false positives a slide, as in Camelyon16."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.annotation_comparing import interval, number
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.readings import ReadingPlan, SlideFiles, add_files, each_slide
from napari_nic.errors import AnnotationError
from napari_nic.jobs import Progress
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.reader_study.detections import Detections
    from napari_nic.reader_study.froc import Froc, SlideHits
    from napari_nic.reader_study.lesions import FrocRules

FROC = """\
How many lesions are found at how many false positives a slide, by the rules of Camelyon16: annotated areas
are grown by 75 um in all, lesions whose extent is then under 275 um are isolated tumour cells and left out,
of each lesion the highest score counts, and sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false positives a slide is
averaged. Detections come from tables of score, x, y (--detections), or are the peaks of a model's prediction
(--prediction). Slides without lesions count: they need an annotation file without areas."""


def add_froc(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "froc", run_froc, "Lesions found at so many false positives a slide", description=FROC
    )
    add_files(parser, models=False)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--detections",
        metavar="PATH",
        help="table of score, x, y (level-0 px), or folder of tables called like the slides",
    )
    source.add_argument(
        "--prediction",
        dest="model",
        metavar="MODEL",
        help="the peaks of a model's prediction; needs --stores",
    )
    parser.add_argument("--target", metavar="CLASS", help="of the model; default: its last class")
    parser.add_argument(
        "--apart",
        type=arguments.positive,
        metavar="UM",
        default=200.0,
        help="least distance of two peaks; default: %(default)s",
    )
    parser.add_argument(
        "--least", type=float, metavar="SCORE", default=0.5, help="lower peaks are none; default: %(default)s"
    )
    parser.add_argument(
        "--grow",
        type=arguments.not_negative,
        metavar="UM",
        default=75.0,
        help="how much annotated areas are grown in all; default: %(default)s",
    )
    parser.add_argument(
        "--least-extent",
        type=arguments.not_negative,
        metavar="UM",
        default=275.0,
        help="lesions that are smaller, after growing, are left out; default: %(default)s",
    )
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def run_froc(args: argparse.Namespace, console: Console) -> int:
    """Compute the curve and print it."""
    from napari_nic.reader_study.froc import froc
    from napari_nic.reader_study.lesions import FrocRules

    if len(args.files) != 1:
        raise arguments.UsageError(
            "there is one truth", expected="one file or folder", found=" ".join(args.files)
        )
    if args.model is not None and args.stores is None:
        raise arguments.UsageError("models need codes", expected="--stores, with the compressed slides")
    rules = FrocRules(args.grow, args.least_extent)
    with stoppable(console, ending=STOPPED) as token:
        plan = ReadingPlan(args, console)
        matched = console.outcome(_match_all(plan, args, rules, console, token), "Counting lesions")
        if not matched:
            raise AnnotationError("no slide could be matched", path=args.files[0])
    found = froc(matched, rules)
    if args.json:
        console.json(found.to_dict())
    else:
        _print(found, console)
    return 0


def _match_all(
    plan: ReadingPlan,
    args: argparse.Namespace,
    rules: FrocRules,
    console: Console,
    token: CancellationToken,
) -> Generator[Progress, None, list[SlideHits]]:
    from napari_nic.reader_study.froc import match_detections
    from napari_nic.reader_study.lesions import find_lesions

    matched: list[SlideHits] = []

    def judge(slide: SlideFiles) -> None:
        """Count the lesions of one slide that were found."""
        read = plan.read(slide, token)
        lesions = find_lesions(read.readings[0].annotations, read.pixel, rules, args.label, token=token)
        if args.model is None:
            detections = _of_table(slide.name, plan, args, token)
        else:
            detections = plan.peaks(args.model, read, token)
        matched.append(match_detections(slide.name, detections, lesions, read.pixel))

    yield from each_slide(plan, console, token, judge)
    return matched


def _of_table(
    slide: str, plan: ReadingPlan, args: argparse.Namespace, token: CancellationToken
) -> Detections:
    from napari_nic.reader_study.detections import read_detections

    path = Path(args.detections)
    if path.is_dir():
        path = path / f"{slide}.csv"
    elif plan.is_cohort:
        raise arguments.UsageError(
            "one table of detections was named for several slides", path=path, expected="a folder of tables"
        )
    if not path.exists():
        raise AnnotationError(
            "there is no table of detections of this slide",
            path=path,
            hint="an empty one says that nothing was found",
        )
    return read_detections(path, token=token)


def _print(found: Froc, console: Console) -> None:
    console.result(
        f"FROC score {interval(found.score, 3)}: {counted(found.n_lesions, 'lesion')} on "
        f"{counted(found.n_slides, 'slide')}, {found.n_isolated:,} isolated and left out"
    )
    rows = [(f"{rate:g}", number(value, 3)) for rate, value in found.at.items()]
    console.table(("false positives a slide", "sensitivity"), rows)
