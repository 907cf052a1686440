"""``napari-nic models``: list, show, train, evaluate and compare slide-level models."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments, cohorts, models_check, models_compare
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import give_trust
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import stoppable

if TYPE_CHECKING:
    from napari_nic.demo import DemoTraining
    from napari_nic.slide_models import ModelCard


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("models", help="List, show, train, evaluate and compare slide-level models")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_list(actions)
    _add_show(actions)
    cohorts.add_train(actions)
    cohorts.add_evaluate(actions)
    models_compare.add_compare(actions)
    models_check.add_check(actions)
    _add_train_demo(actions)


def _add_list(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "list", run_list, "List the models at hand")
    arguments.add_json(parser)


def _add_show(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "show", run_show, "Show the model card of a slide-level model")
    parser.add_argument("model", metavar="NAME", help="name or folder")
    arguments.add_json(parser)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Print one line per model."""
    from napari_nic.slide_models import list_bundles

    cards = [bundle.card for bundle in list_bundles()]
    if args.json:
        console.json([card.to_dict() for card in cards])
        return 0
    rows = [
        (card.name, card.task, ", ".join(card.class_names), card.encoder_name, card.summary) for card in cards
    ]
    console.table(("name", "task", "classes", "encoder", "what it is"), rows)
    return 0


def run_show(args: argparse.Namespace, console: Console) -> int:
    """Print all that is known of a model."""
    from napari_nic.slide_models import ModelBundle

    card = ModelBundle.load(args.model).card
    if args.json:
        console.json(card.to_dict())
        return 0
    _print_card(card, console)
    return 0


def _print_card(card: ModelCard, console: Console) -> None:
    facts = {
        "task": f"{card.task}: {', '.join(card.class_names)}",
        "encoder": f"{card.encoder_name}, C = {card.network.code_size}",
        "sees": card.sees,
        "meant for": card.intended_use or "not stated",
        "not for": card.not_for or "not stated",
        "licence": card.licence or "not stated",
    }
    console.card(f"{card.name}: {card.summary}", facts, {"training": card.training, "results": card.metrics})


def _add_train_demo(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions,
        "train-demo",
        run_train_demo,
        "Train the demonstration model on synthetic slides",
        description=(
            "Paint synthetic slides, compress them, train a model on their labels, and evaluate it on slides "
            "held out. The model shows that the program works; it says nothing about real tissue."
        ),
    )
    arguments.add_out(parser, "folder to write the model to", required=True)
    arguments.add_overwrite(parser, "replace a model that is there")
    parser.add_argument("--encoder", metavar="NAME", help="name or folder; default: nic-default")
    arguments.add_trust(parser)
    for part, use in (("train", "to learn from"), ("validation", "to choose by"), ("test", "to test on")):
        parser.add_argument(f"--{part}", type=arguments.positive_int, metavar="N", help=f"slides {use}")
    parser.add_argument("--epochs", type=arguments.positive_int, metavar="N", help="at most")
    parser.add_argument(
        "--seed", type=arguments.natural, metavar="N", help="of the random numbers; default: 2019"
    )
    arguments.add_json(parser)


def run_train_demo(args: argparse.Namespace, console: Console) -> int:
    """Train and save the demonstration model."""
    from napari_nic.slide_models import CARD_FILE

    check_all_free({"--out": Path(args.out) / CARD_FILE}, overwrite=args.overwrite)
    give_trust([args.encoder], trust=args.trust)
    options = _demo_training(args)
    with stoppable(console) as token:
        from napari_nic.demo import train_demo_bundle

        for _ in console.follow(train_demo_bundle(args.out, options, token), "demonstration model"):
            pass
    return run_show(argparse.Namespace(model=args.out, json=args.json), console)


def _demo_training(args: argparse.Namespace) -> DemoTraining:
    from napari_nic.demo import DemoTraining

    given = {name: getattr(args, name) for name in ("encoder", "train", "validation", "test", "seed")}
    options = DemoTraining(**{name: value for name, value in given.items() if value is not None})
    if args.epochs is None:
        return options
    return replace(options, settings=replace(options.settings, epochs=args.epochs))
