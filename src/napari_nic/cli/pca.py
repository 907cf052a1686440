"""``napari-nic pca``: the embedding as a colour picture, or one of its channels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import check_not_slide, open_encoded
from napari_nic.cli.files import PICTURE, check_free, save_overlay
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.explain import Overlay
    from napari_nic.jobs import CancellationToken

DESCRIPTION = """\
Write a picture of the embedding array, one square per cell: the first three principal components of the
tissue cells as red, green and blue, or one channel. Glass is transparent."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "pca", run, "Write embedding arrays as pictures", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    arguments.add_out(parser, "PNG file, or folder; default: beside the compressed slide")
    arguments.add_overwrite(parser, "replace a file even if this program did not write it")
    parser.add_argument("--channel", type=arguments.natural, metavar="K", help="this channel, counted from 0")
    arguments.add_cell_px(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Draw each store."""
    paths = find_stores(args.stores)
    targets = outputs_for(paths, args.out, suffix=PICTURE, label="pca")

    def draw(path: Path) -> dict[str, Any]:
        """Write the picture of one compressed slide; return its name for JSON."""
        store = open_encoded(path, console)
        check_not_slide(store, targets[path])
        check_free(targets[path], overwrite=args.overwrite)
        overlay = _overlay(store, args.channel, token)
        save_overlay(overlay, targets[path], cell_px=args.cell_px)
        console.result(str(targets[path]))
        return {"files": [str(targets[path])]}

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, draw, console)


def _overlay(store: CompressedSlide, channel: int | None, token: CancellationToken) -> Overlay:
    from napari_nic.explain import channel_overlay, pca_overlay

    codes, mask, placement = store.read(token=token), store.encoded(), store.grid.placement
    if channel is None:
        return pca_overlay(codes, mask, placement, token=token)
    return channel_overlay(codes, mask, placement, channel)
