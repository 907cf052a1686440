"""``napari-nic patches sheet``: a picture of what augmentation makes of patches."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import PICTURE, check_free, save_picture
from napari_nic.cli.inputs import output_for
from napari_nic.names import check_target
from napari_nic.training.augmentation import PRESETS

if TYPE_CHECKING:
    from napari_nic.patches import PatchSource

ROWS, COLUMNS = 6, 8
SIZE, MPP = 64, 1.0
"""What the published network sees of tiles: 64 px at 1 um/px."""

DESCRIPTION = """\
Draw patches as they are, and beside each what augmentation makes of it, as a network sees it in training:
look before you train."""


def add_sheet(actions: arguments.Subparsers) -> None:
    """Add the command to those of ``patches``."""
    parser = arguments.add_command(
        actions, "sheet", run_sheet, "Draw what augmentation makes of patches", description=DESCRIPTION
    )
    parser.add_argument("store", nargs="?", metavar="STORE", help="patch store; or name --tiles")
    arguments.add_data(parser, tiles=arguments.TILES_HELP, labelled="classes of tiles are the sub-folders")
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default="strong", help="strength; default: %(default)s"
    )
    arguments.add_out(parser, "PNG file", required=True)
    arguments.add_overwrite(parser, "replace a file even if this program did not write it")
    parser.add_argument(
        "--rows", type=arguments.positive_int, default=ROWS, metavar="N", help="patches; default: %(default)s"
    )
    parser.add_argument(
        "--columns",
        type=arguments.positive_int,
        default=COLUMNS,
        metavar="N",
        help="changed copies of each; default: %(default)s",
    )
    arguments.add_data(
        parser,
        size=f"side of what the network sees; default: {SIZE}, or what training takes of the store's patches",
        mpp="um per pixel that tiles are brought to; default: %(default)g",
        seed=arguments.SEED_HELP,
    )
    parser.set_defaults(mpp=MPP, seed=0)
    arguments.add_json(parser)


def run_sheet(args: argparse.Namespace, console: Console) -> int:
    """Draw the sheet."""
    if bool(args.store) == bool(args.tiles):
        raise arguments.UsageError(
            "the sheet needs patches of one kind", expected="a STORE or --tiles FOLDER=UM, not both"
        )
    out = output_for(Path(args.out), args.out, suffix=PICTURE, several=False)
    check_target(out)
    check_free(out, overwrite=args.overwrite)
    import numpy as np

    from napari_nic.training.augmentation import Augmenter, contact_sheet

    source, size = _source(args)
    batch = source.draw(args.rows, np.random.default_rng(args.seed))
    names = [] if batch.labels is None else [source.class_names[label] for label in batch.labels]
    last = args.seed + args.columns - 1
    picture = contact_sheet(
        batch.images,
        Augmenter(PRESETS[args.preset]),
        columns=args.columns,
        seed=args.seed,
        size=size,
        title=f"{args.preset}, seeds {args.seed} to {last}; {size} px at {source.mpp:g} um/px",
        names=names,
    )
    save_picture(picture, out)
    if args.json:
        console.json({"files": [str(out)], "preset": args.preset, "size": size, "mpp": source.mpp})
    console.result(str(out))
    return 0


def _source(args: argparse.Namespace) -> tuple[PatchSource, int]:
    """Return patches with the margin that training gives them, and the side of what a network sees."""
    from napari_nic.patches import PatchStore, TileSet, load_tiles
    from napari_nic.training import MARGIN

    if args.store:
        # Not all patches need be read for a few.
        stored = PatchStore.open(args.store).source(memory_bytes=0)
        return stored, args.size or int(stored.size / MARGIN)
    size = args.size or SIZE
    side = round(MARGIN * size)
    folders = arguments.read_tiles(args, args.tiles, labelled=args.labelled)
    tiles = load_tiles(folders, mpp=args.mpp, least_side=side).tiles
    return TileSet(tiles, side, mpp=args.mpp), size
