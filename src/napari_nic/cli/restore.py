"""``napari-nic restore``: the original of a repacked slide, byte for byte."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_free
from napari_nic.cli.inputs import find_slides
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.recompress import facts_of, targets_of

DESCRIPTION = """\
Make the original slide again of a file that 'napari-nic recompress --mode repack' wrote. Its SHA-256 is
compared with the original's; a file that is not the same byte for byte is never left."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "restore", run, "Make the original of a repacked slide again", description=DESCRIPTION
    )
    parser.add_argument("slides", nargs="+", metavar="FILE", help="repacked slide, folder, or pattern")
    arguments.add_out(parser, "folder, or for one slide a file")
    parser.add_argument("--replace", action="store_true", help="put the original in the file's place")
    parser.add_argument(
        "--workers", type=arguments.positive_int, metavar="N", help="threads; default: one per core"
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Restore each file."""
    from napari_nic.recompression import restore

    paths = find_slides(args.slides)
    targets = targets_of(paths, args)

    def work(path: Path) -> dict[str, Any]:
        """Restore one slide; return what it is."""
        out = targets[path]
        if not args.replace:
            check_free(out, overwrite=args.overwrite)
        report = console.outcome(restore(path, out, workers=args.workers, token=token), path.name)
        said = f"{out}: {report.size:,} bytes, SHA-256 {report.sha256}"
        console.result(
            f"{said}, as the slide was once its names were left out (--deidentify); the original, with label "
            "and names, is not kept in the file"
            if report.is_deidentified
            else f"{said}, as the original {report.name}"
        )
        return {"out": str(out)} | facts_of(report)

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, work, console)
