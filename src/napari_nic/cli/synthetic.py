"""``napari-nic synthetic``: cohorts with lesions of known outline, and slides of real outlined regions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import load_named_encoder
from napari_nic.cli.interrupt import stoppable
from napari_nic.errors import StoreError
from napari_nic.names import is_folder

if TYPE_CHECKING:
    from napari_nic.synthetic.cohorts import CohortOptions, TissueFolders

COHORT = """\
Make a cohort of slides, half of them with one lesion of known outline and size.

Slides are painted by code or, with --tumour, composed of your own tiles: windows inside and outside of the
outlines of tumour that lie in a folder "masks" beside the tiles. A composed slide without a lesion has a
graft of normal tissue instead, so that grafting does not give the label away. Tiles of one slide or patient
(--group) serve one part of the cohort only: train, validation or test.

By default only the codes are kept: slides are compressed while they are painted. The table cohort.csv is
what "napari-nic models train" reads."""

REGIONS = """\
Make slides of real regions with an expert's outline: pictures, and masks of the same name in a folder
"masks". Beside each pyramid lie its outlines as GeoJSON; regions.csv is a table for "napari-nic models
evaluate"."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("synthetic", help="Make cohorts with lesions of known outline")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_cohort(actions)
    _add_regions(actions)


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """Add the tiles that slides are composed of."""
    group = parser.add_argument_group("real tissue", "without, slides are painted by code")
    group.add_argument(
        "--tumour",
        type=arguments.tile_folder,
        action="append",
        default=[],
        metavar="FOLDER=UM",
        help="tiles with outlines of tumour (sub-folder masks), and their um per pixel; may be repeated",
    )
    group.add_argument(
        "--normal",
        type=arguments.tile_folder,
        action="append",
        default=[],
        metavar="FOLDER=UM",
        help="tiles without tumour, for all slides alike; may be repeated",
    )
    group.add_argument(
        "--group",
        type=arguments.regex,
        default="",
        metavar="REGEX",
        help="what in a tile's file name tells slide or patient; default: every tile by itself",
    )


def tissue_folders(args: argparse.Namespace) -> TissueFolders | None:
    """Return the tiles that were given, or None."""
    from napari_nic.patches.tiles import TileFolder
    from napari_nic.synthetic.cohorts import TissueFolders

    if not args.tumour:
        if args.normal:
            raise arguments.UsageError(
                "tiles without tumour alone make no lesion", expected="--tumour as well", found="--normal"
            )
        return None
    tumour, normal = (
        tuple(TileFolder(Path(path), mpp, group=args.group) for path, mpp in given)
        for given in (args.tumour, args.normal)
    )
    return TissueFolders(tumour, normal)


def _add_cohort(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions,
        "cohort",
        run_cohort,
        "Make slides with and without a lesion",
        description=COHORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_out(parser, "folder of the cohort", required=True)
    add_tiles(parser)
    for part, use in (("train", "to learn from"), ("validation", "to choose by"), ("test", "to test on")):
        parser.add_argument(f"--{part}", type=arguments.positive_int, metavar="N", help=f"slides {use}")
    parser.add_argument(
        "--seed", type=arguments.natural, metavar="N", help="of the random numbers; default: 2019"
    )
    parser.add_argument(
        "--shares",
        nargs=2,
        type=arguments.share,
        metavar=("LEAST", "MOST"),
        help="of the tissue that is lesion; default: 0.005 0.5",
    )
    parser.add_argument(
        "--sides",
        nargs=2,
        type=arguments.positive_int,
        metavar=("LEAST", "MOST"),
        help="of a slide, in 64 um",
    )
    parser.add_argument(
        "--keep",
        choices=("codes", "slides", "both"),
        default="codes",
        help="what is kept of each slide; default: %(default)s",
    )
    parser.add_argument("--encoder", metavar="NAME", help="name or folder; default: nic-default")
    arguments.add_trust(parser)
    arguments.add_device(parser)


def run_cohort(args: argparse.Namespace, console: Console) -> int:
    """Make a cohort and say where its table is."""
    from napari_nic.synthetic.cohorts import CohortWritten, write_cohort

    options, folders = _cohort_options(args), tissue_folders(args)
    encoder = None
    if args.keep != "slides":
        encoder = load_named_encoder(
            args.encoder, console, device=args.device, precision=args.precision, trust=args.trust
        )
    with stoppable(console) as token:
        reports = write_cohort(
            args.out, options, folders=folders, encoder=encoder, keep=args.keep, token=token
        )
        for report in console.follow(reports, "cohort"):
            if isinstance(report, CohortWritten):
                console.result(str(report.table))
    return 0


def _cohort_options(args: argparse.Namespace) -> CohortOptions:
    from napari_nic.synthetic.cohorts import CohortOptions

    given: dict[str, Any] = {
        name: getattr(args, name) for name in ("train", "validation", "test", "seed", "shares", "sides")
    }
    pairs = {name: tuple(given[name]) for name in ("shares", "sides") if given[name] is not None}
    return CohortOptions(**({name: value for name, value in given.items() if value is not None} | pairs))


def _add_regions(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions,
        "regions",
        run_regions,
        "Make slides of real regions with their outlines",
        description=REGIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", type=arguments.tile_folder, metavar="FOLDER=UM", help="pictures, and their um per pixel"
    )
    arguments.add_out(parser, "folder of the slides", required=True)
    arguments.add_overwrite(
        parser, "write into a folder that holds something, and replace slides of the same names"
    )
    parser.add_argument(
        "--no-normal-parts", action="store_true", help="no slides of the parts that are free of tumour"
    )


def run_regions(args: argparse.Namespace, console: Console) -> int:
    """Make slides of regions and say where their table is."""
    from napari_nic.patches.tiles import TileFolder
    from napari_nic.synthetic.cohorts import RegionsWritten, write_regions

    path, mpp = args.folder
    out = Path(args.out)
    if not args.overwrite and is_folder(out) and any(out.iterdir()):
        raise StoreError(
            "the folder holds something", path=out, hint="choose a new one (--out), or --overwrite"
        )
    with stoppable(console, ending="stopped") as token:
        reports = write_regions(
            TileFolder(Path(path), mpp), out, normal_parts=not args.no_normal_parts, token=token
        )
        for report in console.follow(reports, "regions"):
            if isinstance(report, RegionsWritten):
                for file, why in report.skipped:
                    console.missed(str(file), why)
                console.result(str(report.table))
    return 0
