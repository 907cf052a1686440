"""``napari-nic encoders``: list, show, import and train encoders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.cards import card_lines
from napari_nic.cli.console import Console
from napari_nic.cli.encoders_import import add_import
from napari_nic.cli.interrupt import stoppable

if TYPE_CHECKING:
    from napari_nic.encoders import EncoderSpec
    from napari_nic.training.recipe import VaeRecipe


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("encoders", help="List, show, import and train encoders")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_list(actions)
    _add_show(actions)
    add_import(actions)
    _add_train(actions)


def _add_list(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "list", run_list, "List the encoders at hand")
    arguments.add_json(parser)


def _add_show(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "show", run_show, "Show an encoder's card")
    parser.add_argument("encoder", metavar="NAME", help="name or folder")
    arguments.add_json(parser)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Print one line per encoder."""
    from napari_nic.encoders import list_encoders

    specs = list_encoders()
    if args.json:
        console.json([spec.to_dict() for spec in specs])
        return 0
    rows = [(s.name, s.code_size, s.patch_size, f"{s.mpp:g}", s.licence, s.summary) for s in specs]
    console.table(("name", "C", "patch px", "um/px", "licence", "what it is"), rows)
    return 0


def run_show(args: argparse.Namespace, console: Console) -> int:
    """Print all that is known of an encoder."""
    from napari_nic.encoders import get_spec

    spec = get_spec(args.encoder)
    if args.json:
        console.json(spec.to_dict())
        return 0
    for line in _card(spec):
        console.result(line)
    return 0


def _card(spec: EncoderSpec) -> list[str]:
    facts = {
        "code size": spec.code_size,
        "patches": f"{spec.patch_size} px at {spec.mpp:g} um/px, averaged to {spec.input_size} px",
        "architecture": spec.architecture,
        "weights": spec.weights_sha256 or "none",
        "licence": spec.licence or "not stated",
        "cite": spec.citation or "nothing",
    }
    return card_lines(f"{spec.name}: {spec.summary}", facts, {"training": spec.training})


def _add_train(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions,
        "train",
        run_train,
        "Train an encoder",
        description="Train an encoder without labels; an interrupted run goes on from its checkpoint.",
    )
    parser.add_argument("method", choices=("vae",), help="vae: variational autoencoder")
    parser.add_argument(
        "--tiles",
        type=tile_folder,
        action="append",
        required=True,
        metavar="FOLDER=UM",
        help="folder of picture tiles and their um per pixel; may be given several times",
    )
    parser.add_argument("--name", required=True, help="name of the encoder from now on")
    arguments.add_out(parser, "folder to write the encoder to; default: the user's encoders")
    parser.add_argument("--steps", type=arguments.positive_int, metavar="N", help="training steps")
    parser.add_argument("--batch-size", type=arguments.positive_int, metavar="N")
    parser.add_argument("--code-size", type=arguments.positive_int, metavar="C", help="length of the code")
    parser.add_argument("--seed", type=arguments.natural, metavar="N")
    parser.add_argument("--licence", default="unspecified", help="of the weights, for the card")
    parser.add_argument("--data-note", default="", metavar="TEXT", help="what the tiles are, for the card")
    parser.add_argument("--device", type=arguments.device, default="auto")


def tile_folder(text: str) -> tuple[str, float]:
    """Parse ``FOLDER=UM``."""
    folder, separator, mpp = text.rpartition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FOLDER=UM, for instance tiles/=0.5")
    return folder, arguments.positive(mpp)


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train an encoder and save it."""
    recipe = _recipe(args)
    with stoppable(console) as token:
        from napari_nic.training.recipe import train_encoder

        loss = float("nan")
        for report in console.follow(train_encoder(recipe, token=token), recipe.name):
            loss = report.loss
    console.result(f"{recipe.folder}: trained, last smoothed loss {loss:.4g}")
    console.result(f"use it with --encoder {args.out or recipe.name}")
    return 0


def _recipe(args: argparse.Namespace) -> VaeRecipe:
    from napari_nic.patches import TileFolder
    from napari_nic.training.recipe import VaeRecipe
    from napari_nic.training.vae import VaeOptions

    given = {
        "steps": args.steps,
        "batch_size": args.batch_size,
        "code_size": args.code_size,
        "seed": args.seed,
    }
    return VaeRecipe(
        name=args.name,
        folders=[TileFolder(Path(folder), mpp) for folder, mpp in args.tiles],
        out=Path(args.out) if args.out else None,
        data_note=args.data_note,
        licence=args.licence,
        device=args.device,
        options=VaeOptions(**{name: value for name, value in given.items() if value is not None}),
    )
