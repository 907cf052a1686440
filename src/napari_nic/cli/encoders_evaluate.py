"""``napari-nic encoders evaluate``: how well frozen encoders tell labelled tiles apart."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import give_trust
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import stoppable
from napari_nic.disk import write_text
from napari_nic.names import safe_name, without_suffix
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.evaluation import EvaluationPlan, LabelledSet, Outcome

CLASSIFIERS = ("knn", "linear", "mlp")
SEEDS = 5
PATCHES = 16
STOPPED = "stopped; nothing was written"

DESCRIPTION = """\
Compare encoders by what their frozen codes know of labelled tiles (Tellez et al. 2019, Table 1).

Tiles are cut into patches of each encoder's size and resolution, without glass. For every seed the slides or
patients (never the patches) are dealt into 5 folds; the classifiers are

  knn     10 nearest neighbours
  linear  logistic regression, its strength chosen on inner folds
  mlp     the paper's: dense 256, batch normalisation, LeakyReLU, output

and classes weigh equally. Tables show mean and standard deviation over seeds; the JSON has everything."""


def add_evaluate(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "evaluate",
        run_evaluate,
        "Compare encoders on labelled tiles",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--encoders", nargs="+", required=True, metavar="NAME", help="names or folders")
    arguments.add_trust(parser)
    _add_sets(parser)
    _add_protocol(parser)
    _add_results(parser)


def _add_sets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("labelled tiles")
    group.add_argument(
        "--set",
        type=labelled_folder,
        action="append",
        default=[],
        dest="folders",
        metavar="NAME=FOLDER@UM",
        help="folder whose sub-folders are classes, and its um per pixel; may be repeated",
    )
    arguments.add_data(
        group,
        group="what in a tile's file name of a --set tells slide or patient; default: every tile by itself",
    )
    group.add_argument("--sets", type=Path, metavar="FILE", help="JSON file that describes sets")
    group.add_argument(
        "--root", type=Path, metavar="FOLDER", help="where the file's folders are; default: beside the file"
    )
    group.add_argument("--only", nargs="+", metavar="NAME", help="take these sets of the file only")


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        default=CLASSIFIERS,
        metavar="NAME",
        help="default: all three",
    )
    group.add_argument(
        "--seeds",
        type=arguments.positive_int,
        default=SEEDS,
        metavar="N",
        help="repetitions; default: %(default)s",
    )
    group.add_argument(
        "--patches-per-tile",
        type=arguments.positive_int,
        default=PATCHES,
        metavar="N",
        help="at most; default: %(default)s",
    )
    group.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)


def _add_results(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    arguments.add_out(parser, "JSON report: all numbers, versions and the command")
    group.add_argument("--table", type=Path, metavar="FILE", help="tables as Markdown")
    group.add_argument("--plot", type=Path, metavar="FILE", help="bars, as PNG, SVG or PDF")
    group.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="maps of the codes with the patches on them; of several sets, FILE-SET for each",
    )
    group.add_argument(
        "--layout",
        choices=("tsne", "umap"),
        default="tsne",
        help="how the maps are laid out; default: %(default)s",
    )
    arguments.add_overwrite(group)
    arguments.add_json(parser)


def labelled_folder(text: str) -> tuple[str, str, float]:
    """Parse ``NAME=FOLDER@UM``."""
    name, equals, rest = text.partition("=")
    folder, at, mpp = rest.rpartition("@")
    if not (name and equals and folder and at):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=FOLDER@UM, for instance colon=tiles@0.5")
    return name, folder, arguments.positive(mpp)


def run_evaluate(args: argparse.Namespace, console: Console) -> int:
    """Evaluate encoders, print the tables and write what was asked for."""
    from napari_nic.evaluation import EvaluationPlan, evaluate_encoders
    from napari_nic.evaluation.report import make_report

    plan = EvaluationPlan(
        encoders=tuple(args.encoders),
        sets=_sets(args),
        classifiers=tuple(args.classifiers),
        seeds=args.seeds,
        patches_per_tile=args.patches_per_tile,
        device=args.device,
    )
    _check_extras(args)
    check_all_free(_targets(args, plan), overwrite=args.overwrite)
    give_trust(args.encoders, trust=args.trust)
    outcomes: list[Outcome] = []
    with stoppable(console, ending=STOPPED) as token:
        for report in console.follow(evaluate_encoders(plan, token=token), "evaluate"):
            if report.outcome is not None:
                outcomes.append(report.outcome)
                _tell(report.outcome, console)
    command = shlex.join(["napari-nic", *sys.argv[1:]])
    document = make_report(plan, outcomes, command)
    _write(args, plan, outcomes, document)
    _print(plan, outcomes, console)
    if args.json:
        console.json(document)
    return 0


def _sets(args: argparse.Namespace) -> tuple[LabelledSet, ...]:
    from napari_nic.evaluation import LabelledSet, read_sets

    sets = [LabelledSet(name, Path(folder), mpp, group=args.group) for name, folder, mpp in args.folders]
    if args.sets is not None:
        sets += read_sets(args.sets, args.root)
    names = [labelled.name for labelled in sets]
    unknown = set(args.only or ()) - set(names)
    if unknown or len(set(names)) < len(names) or not sets:
        raise arguments.UsageError(
            "the sets cannot be evaluated",
            expected="--set NAME=FOLDER@UM or --sets FILE, every name once, and --only some of the names",
            found=f"sets {', '.join(names) or 'none'}; only {', '.join(args.only or ['all'])}",
        )
    return tuple(labelled for labelled in sets if not args.only or labelled.name in args.only)


def _check_extras(args: argparse.Namespace) -> None:
    """Find out that a library is missing before the work and not after it."""
    if args.plot is not None:
        from napari_nic.extras import check_installed

        check_installed("matplotlib", "the plot")
    if args.picture is not None:
        from napari_nic.evaluation.pictures import check_layout

        check_layout(args.layout)


def _tell(outcome: Outcome, console: Console) -> None:
    if outcome.reason:
        console.missed(f"{outcome.encoder.name} on {outcome.labelled.name}", outcome.reason)
    elif outcome.encoded is not None:
        patches = outcome.encoded.patches
        left_out = "".join(f", left out {count} {why}" for why, count in patches.left_out.items())
        classes = [f", class {name} is in one group only" for name in outcome.evaluations[0].left_out]
        console.note(
            f"{outcome.encoder.name} on {outcome.labelled.name}: {counted(len(patches), 'patch')} of "
            f"{counted(len(set(patches.groups)), 'group')}{left_out}{''.join(classes)}"
        )


def _print(plan: EvaluationPlan, outcomes: list[Outcome], console: Console) -> None:
    for title, rows in _tables(plan, outcomes):
        console.result(f"\n{title}")
        console.table(rows[0], rows[1:])


def _tables(plan: EvaluationPlan, outcomes: list[Outcome]) -> list[tuple[str, list[list[str]]]]:
    from napari_nic.evaluation.report import LEVELS, METRICS, table_rows

    return [
        (f"{metric.replace('_', ' ')} per {level}", table_rows(plan, outcomes, metric=metric, level=level))
        for level in LEVELS
        for metric in METRICS
    ]


def _targets(args: argparse.Namespace, plan: EvaluationPlan) -> dict[str, Path | None]:
    out = None if args.out is None else Path(args.out)
    pictures: dict[str, Path | None] = {
        f"--picture of {labelled.name}": _picture_of(args.picture, labelled, plan)
        for labelled in plan.sets
        if args.picture is not None
    }
    return {"--out": out, "--table": args.table, "--plot": args.plot} | pictures


def _picture_of(file: Path, labelled: LabelledSet, plan: EvaluationPlan) -> Path:
    if len(plan.sets) == 1:
        return file
    return file.with_name(
        f"{without_suffix(file.name, (file.suffix,))}-{safe_name(labelled.name)}{file.suffix}"
    )


def _write(
    args: argparse.Namespace, plan: EvaluationPlan, outcomes: list[Outcome], document: dict[str, Any]
) -> None:
    if args.out is not None:
        write_text(Path(args.out), json.dumps(document, indent=2) + "\n")
    if args.table is not None:
        from napari_nic.evaluation.report import markdown

        parts = [f"## {title}\n\n{markdown(rows)}" for title, rows in _tables(plan, outcomes)]
        write_text(args.table, f"`{document['command']}`\n\n" + "\n".join(parts))
    if args.plot is not None:
        from napari_nic.evaluation.plots import plot_bars

        plot_bars(outcomes, args.plot)
    if args.picture is not None:
        _write_pictures(args, plan, outcomes)


def _write_pictures(args: argparse.Namespace, plan: EvaluationPlan, outcomes: list[Outcome]) -> None:
    from napari_nic.evaluation.pictures import picture_codes

    for labelled in plan.sets:
        file = _picture_of(args.picture, labelled, plan)
        part = [outcome for outcome in outcomes if outcome.labelled == labelled]
        if any(outcome.encoded is not None for outcome in part):
            picture_codes(part, file, layout=args.layout)
