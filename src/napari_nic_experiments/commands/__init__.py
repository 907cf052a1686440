"""The commands of ``napari-nic experiments``; parsing and printing only."""

from __future__ import annotations

import argparse

from napari_nic_experiments.commands.digits import add_digits
from napari_nic_experiments.commands.recipe import add_recipe
from napari_nic_experiments.commands.tissue import add_tissue

__all__ = ["add_commands"]


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the experiments to the parser of ``napari-nic experiments``."""
    actions = parser.add_subparsers(title="experiments", metavar="NAME", required=True)
    add_digits(actions)
    add_tissue(actions)
    add_recipe(actions)
