"""``napari-nic encoders train``: train an encoder by any of the methods, with the same options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.trainings import add_result, add_steps, print_end
from napari_nic.errors import InvalidParameterError, MissingDependencyError

if TYPE_CHECKING:
    from napari_nic.training import TrainingSet, TrainOptions, TrainRecipe

METHODS = ("distill", "vae", "contrastive", "bigan", "supervised", "multitask", "vicreg")
DESCRIPTION = """\
Train an encoder; an interrupted run goes on from its checkpoint when the same command is given again.

methods:
  distill      learn what other encoders know (--teacher)   (labels help, and are not needed)
  vae          variational autoencoder                     (no labels)
  contrastive  pairs of the same and of different places   (no labels)
  bigan        bidirectional generative adversarial network (no labels)
  vicreg       variance-invariance-covariance regularisation (no labels)
  supervised   one labelled set
  multitask    any number of labelled sets, each with a head of its own

Beside the encoder, the folder NAME.training holds checkpoints, steps.csv, validation.csv, curve.png and,
where the method can paint, reconstructions.png and generated.png.
"""


def add_train(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(actions, "train", run_train, "Train an encoder", description=DESCRIPTION)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("method", choices=METHODS, metavar="METHOD", help=", ".join(METHODS))
    _add_teachers(parser)
    _add_data(parser)
    add_result(parser, "encoder")
    _add_protocol(parser)


def _add_teachers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("distill")
    group.add_argument(
        "--teacher",
        action="append",
        default=[],
        dest="teachers",
        metavar="NAME",
        help="encoder to learn from: its name or folder, or a model file with its description beside it; "
        "several are learned from together",
    )
    arguments.add_trust(group)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    arguments.add_data(
        group,
        tiles="folder of picture tiles and their um per pixel; several make one set without labels",
        task="labelled tiles: class sub-folders, or a folder masks of outlines; each is a task of its own",
        patches="store made by napari-nic patches extract; each is a set, and a task where it has labels",
        group="what in a tile's file name tells the slide or patient, so that none is in training and"
        " validation both",
    )


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--architecture",
        metavar="NAME",
        help="nic-64 (published, default), nic-64-pooled, nic-64-slim, nic-64-tiny or nic-128 (appendix); "
        "encoders benchmark --architecture says how fast",
    )
    group.add_argument(
        "--code-size", type=arguments.positive_int, metavar="C", help="length of the code; default: 128"
    )
    add_steps(group, rate="the method's", batch_help="patches a step; default: 64")
    group.add_argument(
        "--schedule",
        choices=("plateau", "cosine", "constant"),
        help="of the learning rate; default: the method's",
    )
    group.add_argument(
        "--patience",
        type=arguments.positive_int,
        metavar="N",
        help="validations without gain before the learning rate falls; default: 8",
    )
    group.add_argument(
        "--validate-every",
        type=arguments.natural,
        metavar="N",
        help="steps between validations, 0: none; default: 250",
    )
    group.add_argument(
        "--augmentation",
        metavar="PRESET",
        help="none, light, strong, any-hue or tissue; default: the method's",
    )
    arguments.add_data(group, seed=arguments.SEED_HELP)
    group.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="a setting of the method, for instance gamma=1e-4 (vae); a wrong name lists them",
    )
    group.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)


def setting(text: str) -> tuple[str, float]:
    """Parse ``NAME=VALUE``."""
    name, separator, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        expected = "expected NAME=NUMBER" if separator else "expected NAME=VALUE"
        raise argparse.ArgumentTypeError(f"{text!r}: {expected}, for instance gamma=1e-4") from None


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train an encoder and save it."""
    recipe = make_recipe(args)
    tell_of_teachers(args, console)
    with stoppable(console) as token:
        from napari_nic.training import train_encoder

        reports = list(console.follow(train_encoder(recipe, token=token), recipe.name))
    print_end(reports, recipe.folder, console)
    if reports:
        last = reports[-1]
        console.result(
            f"{last.patches_per_second:.0f} patches/s, {last.waiting:.1%} of it waiting for patches"
        )
    _plot(recipe, console)
    console.result(f"use it with --encoder {args.out or recipe.name}")
    return 0


def tell_of_teachers(args: argparse.Namespace, console: Console) -> None:
    """Note the consent to run teachers that are programs, and tell the terms of those that have some."""
    if not args.teachers:
        return
    from napari_nic.encoders.external.notices import terms_at_first_use
    from napari_nic.training.teachers import Teacher

    for name in args.teachers:
        told = terms_at_first_use(Teacher(name, trust=args.trust).spec)
        if told:
            console.warning(f"note: {told}")


def _plot(recipe: TrainRecipe, console: Console) -> None:
    from napari_nic.training.log import plot_log

    try:
        console.result(f"curve: {plot_log(recipe.checkpoint)}")
    except MissingDependencyError as error:
        console.note(str(error))


def make_recipe(args: argparse.Namespace) -> TrainRecipe:
    """Return what the arguments ask for.

    Raises
    ------
    InvalidParameterError
        If no data are named.
    """
    from napari_nic.training import TrainRecipe
    from napari_nic.training.objectives import WITH_TEACHERS

    sets = _sets(args)
    if args.teachers and args.method not in WITH_TEACHERS:
        raise arguments.UsageError(
            f"the method {args.method} learns from no other encoder",
            expected=f"--teacher with the method {', '.join(sorted(WITH_TEACHERS))}",
            found=f"--teacher {args.teachers[0]}",
        )
    if not sets:
        raise InvalidParameterError(
            "nothing to train on", hint="name data with --tiles, --labelled-tiles or --patches (see --help)"
        )
    return TrainRecipe(
        name=args.name,
        method=args.method,
        sets=sets,
        out=Path(args.out) if args.out else None,
        card={"data": args.data_note, "licence": args.licence, "summary": args.summary},
        device=args.device,
        options=_options(args),
    )


def _sets(args: argparse.Namespace) -> list[TrainingSet]:
    from napari_nic.training import StoreSet, TileFolders

    tasks = arguments.read_tiles(args, args.task, labelled=True)
    sets: list[TrainingSet] = [TileFolders([folder]) for folder in tasks]
    sets += [StoreSet(Path(store)) for store in args.patches]
    plain = arguments.read_tiles(args, args.tiles)
    return [*sets, TileFolders(plain)] if plain else sets


def _options(args: argparse.Namespace) -> TrainOptions:
    from napari_nic.training import TrainOptions

    names = (
        "steps",
        "batch_size",
        "code_size",
        "seed",
        "architecture",
        "learning_rate",
        "schedule",
        "patience",
        "validate_every",
        "augmentation",
    )
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return TrainOptions(settings=dict(args.settings), teachers=tuple(args.teachers), **given)
