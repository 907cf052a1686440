"""``napari-nic patches``: take patches from slides and tiles into one store, and look at it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotated import add_frame
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.inputs import find_uncompressed
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.patch_sheet import add_sheet
from napari_nic.names import PATCHES_SUFFIX
from napari_nic.wording import count, counted, duration, was_were

if TYPE_CHECKING:
    from napari_nic.patches import ExtractProgress, ExtractRecipe, PatchStore, SlideOptions

DESCRIPTION = """\
Take patches from slides (at random places of tissue, up to a cap) and from folders of tiles (edge to edge)
into one store for training, with where each patch is from and its class. Slides and tiles that cannot be used
are named and left out, and the exit code is 1."""

STOPPED = "stopped; nothing was stored"
NO_CLASS = "(none)"

SKIPS_SHOWN = 20
SOURCES_SHOWN = 30


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser("patches", help="Take patches from slides and tiles for training")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_extract(actions)
    _add_info(actions)
    add_sheet(actions)


def _add_extract(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions, "extract", run_extract, "Take patches into a store", description=DESCRIPTION
    )
    parser.add_argument("slides", nargs="*", metavar="SLIDE", help="slide, folder of slides, or pattern")
    arguments.add_out(parser, f"store to make, NAME{PATCHES_SUFFIX}", required=True)
    arguments.add_overwrite(parser, "replace a patch store of this name")
    arguments.add_data(
        parser,
        size="side; default: 128",
        mpp="um per pixel; default: 0.5",
        seed="of the random choice; default: 0",
        group="what in a file name tells the slide or patient; default: each file is one",
    )
    _add_slide_options(parser)
    arguments.add_look(parser)
    _add_tile_options(parser)
    arguments.add_json(parser)


def _add_slide_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("slides")
    group.add_argument(
        "--per-slide", type=arguments.positive_int, metavar="N", help="most patches of a slide; default: 1000"
    )
    group.add_argument(
        "--min-tissue", type=arguments.share, metavar="SHARE", help="least tissue in a patch; default: 0.6"
    )
    group.add_argument(
        "--slide-mpp", type=arguments.positive, metavar="UM", help="um per pixel of level 0 of all slides"
    )
    group.add_argument(
        "--annotated", action="store_true", help="classes from the annotation file beside each slide"
    )
    group.add_argument(
        "--annotations", metavar="FOLDER", help="where the annotation files are, called like the slides"
    )
    add_frame(group)
    group.add_argument(
        "--rest", metavar="CLASS", help="class of tissue that no annotated area touches; left out by default"
    )


def _add_tile_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tiles")
    arguments.add_data(
        group,
        tiles=arguments.TILES_HELP,
        labelled="classes are the sub-folders; inside and outside where every tile has an outline in masks/",
    )
    group.add_argument(
        "--tile-tissue",
        type=arguments.share,
        metavar="SHARE",
        help="least share of a patch that is darker than glass; default: 0.2",
    )


def _add_info(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(actions, "info", run_info, "Show what is in patch stores")
    parser.add_argument("stores", nargs="+", metavar="STORE", help=f"patch store (*{PATCHES_SUFFIX})")
    parser.add_argument("--all", action="store_true", help="list all sources and all that was skipped")
    arguments.add_json(parser)


def run_extract(args: argparse.Namespace, console: Console) -> int:
    """Make a patch store."""
    from napari_nic.patches import PatchStore, extract_patches

    recipe = _recipe(args)
    started = time.monotonic()
    with stoppable(console, ending=STOPPED) as token:
        _follow(extract_patches(recipe, token=token), console)
    store = PatchStore.open(recipe.out)
    if args.json:
        console.json(store_record(store))
    seconds = time.monotonic() - started
    console.result(f"{_headline(store)} in {duration(seconds)} ({count(len(store) / seconds)}/s)")
    _print_classes(store, console)
    if store.record.skipped:
        skipped = len(store.record.skipped)
        what = counted(skipped, "slide or tile", "slides or tiles")
        console.result(f"{what} {was_were(skipped)} skipped")
    _warn_of_groups(store, args.group, console)
    return 0


def _warn_of_groups(store: PatchStore, pattern: str, console: Console) -> None:
    """Name files that the rule for groups does not fit: they may share a patient with others, unnoticed."""
    from napari_nic.patches.tiles import group_in

    names = [origin.name for origin in store.origins]
    odd = [name for name in names if pattern and group_in(Path(name).name, pattern) is None]
    if odd:
        do_not = "file name does" if len(odd) == 1 else "file names do"
        more = ", ..." if len(odd) > 1 else ""
        console.warning(f"{len(odd):,} {do_not} not fit --group, each a group of its own: {odd[0]}{more}")


def run_info(args: argparse.Namespace, console: Console) -> int:
    """Describe each patch store."""
    from napari_nic.patches import PatchStore

    def describe(path: Path) -> dict[str, Any]:
        """Print what is in one store; return it for JSON."""
        store = PatchStore.open(path)
        _print_store(store, console, everything=args.all)
        return store_record(store)

    return run_each([Path(store) for store in args.stores], describe, console)


def _recipe(args: argparse.Namespace) -> ExtractRecipe:
    from napari_nic.patches import ExtractRecipe

    if not args.slides and not args.tiles:
        raise arguments.UsageError("there is nothing to take patches from", hint="name slides, or --tiles")
    given = {"size": args.size, "mpp": args.mpp, "seed": args.seed, "tile_tissue": args.tile_tissue}
    return ExtractRecipe(
        out=Path(args.out),
        slides=find_uncompressed(args.slides),
        tiles=arguments.read_tiles(args, args.tiles, labelled=args.labelled),
        slide_options=_slide_options(args),
        overwrite=args.overwrite,
        **{name: value for name, value in given.items() if value is not None},
    )


def _slide_options(args: argparse.Namespace) -> SlideOptions:
    from napari_nic.patches import SlideOptions

    annotated = args.annotated or args.annotations is not None
    if args.rest is not None and not annotated:
        raise arguments.UsageError("--rest goes with annotations", hint="add --annotated")
    given = {"per_slide": args.per_slide, "min_tissue": args.min_tissue}
    return SlideOptions(
        group=args.group,
        annotated=annotated,
        annotations=None if args.annotations is None else Path(args.annotations),
        annotation_from=args.annotation_from,
        rest=args.rest,
        mpp=args.slide_mpp,
        **arguments.look(args),
        **{name: value for name, value in given.items() if value is not None},
    )


def _follow(reports: Iterable[ExtractProgress], console: Console) -> None:
    """Show progress, and the first of what is skipped as it happens."""
    told = 0
    for report in console.follow(reports, "patches"):
        for name, why in report.skipped[told:SKIPS_SHOWN]:
            if not console.has_named(name):
                console.note(f"skipped {name}: {why}")
        told = max(told, len(report.skipped))


def store_record(store: PatchStore) -> dict[str, Any]:
    """Return what is known of a patch store, for JSON."""
    counts = count_patches(store)
    record = store.record.to_dict()
    for origin, row in zip(record["sources"], counts.tolist(), strict=True):
        origin["patches"] = dict(zip(_classes(store), row, strict=True))
    totals = dict(zip(_classes(store), counts.sum(axis=0).tolist(), strict=True))
    return {"kind": "patches", "path": str(store.path), "patches": len(store), "classes": totals} | record


def count_patches(store: PatchStore) -> Any:
    """Count patches, ndarray of int (sources, classes + 1); the last column is of those without class."""
    import numpy as np

    table = np.zeros((len(store.origins), len(store.class_names) + 1), int)
    # Label -1, none, is the last column.
    np.add.at(table, (store.source_index, store.labels), 1)
    return table


def _classes(store: PatchStore) -> tuple[str, ...]:
    return (*store.class_names, NO_CLASS)


def _headline(store: PatchStore) -> str:
    groups = len(set(store.groups.tolist()))
    return (
        f"{store.path}: {counted(len(store), 'patch')} of {store.size} px at {store.mpp:g} um/px "
        f"from {counted(len(store.origins), 'source')} in {counted(groups, 'group')}"
    )


def _print_classes(store: PatchStore, console: Console) -> None:
    if store.class_names:
        totals = count_patches(store).sum(axis=0)
        entries = [f"{name} {n:,}" for name, n in zip(_classes(store), totals, strict=True) if n]
        console.result("  classes: " + ", ".join(entries))


def _print_store(store: PatchStore, console: Console, *, everything: bool) -> None:
    facts = {"seed": store.record.seed, "made by": store.record.software}
    console.card(_headline(store), facts)
    _print_classes(store, console)
    header = ("source", "group", *(_classes(store) if store.class_names else ("patches",)), "left out")
    rows = [
        (origin.name, origin.group, *row, ", ".join(f"{n} {why}" for why, n in origin.left_out.items()))
        for origin, row in zip(store.origins, count_patches(store).tolist(), strict=True)
    ]
    shown = len(rows) if everything else SOURCES_SHOWN
    console.table(header, rows[:shown])
    _more(len(rows) - shown, "sources", console)
    skipped = store.record.skipped
    shown = len(skipped) if everything else SKIPS_SHOWN
    for name, why in skipped[:shown]:
        console.result(f"skipped {name}: {why}")
    _more(len(skipped) - shown, "skipped", console)


def _more(rest: int, what: str, console: Console) -> None:
    if rest > 0:
        console.result(f"and {rest:,} more {what} (--all)")
