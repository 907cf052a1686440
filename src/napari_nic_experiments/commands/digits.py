"""``napari-nic experiments digits``: the synthetic experiment of the NIC paper."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable

if TYPE_CHECKING:
    from napari_nic_experiments.digits.run import Experiment, ExperimentDone

PRESETS = ("full", "reduced", "tiny")
PARTS = ("lesion-size", "code-size", "stride", "training-size", "saliency")

DIGITS = """\
The synthetic experiment of the NIC paper: pictures of small digits, two rectangles in which all digits are of
one class, and the class of the tilted one as the only label. Encoders (a supervised oracle, contrastive, VAE,
BiGAN, the mean) compress the pictures, a network learns the label, and accuracy is measured against the
rectangle's size, the code size, the stride and the number of pictures; saliency against the rectangle.

"full" is the paper's size and wants a GPU; "reduced" is made for two cores and an hour; "tiny" only shows
that all parts work. Each finished network is a file in the folder: the same command goes on after a stop."""


def add_digits(actions: arguments.Subparsers) -> None:
    """Add ``experiments digits``."""
    parser = arguments.add_command(
        actions,
        "digits",
        run_digits,
        "Find rectangles of digits by their labels alone",
        description=DIGITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_out(parser, "folder of encoders, models and results", required=True)
    parser.add_argument("--preset", choices=PRESETS, default="reduced", help="size; default: %(default)s")
    parser.add_argument(
        "--digits", metavar="FOLDER", help="of MNIST's four files; default: the digits of scikit-learn"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--seed", type=arguments.natural, default=0, metavar="N", help=arguments.SEED_HELP)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def run_digits(args: argparse.Namespace, console: Console) -> int:
    """Run the experiment, print its tables and write its plots."""
    from napari_nic.plots import require_matplotlib
    from napari_nic_experiments.digits.plan import get_preset
    from napari_nic_experiments.digits.run import Experiment, ExperimentDone, run_experiment

    require_matplotlib()
    digits = None if args.digits is None else Path(args.digits)
    experiment = Experiment(get_preset(args.preset), Path(args.out), digits, args.seed, args.device)
    with stoppable(console) as token:
        for report in console.follow(run_experiment(experiment, args.parts, token=token), "digits"):
            if isinstance(report, ExperimentDone):
                _tell(experiment, report, console)
    return 0


def _tell(experiment: Experiment, done: ExperimentDone, console: Console) -> None:
    from napari_nic_experiments.digits.report import paper_lines, tables, write_plots

    if console.as_json:
        console.json(dict(done.results))
    for table in tables(done.results, experiment.preset):
        console.result(table.title)
        console.table(table.header, table.rows)
        console.result(f"the paper: {table.paper}\n")
    for line in paper_lines(done.results, experiment.preset):
        console.result(line)
    for file in write_plots(experiment, done.results):
        console.result(str(file))
