"""``napari-nic encoders import``: others' networks and weights as encoders."""

from __future__ import annotations

import argparse

from napari_nic.cli import arguments
from napari_nic.cli.console import Console


def add_import(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "import",
        run_import,
        "Import published Keras weights",
        description="Import an encoder of Tellez et al. from its Keras file (.h5), to be used by name.",
    )
    parser.add_argument("file", metavar="FILE.h5", help="Keras file of the encoder")
    parser.add_argument("--out", metavar="NAME", required=True, help="name of the encoder from now on")
    arguments.add_json(parser)


def run_import(args: argparse.Namespace, console: Console) -> int:
    """Import weights under a name."""
    from napari_nic.encoders import import_keras

    spec = import_keras(args.file, name=args.out)
    if args.json:
        console.json(spec.to_dict())
    console.result(f"{spec.name}: C = {spec.code_size}, use it with --encoder {spec.name}")
    return 0
