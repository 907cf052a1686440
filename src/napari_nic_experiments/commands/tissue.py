"""``napari-nic experiments tissue``: find lesions by the labels of whole slides alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments, synthetic
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable

if TYPE_CHECKING:
    from collections.abc import Mapping

PRESETS = ("standard", "quick", "tiny")

TISSUE = """\
Weak supervision on tissue: make a cohort with lesions of known outline, compress it, train a network on the
labels of whole slides alone, and measure AUC against the lesion's size and saliency against the outlines.

Slides are painted by code or, with --tumour, composed of your own tiles. With --regions the model is tried on
slides of real regions with an expert's outline, which should not be among the tiles.

"standard" has 280 slides, "quick" 204 smaller ones; "tiny" only shows that all parts work. The same command
goes on after a stop."""


def add_tissue(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "tissue",
        run_tissue_command,
        "Find lesions by labels of slides alone",
        description=TISSUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_out(parser, "folder of cohort, models and results", required=True)
    parser.add_argument("--preset", choices=PRESETS, default="standard", help="size; default: %(default)s")
    synthetic.add_tiles(parser)
    parser.add_argument(
        "--regions",
        type=arguments.tile_folder,
        metavar="FOLDER=UM",
        help="real regions with masks to try the model on, and their um per pixel",
    )
    parser.add_argument("--encoder", metavar="NAME", help="name or folder; default: nic-default")
    arguments.add_trust(parser)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def run_tissue_command(args: argparse.Namespace, console: Console) -> int:
    """Run the experiment, print its tables and write its plots."""
    from napari_nic.encoders import DEFAULT_ENCODER
    from napari_nic.patches.tiles import TileFolder
    from napari_nic.plots import require_matplotlib
    from napari_nic_experiments.tissue.run import TissueDone, TissueExperiment, get_preset, run_tissue

    require_matplotlib()
    regions = None if args.regions is None else TileFolder(Path(args.regions[0]), args.regions[1])
    experiment = TissueExperiment(
        preset=get_preset(args.preset),
        out=Path(args.out),
        encoder=args.encoder or DEFAULT_ENCODER,
        folders=synthetic.tissue_folders(args),
        regions=regions,
        device=args.device,
    )
    with stoppable(console) as token:
        for report in console.follow(run_tissue(experiment, token=token), "tissue"):
            if isinstance(report, TissueDone):
                _tell(report.results, experiment.out, console)
    return 0


def _tell(results: Mapping[str, Any], out: Path, console: Console) -> None:
    from napari_nic_experiments.tissue.report import tables, write_plots

    if console.as_json:
        console.json(dict(results))
    for table in tables(results):
        console.result(f"\n{table.title}")
        console.table(table.header, table.rows)
    for file in write_plots(results, out):
        console.result(str(file))
