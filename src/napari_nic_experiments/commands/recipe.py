"""``napari-nic experiments recipe``: the paper's protocol on public data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import load_named_encoder
from napari_nic.cli.interrupt import stoppable
from napari_nic.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_nic.encoders import Encoder
    from napari_nic.jobs import Progress
    from napari_nic_experiments.recipes import SlideRecipe

SLIDE_RECIPES = ("camelyon16", "tupac16")
TILE_RECIPE = "tissue9"

RECIPE = """\
Run the protocol of the NIC paper on a public data set, as its makers publish it:

  camelyon16  metastases in lymph nodes: training/, testing/ with reference.csv, ASAP annotations
  tupac16     speed of growth: training_image_data/, training_ground_truth.csv, testing_image_data/
  tissue9     nine tissues: NCT-CRC-HE-100K/ and CRC-VAL-HE-7K/, a folder for each class

Without --run, the table of the cohort, the slides set aside for encoders, and the commands of the protocol
are written. With --run all of it is done: compress, four folds, two seeds, and the results on the paper's
subsets beside the paper's numbers. The same command goes on after a stop. Without a folder the paper's
numbers are shown."""


def add_recipe(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "recipe",
        run_recipe,
        "Run the paper's protocol on a public data set",
        description=RECIPE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", choices=(*SLIDE_RECIPES, TILE_RECIPE), metavar="NAME", help="of the data set, see above"
    )
    parser.add_argument("data", nargs="?", metavar="FOLDER", help="of the data set, as it was downloaded")
    arguments.add_out(parser, "folder of tables, codes, models and results; needed with FOLDER")
    parser.add_argument("--run", action="store_true", dest="go", help="do it all, instead of preparing it")
    parser.add_argument("--encoder", metavar="NAME", help="name or folder; default: nic-default")
    arguments.add_trust(parser)
    parser.add_argument(
        "--set-aside",
        type=arguments.natural,
        metavar="N",
        help="training slides that are left to encoders; default: as many as in the paper, 60 and 40",
    )
    parser.add_argument(
        "--seed",
        type=arguments.natural,
        default=0,
        metavar="N",
        help="chooses the slides set aside; default: %(default)s",
    )
    network = parser.add_argument(
        "--architecture",
        choices=("cnn", "cnn-adaptive", "cnn-compact", "attention"),
        default="cnn",
        help="default: %(default)s, the paper's for crops of 400",
    )
    arguments.add_earlier(parser, network, "--model")
    arguments.add_slide_options(parser)
    arguments.add_device(parser)
    arguments.add_json(parser)


def run_recipe(args: argparse.Namespace, console: Console) -> int:
    """Prepare or run a recipe, or show the paper's numbers."""
    from napari_nic.encoders import DEFAULT_ENCODER

    encoder_name = args.encoder or DEFAULT_ENCODER
    if args.data is None and not args.go:
        _tell(args, {}, encoder_name, console)
        return 0
    if args.data is None or args.out is None:
        raise arguments.UsageError(
            "a recipe needs the data set and a folder to write to",
            expected="FOLDER --out PATH",
            found="no FOLDER" if args.data is None else "no --out",
        )
    return (_run_tiles if args.name == TILE_RECIPE else _run_slides)(args, encoder_name, console)


def _run_slides(args: argparse.Namespace, encoder_name: str, console: Console) -> int:
    recipe = _slide_recipe(args)
    for note in recipe.cohort.notes:
        console.note(f"note: {note}")
    if args.go:
        from napari_nic_experiments.recipes import run_slide_recipe

        with stoppable(console) as token:
            encoder = _encoder(args, console)
            return _follow(run_slide_recipe(recipe, encoder, token=token), args, console)
    from napari_nic_experiments.recipes import write_recipe
    from napari_nic_experiments.recipes.protocol import commands

    slides = write_recipe(recipe, encoder=encoder_name)
    console.note(f"{counted(len(slides), 'slide')}, {recipe.set_aside} set aside, in {recipe.out}")
    for line in commands(recipe, slides, encoder_name):
        console.result(line)
    _tell(args, {}, encoder_name, console)
    return 0


def _slide_recipe(args: argparse.Namespace) -> SlideRecipe:
    from dataclasses import replace

    from napari_nic_experiments.recipes import SlideRecipe
    from napari_nic_experiments.recipes.protocol import READERS, SET_ASIDE

    aside = SET_ASIDE[args.name] if args.set_aside is None else args.set_aside
    opening = arguments.slide_options(args)
    recipe = SlideRecipe(
        READERS[args.name](Path(args.data), opening),
        Path(args.out),
        set_aside=aside,
        seed=args.seed,
        device=args.device,
        opening=opening,
    )
    return replace(recipe, training=replace(recipe.training, name=args.name, model=args.architecture))


def _run_tiles(args: argparse.Namespace, encoder_name: str, console: Console) -> int:
    from napari_nic_experiments.recipes import TileRecipe, find_tissue9, run_tile_recipe

    training, testing = find_tissue9(args.data)
    if not args.go:
        console.note("nothing to prepare: run it with --run")
        _tell(args, {}, encoder_name, console)
        return 0
    recipe = TileRecipe(training, testing, Path(args.out))
    with stoppable(console, ending="stopped") as token:
        encoder = _encoder(args, console)
        return _follow(run_tile_recipe(recipe, encoder, token=token), args, console)


def _encoder(args: argparse.Namespace, console: Console) -> Encoder:
    return load_named_encoder(
        args.encoder, console, device=args.device, precision=args.precision, trust=args.trust
    )


def _follow(reports: Iterator[Progress], args: argparse.Namespace, console: Console) -> int:
    from napari_nic_experiments.recipes import RecipeDone

    for report in console.follow(reports, args.name):
        if isinstance(report, RecipeDone):
            if console.as_json:
                console.json(dict(report.results))
            _tell(args, report.results["ours"], report.results["encoder"], console)
    return 0


def _tell(args: argparse.Namespace, ours: Mapping[str, str], encoder: str, console: Console) -> None:
    from napari_nic_experiments.recipes import TABLES

    published = TABLES[args.name]
    console.result(f"\n{published.title}")
    console.table(published.header, published.beside(ours, encoder))
    console.note(f"note: {published.remark}")
