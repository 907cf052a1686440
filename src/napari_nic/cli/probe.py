"""``napari-nic probe``: learn from annotated slides cell by cell, and map the classes of whole slides."""

from __future__ import annotations

import argparse

from napari_nic.cli import arguments, probe_maps, probe_training
from napari_nic.cli.console import Console


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("probe", help="Learn classes from annotated slides, and map them")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    probe_training.add_train(actions)
    probe_maps.add_apply(actions)
    _add_show(actions)


def _add_show(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "show", run_show, "Show what a probe says of itself")
    parser.add_argument("probe", metavar="PROBE", help="folder of the probe")
    arguments.add_json(parser)


def run_show(args: argparse.Namespace, console: Console) -> int:
    """Print the card of a probe."""
    from napari_nic.probe import load_probe

    probe_training.print_probe(load_probe(args.probe), console)
    return 0
