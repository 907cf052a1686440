"""``napari-nic view``: open slides in napari."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.inputs import find_slides
from napari_nic.errors import MissingDependencyError

QT_BINDINGS = ("PySide6", "PyQt6")

DESCRIPTION = """\
Open slides in napari with the NIC dock. A slide that has a compressed slide beside it shows its overlays at
once: PCA, or with --model prediction and saliency. A project (.nicproj) opens its slides as they were
left."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(commands, "view", run, "Open slides in napari", description=DESCRIPTION)
    arguments.add_slides(parser)
    parser.add_argument("--model", metavar="NAME", help="name or folder of a slide-level model")
    parser.add_argument(
        "--annotations",
        metavar="FILE",
        action="append",
        default=[],
        help="shown on the last slide; may be repeated",
    )


def run(args: argparse.Namespace, console: Console) -> int:  # noqa: ARG001 - every command's signature
    """Open the window and wait until it is closed."""
    require_napari()
    from napari_nic.plugin.launch import ViewRequest, view

    view(
        ViewRequest(
            paths=tuple(find_slides(args.slides)),
            model=args.model,
            annotations=tuple(Path(file) for file in args.annotations),
            **arguments.slide_options(args),
        )
    )
    return 0


def has_napari() -> bool:
    """Whether napari and a Qt binding are installed; imports neither."""
    has_qt = any(importlib.util.find_spec(name) for name in QT_BINDINGS)
    return has_qt and importlib.util.find_spec("napari") is not None


def require_napari() -> None:
    """Raise :class:`MissingDependencyError` with the install line unless :func:`has_napari`."""
    if not has_napari():
        raise MissingDependencyError(
            "napari, or a Qt binding for it, is not installed",
            expected="napari and PySide6 (or PyQt6)",
            hint='pip install "napari-nic[all]"',
        )
