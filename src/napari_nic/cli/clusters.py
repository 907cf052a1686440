"""``napari-nic clusters``: groups of like cells, over one compressed slide or several."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import check_not_slide, open_encoded
from napari_nic.cli.files import ARRAY, PICTURE, check_all_free, check_free, save_array, save_overlay
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.errors import NicError
from napari_nic.names import check_apart, has_suffix, without_suffix

if TYPE_CHECKING:
    import numpy as np

    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.similarity import Clusters

DEFAULT_COUNT = 8
NOTHING = -1
"""Number of a cell that is not encoded, in arrays."""

DESCRIPTION = """\
Find clusters of like cells in all slides together (k-means), sort each slide's cells into them, and write a
picture of each slide (.png) or the numbers (.npy: 0, 1... and -1 where nothing is encoded). The clusters are
written too, as a file that --clusters takes to sort other slides into the same clusters."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "clusters", run, "Group like cells of compressed slides", description=DESCRIPTION
    )
    arguments.add_stores(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "-k",
        "--count",
        type=arguments.positive_int,
        default=DEFAULT_COUNT,
        metavar="N",
        help="number of clusters, 2 to 64; default: %(default)s",
    )
    which.add_argument("--clusters", metavar="FILE", help="clusters that were found before")
    parser.add_argument("--seed", type=arguments.natural, default=0, metavar="N", help=arguments.SEED_HELP)
    arguments.add_out(parser, "file ending in .png or .npy, or folder; default: beside the compressed slide")
    parser.add_argument(
        "--save", metavar="FILE", help="the clusters; default: NAME.clusters.json beside a picture"
    )
    parser.add_argument("--areas", metavar="FILE", help="table (.csv) of the clusters' areas in mm2")
    parser.add_argument(
        "--geojson", action="store_true", help="write the clusters' outlines beside each picture too"
    )
    arguments.add_cell_px(parser)
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share."""

    args: argparse.Namespace
    console: Console
    clusters: Clusters
    token: CancellationToken
    areas: list[dict[str, Any]] = field(default_factory=list)


def run(args: argparse.Namespace, console: Console) -> int:
    """Find clusters, or read them; sort each slide into them."""
    paths = find_stores(args.stores)
    suffix = ARRAY if has_suffix(args.out or "", ARRAY) else PICTURE
    targets = outputs_for(paths, args.out, suffix=suffix, label="clusters")
    save = _place_of_clusters(args, list(targets.values()))
    table = None if args.areas is None else Path(args.areas)
    if table is not None and not has_suffix(table, ".csv"):
        raise arguments.UsageError("--areas is no table", path=table, expected="a name that ends in .csv")
    check_all_free({"--save": save, "--areas": table}, overwrite=args.overwrite)
    if args.geojson:
        check_apart({path: _outlines_of(target) for path, target in targets.items()})
    with stoppable(console, ending=STOPPED) as token:
        clusters = _read(args.clusters) if args.clusters else _find(paths, args, console, token)
        task = _Task(args, console, clusters, token)
        code = run_each(paths, lambda path: _sort_one(path, targets[path], task), console)
        _write_shared(task, save, table)
    return code


def _place_of_clusters(args: argparse.Namespace, targets: list[Path]) -> Path | None:
    from napari_nic.similarity import CLUSTERS_SUFFIX

    if args.clusters is not None:
        if args.save is not None:
            raise arguments.UsageError("--save says nothing with --clusters", expected="one of both")
        return None
    if args.save is not None:
        if not has_suffix(args.save, ".json"):
            raise arguments.UsageError(
                "the clusters are JSON", path=args.save, expected="a name ending in .json"
            )
        return Path(args.save)
    first = targets[0]
    name = (
        without_suffix(first.name, (PICTURE, ARRAY)).removesuffix(".clusters") if len(targets) == 1 else "all"
    )
    return first.with_name(f"{name}{CLUSTERS_SUFFIX}")


def _read(path: str) -> Clusters:
    from napari_nic.similarity import load_clusters

    return load_clusters(Path(path))


def _find(
    paths: list[Path], args: argparse.Namespace, console: Console, token: CancellationToken
) -> Clusters:
    """Find clusters in all slides that can be read and are of the first one's encoder."""
    from napari_nic.identity import differing
    from napari_nic.similarity import SAMPLE, draw_cells, find_clusters

    stores: list[CompressedSlide] = []
    failures: list[NicError] = []
    for path in paths:
        try:
            stores.append(open_encoded(path, console))
        except NicError as error:
            failures.append(error)  # told when its own turn comes
    if not stores:
        raise failures[0]
    encoder = stores[0].header.encoder
    same = [store for store in stores if not differing(encoder, store.header.encoder)]
    sample = draw_cells(same, SAMPLE, seed=args.seed, token=token)
    job = find_clusters(sample.codes, args.count, encoder, seed=args.seed, token=token)
    return console.outcome(job, "Finding clusters")


def _sort_one(path: Path, target: Path, task: _Task) -> dict[str, Any]:
    from napari_nic.similarity import cluster_areas

    args = task.args
    store = open_encoded(path, Console(quiet=True)) if not args.clusters else open_encoded(path, task.console)
    check_not_slide(store, target)
    check_free(target, overwrite=args.overwrite)
    outlines = _outlines_of(target)
    if args.geojson:
        check_free(outlines, overwrite=args.overwrite)
    numbers, mask = task.clusters.map_of(store, token=task.token), store.encoded()
    files = [target]
    _save(task, store, numbers, target)
    if args.geojson:
        _write_outlines(task, store, numbers, outlines)
        files.append(outlines)
    areas = cluster_areas(task.clusters, numbers, mask, store.grid, store.slide_name)
    task.areas.extend(areas)
    for file in files:
        task.console.result(str(file))
    shown = ", ".join(f"{a['name']} {a['area_mm2']:.2f}" for a in areas if a["cells"])
    task.console.result(f"  mm2: {shown}")
    return {"files": [str(file) for file in files], "areas": areas}


def _save(task: _Task, store: CompressedSlide, numbers: np.ndarray, target: Path) -> None:
    import numpy as np

    from napari_nic.similarity import cluster_overlay

    mask = store.encoded()
    if has_suffix(target, ARRAY):
        save_array(np.where(mask, numbers.astype(np.int16), np.int16(NOTHING)), target)
        return
    overlay = cluster_overlay(task.clusters, numbers, mask, store.grid.placement)
    save_overlay(overlay, target, cell_px=task.args.cell_px)


def _write_outlines(task: _Task, store: CompressedSlide, numbers: np.ndarray, path: Path) -> None:
    from napari_nic.annotations import write_annotations
    from napari_nic.similarity import cluster_annotations

    annotations = cluster_annotations(task.clusters, numbers, store, token=task.token)
    write_annotations(annotations, path, "geojson", token=task.token)


def _outlines_of(target: Path) -> Path:
    return target.with_suffix(".geojson")


def _write_shared(task: _Task, save: Path | None, table: Path | None) -> None:
    from napari_nic.disk import write_text
    from napari_nic.similarity import areas_csv, save_clusters

    if save is not None:
        save_clusters(task.clusters, save)
        task.console.result(str(save))
    if table is not None:
        write_text(table, areas_csv(task.areas))
        task.console.result(str(table))
