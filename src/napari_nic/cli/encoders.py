"""``napari-nic encoders``: list, show, import, train, evaluate and benchmark encoders."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoders_benchmark import add_benchmark, mmac
from napari_nic.cli.encoders_evaluate import add_evaluate
from napari_nic.cli.encoders_import import add_import
from napari_nic.cli.encoders_train import add_train
from napari_nic.errors import NicError, UnknownNameError

if TYPE_CHECKING:
    from napari_nic.encoders import EncoderSpec
    from napari_nic.encoders.speeds import Speed


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("encoders", help="List, show, import and train encoders")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_list(actions)
    _add_show(actions)
    add_import(actions)
    add_train(actions)
    add_evaluate(actions)
    add_benchmark(actions)


def _add_list(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "list", run_list, "List the encoders at hand")
    arguments.add_json(parser)


def _add_show(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "show", run_show, "Show the model card of an encoder")
    parser.add_argument("encoder", metavar="NAME", help="name or folder")
    arguments.add_json(parser)


def run_list(args: argparse.Namespace, console: Console) -> int:
    """Print one line per encoder, with what a patch costs it and how fast it was when it was measured."""
    from napari_nic.encoders import list_encoders
    from napari_nic.encoders.speeds import known_cost, remembered_speed

    damaged: list[NicError] = []
    specs = list_encoders(damaged=damaged.append)
    for error in damaged:
        console.error(error)
    figures = [(spec, known_cost(spec), remembered_speed(spec)) for spec in specs]
    if args.json:
        console.json(
            [
                spec.to_dict() | {"multiply_adds": cost, "speed": speed and speed.to_dict()}
                for spec, cost, speed in figures
            ]
        )
        return 1 if damaged else 0
    rows = [
        (s.name, s.code_size, s.patch_size, f"{s.mpp:g}", mmac(cost), _measured(speed), s.licence, s.summary)
        for s, cost, speed in figures
    ]
    console.table(("name", "C", "patch px", "um/px", "MMAC", "patches/s", "licence", "what it is"), rows)
    return 1 if damaged else 0


def _measured(speed: Speed | None) -> str:
    """Return the last figure of encoders benchmark on this machine as a table has it."""
    return "-" if speed is None else f"{speed.median:,.0f}"


def run_show(args: argparse.Namespace, console: Console) -> int:
    """Print all that is known of an encoder."""
    spec = _find(args.encoder)
    if args.json:
        console.json(spec.to_dict())
        return 0
    _print_card(spec, console)
    return 0


def _find(name: str) -> EncoderSpec:
    """Return an encoder's spec, or what a model of timm would be that is not imported yet."""
    from napari_nic.encoders import get_spec
    from napari_nic.encoders.store import TIMM_PREFIX

    try:
        return get_spec(name)
    except UnknownNameError:
        if not name.startswith(TIMM_PREFIX):
            raise
        from napari_nic.encoders.external.timm_models import describe

        return describe(name)


def _print_card(spec: EncoderSpec, console: Console) -> None:
    from napari_nic.encoders.external.notices import gating

    facts = {
        "code size": spec.code_size,
        "patches": f"{spec.patch_size} px at {spec.mpp:g} um/px, averaged to {spec.input_size} px",
        "architecture": spec.architecture + _consent(spec),
        "weights": spec.weights_sha256 or "none",
        "licence": spec.licence or "not stated",
        "cite": spec.citation or "nothing",
    }
    terms = gating(spec)
    if terms:
        facts["terms"] = terms
    options = {name: _in_a_line(value) for name, value in spec.options.items()}
    console.card(
        f"{spec.name}: {spec.summary}", facts, {"training": spec.training, "how pixels become codes": options}
    )


def _consent(spec: EncoderSpec) -> str:
    """Say whether an encoder that is a program may run."""
    from napari_nic.encoders.external.trust import is_trusted, runs_program

    if not runs_program(spec):
        return ""
    trusted = is_trusted(spec.weights_sha256 or "")
    return ", a program: you let it run" if trusted else ", a program: it is not opened without --trust"


def _in_a_line(value: object) -> object:
    return ", ".join(str(part) for part in value) if isinstance(value, list) else value
