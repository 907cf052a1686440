"""``napari-nic export``: the embedding array in other programs' formats."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.inputs import find_stores, store_of
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.errors import NicError
from napari_nic.names import check_apart

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide

DESCRIPTION = """\
Write the embedding array of compressed slides in another program's format. Which programs read which, and
what is kept, stands in docs/interchange.md."""


class _Formats:
    """Names of the formats, which are loaded when the help or a name is asked for, and not at every start."""

    def __iter__(self) -> Iterator[str]:
        from napari_nic.embeddings import EXPORTERS

        return iter(EXPORTERS)

    def __contains__(self, name: object) -> bool:
        return name in list(self)


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "export", run, "Write embedding arrays in other formats", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    parser.add_argument(
        "--format", required=True, metavar="NAME", choices=_Formats(), help="one of %(choices)s"
    )
    arguments.add_out(parser, "folder, or for one slide a file; default: the folder of the compressed slide")
    parser.add_argument("--allow-partial", action="store_true", help="export an unfinished compression")
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Export each store."""
    from napari_nic.embeddings import CompressedSlide, export_store

    paths = find_stores(args.stores)
    arguments.require_folder(args.out, several=len(paths) > 1)
    check_apart({path: _files(path, args) for path in paths})

    def export(path: Path) -> dict[str, Any]:
        """Write the array of one compressed slide; return what was written."""
        store = CompressedSlide.open(store_of(path))
        files = export_store(
            store,
            _out(store, args),
            args.format,
            allow_partial=args.allow_partial,
            overwrite=args.overwrite,
            token=token,
        )
        for file in files:
            console.result(str(file))
        return {"files": [str(file) for file in files]}

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, export, console)


def _out(store: CompressedSlide, args: argparse.Namespace) -> Path:
    return store.path.parent if args.out is None else Path(args.out)


def _files(path: Path, args: argparse.Namespace) -> tuple[Path, ...]:
    """What will be written for an input; nothing for one that cannot be opened, which is told at its turn."""
    from napari_nic.embeddings import CompressedSlide, export_files

    try:
        store = CompressedSlide.open(store_of(path))
    except NicError:
        return ()
    return export_files(store, _out(store, args), args.format)
