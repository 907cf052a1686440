"""``napari-nic experiments``: the papers' experiments, where their package is installed."""

from __future__ import annotations

import argparse
import importlib
from importlib.util import find_spec

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.errors import MissingDependencyError

PACKAGE = "napari_nic_experiments"
SUMMARY = "Run the papers' experiments"


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command; its own commands come from the package of the experiments, where there is one."""
    if find_spec(PACKAGE) is not None:
        parser = commands.add_parser("experiments", help=SUMMARY)
        importlib.import_module(f"{PACKAGE}.commands").add_commands(parser)
        return
    parser = arguments.add_command(
        commands, "experiments", run_missing, f"{SUMMARY} (from the repository; not installed)"
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run_missing(args: argparse.Namespace, console: Console) -> int:  # noqa: ARG001 - as of all commands
    """Say where the experiments are to be had."""
    raise MissingDependencyError(
        "the papers' experiments are not installed: they come with the repository, not with the package",
        hint="clone the repository and install it from there: pip install -e .",
    )
