"""``napari-nic encoders``: list, show, import and train encoders."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console

if TYPE_CHECKING:
    from napari_nic.encoders import EncoderSpec


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("encoders", help="List, show, import and train encoders")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_import(actions)


def _add_list(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "list", run_list, "List the encoders at hand")
    arguments.add_json(parser)


def _add_show(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "show", run_show, "Show an encoder's card")
    parser.add_argument("encoder", metavar="NAME", help="name or folder")
    arguments.add_json(parser)


def _add_import(actions: arguments.Subparsers) -> None:
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


def run_import(args: argparse.Namespace, console: Console) -> int:
    """Import weights under a name."""
    from napari_nic.encoders import import_keras

    spec = import_keras(args.file, name=args.out)
    if args.json:
        console.json(spec.to_dict())
    console.result(f"{spec.name}: C = {spec.code_size}, use it with --encoder {spec.name}")
    return 0


def _card(spec: EncoderSpec) -> list[str]:
    lines = [
        f"{spec.name}: {spec.summary}",
        f"  code size     {spec.code_size}",
        f"  patches       {spec.patch_size} px at {spec.mpp:g} um/px, averaged to {spec.input_size} px",
        f"  architecture  {spec.architecture}",
        f"  weights       {spec.weights_sha256 or 'none'}",
        f"  licence       {spec.licence or 'not stated'}",
        f"  cite          {spec.citation or 'nothing'}",
    ]
    return lines + [f"  {line}" for line in _entries(spec.training)]


def _entries(values: Any, indent: str = "") -> list[str]:
    """Lay a nested description out as indented lines."""
    lines = []
    for name, value in dict(values).items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_entries(value, indent + "  ")]
        elif isinstance(value, list | tuple):
            lines += [f"{indent}{name}", *(f"{indent}  {entry}" for entry in value)]
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines
