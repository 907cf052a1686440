"""``napari-nic tissue``: find tissue on slides, and train the network that finds it."""

from __future__ import annotations

from napari_nic.cli import arguments
from napari_nic.cli.tissue_masks import add_mask
from napari_nic.cli.tissue_training import add_train


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("tissue", help="Find tissue on slides, and train a network that does")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_mask(actions)
    add_train(actions)
