"""``napari-nic codecs``: list, show and train learned codecs, and light decoders for them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.codecs_training import add_distil, add_train
from napari_nic.cli.console import Console
from napari_nic.errors import NicError

if TYPE_CHECKING:
    from napari_nic.recompression.learned import CodecSpec


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("codecs", help="List, show and train learned codecs of slides")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    arguments.add_json(arguments.add_command(actions, "list", run_list, "List the learned codecs at hand"))
    shown = arguments.add_command(actions, "info", run_info, "Show what is known of a learned codec")
    shown.add_argument("codec", metavar="NAME", help="name or folder")
    arguments.add_json(shown)
    add_train(actions)
    add_distil(actions)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Print one line per codec."""
    from napari_nic.recompression.learned import find_codec, list_codecs, read_codec

    specs: list[CodecSpec] = []
    code = 0
    for name in list_codecs():
        try:
            specs.append(read_codec(find_codec(name)))
        except NicError as error:
            console.error(error)
            code = 1
    if args.json:
        console.json([spec.to_dict() for spec in specs])
        return code
    rows = [
        (
            s.name,
            s.network,
            f"{s.filters}, {s.channels}",
            f"{s.loss} {s.weight:g}",
            _light(s),
            s.licence,
            s.summary,
        )
        for s in specs
    ]
    console.table(("name", "network", "N, M", "lambda", "light decoder", "licence", "what it is"), rows)
    return code


def run_info(args: argparse.Namespace, console: Console) -> int:
    """Print all that is known of a codec, whose files must be whole."""
    from napari_nic.recompression.learned import (
        DECODER_FILE,
        ENCODER_FILE,
        LIGHT_FILE,
        find_codec,
        read_codec,
        read_part,
    )

    folder = find_codec(args.codec)
    spec = read_codec(folder)
    parts = {ENCODER_FILE: spec.encoder_sha256, DECODER_FILE: spec.decoder_sha256}
    parts |= {LIGHT_FILE: spec.light_sha256} if spec.light_sha256 else {}
    sizes = {name: len(read_part(folder, name, sha256)) for name, sha256 in parts.items()}
    if args.json:
        console.json(spec.to_dict() | {"bytes": sizes})
        return 0
    facts = {
        "network": f"{spec.network}, N = {spec.filters}, M = {spec.channels}",
        "trained for": f"{spec.loss} with lambda {spec.weight:g}",
        "licence": spec.licence,
        "cite": spec.citation or "nothing",
        **{name: f"{size:,} bytes, SHA-256 {parts[name]}" for name, size in sizes.items()},
    }
    console.card(
        f"{spec.name}: {spec.summary}",
        facts,
        {"training": spec.training, "light decoder": spec.light_training},
    )
    return 0


def _light(spec: CodecSpec) -> str:
    return "yes" if spec.light_sha256 else "no"
