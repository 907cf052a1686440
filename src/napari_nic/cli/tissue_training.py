"""``napari-nic tissue train``: a U-Net that tells tissue from glass."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.inputs import find_slides
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.trainings import add_result, add_seed_and_device, add_steps, print_end
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress

if TYPE_CHECKING:
    from napari_nic.training.tissue import MaskedPicture, UnetRecipe

DESCRIPTION = """\
Train a U-Net that tells tissue from glass, after the published one (five blocks, Dice loss, lines drawn on
glass). An interrupted run goes on from its checkpoint when the same command is given again; it ends early
when the validation has not improved for --patience validations.

It learns from any of: tiles with masks, slides with outlines of their tissue, and overviews painted by code
with dust, ink, bubbles, pale fat and uneven light. Slides of them are held out for validation."""

SYNTHETIC_MPP = (2.0, 4.0, 8.0, 16.0)
SYNTHETIC_SIDE = 512


def add_train(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "train",
        run_train,
        "Train a network that tells tissue from glass",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(parser)
    add_result(parser, "network", data="data", summary=False)
    _add_protocol(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    arguments.add_data(
        group,
        tiles="folder of pictures and their um per pixel, with masks of the same names (white on tissue) in "
        "its sub-folder masks; may be given several times",
        group="what in a picture's file name tells the slide or patient, so that none is in training and "
        "validation both",
    )
    group.add_argument("--slides", nargs="+", default=[], metavar="SLIDE", help="slides with outlines")
    group.add_argument(
        "--outlines",
        metavar="PATH",
        help="of the slides' tissue: a file, or a folder of files that are called as the slides are",
    )
    group.add_argument(
        "--synthetic",
        type=arguments.natural,
        default=0,
        metavar="N",
        help="overviews that are painted by code; default: none",
    )


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--widths",
        type=arguments.positive_int,
        nargs="+",
        metavar="N",
        help="filters of the contracting blocks; default: 32 32 64 128 128 (published)",
    )
    group.add_argument(
        "--crop", type=arguments.positive_int, default=256, metavar="PX", help="side of crops; default: 256"
    )
    add_steps(group, rate="0.0001", batch=16, batch_help="crops a step; default: 16")
    group.add_argument(
        "--schedule",
        choices=("plateau", "cosine"),
        default="plateau",
        help="plateau ends early, cosine lets the rate fall over all steps; default: plateau",
    )
    group.add_argument(
        "--patience",
        type=arguments.positive_int,
        default=20,
        metavar="N",
        help="validations without gain before it ends; default: 20",
    )
    group.add_argument(
        "--validate-every",
        type=arguments.natural,
        metavar="N",
        help="steps between validations; default: 250",
    )
    group.add_argument(
        "--cross-entropy",
        type=arguments.not_negative,
        default=0.0,
        metavar="X",
        help="weight of the cross entropy beside the Dice loss; default: 0, as published",
    )
    add_seed_and_device(group)


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train a network and save it."""
    recipe = make_recipe(args)
    with stoppable(console) as token:
        from napari_nic.training.tissue.train import train_unet

        pictures = _pictures(args, console, token)
        reports = list(console.follow(train_unet(recipe, pictures, token=token), recipe.name))
    print_end(reports, recipe.folder, console)
    console.result(f"use it with: napari-nic tissue mask SLIDE --network {args.out or recipe.name}")
    return 0


def make_recipe(args: argparse.Namespace) -> UnetRecipe:
    """Return what the arguments ask for.

    Raises
    ------
    UsageError
        If slides were given without outlines, or outlines without slides.
    InvalidParameterError
        If no data are named.
    """
    from napari_nic.tissue.unet import PAPER_WIDTHS
    from napari_nic.training import TrainOptions
    from napari_nic.training.tissue import UnetRecipe

    if bool(args.slides) != (args.outlines is not None):
        raise arguments.UsageError(
            "slides and outlines of their tissue belong together", expected="--slides and --outlines"
        )
    if not (args.tiles or args.slides or args.synthetic):
        raise InvalidParameterError(
            "nothing to train on", hint="name data with --tiles, --slides or --synthetic (see --help)"
        )
    names = ("steps", "batch_size", "learning_rate", "schedule", "patience", "validate_every", "seed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    rate = args.learning_rate or 1e-4
    # One fall of the rate is the end: training stops early, as published.
    options = TrainOptions(**given, final_learning_rate=rate)
    return UnetRecipe(
        args.name,
        out=Path(args.out) if args.out else None,
        size=args.crop,
        cross_entropy=args.cross_entropy,
        device=args.device,
        card={"data": args.data_note, "licence": args.licence},
        options=options,
        widths=tuple(args.widths or PAPER_WIDTHS),
    )


def _pictures(args: argparse.Namespace, console: Console, token: CancellationToken) -> list[MaskedPicture]:
    from napari_nic.pipeline import read_tissue
    from napari_nic.slides import open_slide
    from napari_nic.training.tissue import pictures_of_slide, pictures_of_tiles

    pictures = pictures_of_tiles(arguments.read_tiles(args, args.tiles), token=token)
    paths = find_slides(args.slides) if args.slides else []
    arguments.require_own("--outlines", args.outlines, several=len(paths) > 1)
    for path in paths:
        with open_slide(path) as slide:
            tissue = read_tissue(slide, Path(args.outlines), token=token)
            pictures += pictures_of_slide(slide, tissue.annotations, token=token)
    for picture in _painted(args.synthetic, args.seed or 0, console, token):
        pictures.append(picture)
    return pictures


def _painted(count: int, seed: int, console: Console, token: CancellationToken) -> Iterator[MaskedPicture]:
    """Paint overviews, each magnification in turn."""
    from napari_nic.synthetic import OverviewSpec, paint_overview
    from napari_nic.training.tissue import UNKNOWN, MaskedPicture

    numbers = (Progress(done, count, "painting overviews", "overviews") for done in range(count))
    for progress in console.follow(numbers, "painting overviews"):
        token.checkpoint()
        mpp = SYNTHETIC_MPP[progress.done % len(SYNTHETIC_MPP)]
        spec = OverviewSpec(seed * count + progress.done, side=SYNTHETIC_SIDE, mpp=mpp)
        painted = paint_overview(spec)
        mask = painted.tissue.astype("uint8")
        mask[painted.hidden] = UNKNOWN
        yield MaskedPicture(painted.image, mask, mpp, f"painted {spec.seed}")
