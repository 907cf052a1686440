"""What the commands that train a network share: options of the result and of the protocol, and the end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.training import TrainingProgress


def add_result(
    parser: argparse.ArgumentParser, network: str, *, data: str = "tiles", summary: bool = True
) -> None:
    """Add the options of what comes out.

    Parameters
    ----------
    parser : ArgumentParser
    network : str
        What is trained: ``"encoder"``. Those of the user's are called so with an s.
    data : str
        What it learns from.
    summary : bool
        Whether its card has a line of the user's.
    """
    group = parser.add_argument_group("result")
    group.add_argument("--name", required=True, help=f"name of the {network} from now on")
    arguments.add_out(parser, f"folder to write the {network} to; default: the user's {network}s")
    group.add_argument("--licence", default="unspecified", help="of the weights, for the model card")
    group.add_argument(
        "--data-note", default="", metavar="TEXT", help=f"what the {data} are, for the model card"
    )
    if summary:
        group.add_argument("--summary", default="", metavar="TEXT", help="one line, for the model card")


def add_steps(
    group: argparse._ArgumentGroup, *, rate: str, batch: int | None = None, batch_help: str
) -> None:
    """Add how many steps are made, of how many patches, and how fast.

    Parameters
    ----------
    group : group of an ArgumentParser
    rate : str
        The learning rate that is taken unasked, for the help.
    batch : int, optional
        Patches of a step where none are given.
    batch_help : str
    """
    group.add_argument("--steps", type=arguments.positive_int, metavar="N", help="at most; default: 20000")
    group.add_argument(
        "--batch-size", type=arguments.positive_int, default=batch, metavar="N", help=batch_help
    )
    group.add_argument("--learning-rate", type=arguments.positive, metavar="X", help=f"default: {rate}")


def add_seed_and_device(group: argparse._ArgumentGroup) -> None:
    """Add what is drawn, and where it is computed."""
    arguments.add_data(group, seed=arguments.SEED_HELP)
    group.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)


def print_end(reports: Sequence[TrainingProgress], folder: Path, console: Console) -> None:
    """Say how a training ended; nothing where it had ended before."""
    if not reports:
        return
    last = reports[-1]
    measures = ", ".join(f"{name} {value:.4g}" for name, value in last.validation.items())
    console.result(f"{folder}: {counted(last.done, 'step')}, smoothed loss {last.loss:.4g}")
    console.result(f"validation: {measures or 'none'}")
