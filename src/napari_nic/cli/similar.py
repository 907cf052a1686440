"""``napari-nic similar``: cells that are like a cell or a region, in one slide or in a folder of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotated import add_frame, annotations_on
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import check_not_slide, open_encoded
from napari_nic.cli.files import (
    ARRAY,
    PICTURE,
    check_all_free,
    check_free,
    save_array,
    save_overlay,
    save_picture,
)
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.names import check_target, has_suffix, safe_name

if TYPE_CHECKING:
    import numpy as np

    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.similarity import Match, Query, SearchResult

TABLE = ".csv"
INSIDE = 0.5
"""A cell belongs to an annotation when at least this share of it is inside."""

PER_SLIDE = 5
"""Matches of one slide by default, where several are searched."""

METHODS = ("auto", "exact", "index")

DESCRIPTION = """\
List the cells whose codes are most like a cell, or like the mean of a region, by cosine similarity: of the
slide itself, or of all compressed slides in a folder (--stores). Codes of other encoders are left out and
named. With --map the similarity of every cell of the slide is written as a picture or an array."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "similar", run, "Find cells that are like a cell or a region", description=DESCRIPTION
    )
    parser.add_argument("store", metavar="STORE", help="compressed slide (.nic.zarr), or its slide")
    _add_query(parser)
    _add_search(parser)
    _add_outputs(parser)
    arguments.add_json(parser)


def _add_query(parser: argparse.ArgumentParser) -> None:
    query = parser.add_argument_group("what is looked for", "one of these")
    which = query.add_mutually_exclusive_group(required=True)
    which.add_argument("--cell", type=_numbers(2), metavar="ROW,COL", help="a cell, counted from 0")
    which.add_argument(
        "--region", type=_numbers(4), metavar="X,Y,W,H", help="cells of a rectangle, in level-0 pixels"
    )
    which.add_argument("--annotations", metavar="FILE", help="cells that lie half or more in annotated areas")
    query.add_argument(
        "--class",
        dest="label",
        action="append",
        metavar="NAME",
        help="with --annotations: only areas of this class; may be repeated",
    )
    add_frame(query)


def _add_search(parser: argparse.ArgumentParser) -> None:
    search = parser.add_argument_group("where it is looked for")
    search.add_argument("--stores", metavar="FOLDER", help="compressed slides; default: the slide itself")
    search.add_argument("--top", type=arguments.positive_int, default=20, metavar="N", help="default: 20")
    search.add_argument(
        "--per-slide",
        type=arguments.positive_int,
        metavar="N",
        help=f"matches of one slide at most; default: {PER_SLIDE} with --stores",
    )
    search.add_argument(
        "--apart",
        type=arguments.not_negative,
        default=250.0,
        metavar="UM",
        help="matches of a slide are at least so far from each other and from the query; default: 250",
    )
    search.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="auto compares every cell, and uses an index (faiss) for more than 2 million; default: auto",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    arguments.add_out(parser, "table of the matches, ending in .csv")
    parser.add_argument("--map", metavar="PATH", help="similarity of every cell, ending in .png or .npy")
    arguments.add_cell_px(parser)
    parser.add_argument("--thumbnails", metavar="FOLDER", help="write a picture of each match")
    parser.add_argument(
        "--slides", metavar="FOLDER", help="slides that pictures are cut from; default: beside their stores"
    )
    arguments.add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Search and print."""
    out, picture = (None if text is None else Path(text) for text in (args.out, args.map))
    _check_outputs(args, out, picture)
    with stoppable(console, ending=STOPPED) as token:
        store = open_encoded(Path(args.store), console)
        if picture is not None:
            check_not_slide(store, picture)
        query = _query(store, args, token)
        result = _search(query, store, args, console, token)
        files = _write(result, query, store, args, token)
        if args.thumbnails:
            files += _write_thumbnails(result.matches, args, console, token)
    _print(result, query, files, console)
    return 0


def _check_outputs(args: argparse.Namespace, out: Path | None, picture: Path | None) -> None:
    if args.label and args.annotations is None:
        raise arguments.UsageError("--class needs --annotations", expected="--annotations FILE")
    if args.slides and not args.thumbnails:
        raise arguments.UsageError("--slides needs --thumbnails", expected="--thumbnails FOLDER")
    for option, path, suffixes in (("--out", out, (TABLE,)), ("--map", picture, (PICTURE, ARRAY))):
        if path is not None and not has_suffix(path, *suffixes):
            raise arguments.UsageError(
                f"the suffix of {option} does not fit what is written",
                path=path,
                expected=f"a name that ends in {' or '.join(suffixes)}",
            )
        if path is not None:
            check_target(path)
    check_all_free({"--out": out}, overwrite=args.overwrite)
    if picture is not None:
        check_free(picture, overwrite=args.overwrite)


def _query(store: CompressedSlide, args: argparse.Namespace, token: CancellationToken) -> Query:
    from napari_nic.similarity import query_of_cell, query_of_cells

    if args.cell is not None:
        return query_of_cell(store, *args.cell)
    return query_of_cells(store, _cells(store, args, token), token=token)


def _cells(store: CompressedSlide, args: argparse.Namespace, token: CancellationToken) -> np.ndarray:
    """Return the cells of a region or of annotated areas."""
    import numpy as np

    from napari_nic.annotations import rasterise
    from napari_nic.geometry import RegionPx

    if args.region is not None:
        x, y, width, height = args.region
        cells = np.zeros(store.grid.shape, bool)
        cells[store.grid.cells_within(RegionPx(y, x, height, width))] = True
        return cells
    annotations = annotations_on(store, Path(args.annotations), args)
    labels = args.label or list(annotations.labels())
    found: np.ndarray = rasterise(annotations, store.grid, labels, token=token) >= INSIDE
    return found


def _search(
    query: Query,
    store: CompressedSlide,
    args: argparse.Namespace,
    console: Console,
    token: CancellationToken,
) -> SearchResult:
    from napari_nic.similarity import EXACT_CELLS, SearchOptions, open_searched, search_cells, stores_in

    paths = [store.path] if args.stores is None else stores_in(Path(args.stores))
    per_slide = args.per_slide or (PER_SLIDE if args.stores is not None else None)
    options = SearchOptions(args.top, per_slide, args.apart)
    searched = open_searched(query, paths, token=token)
    limit = {"auto": EXACT_CELLS, "exact": searched.n_cells, "index": 0}[args.method]
    return console.outcome(
        search_cells(query, searched, options, exact_cells=limit, token=token), "Searching"
    )


def _write(
    result: SearchResult,
    query: Query,
    store: CompressedSlide,
    args: argparse.Namespace,
    token: CancellationToken,
) -> list[str]:
    from napari_nic.similarity import write_matches

    files = []
    if args.out is not None:
        write_matches(result.matches, Path(args.out))
        files.append(args.out)
    if args.map is not None:
        _write_map(query, store, Path(args.map), args.cell_px, token)
        files.append(args.map)
    return files


def _write_map(
    query: Query, store: CompressedSlide, path: Path, cell_px: int, token: CancellationToken
) -> None:
    import numpy as np

    from napari_nic.embeddings import ResidentCodes
    from napari_nic.similarity import cosine, similarity_overlay

    codes = ResidentCodes.load(store, token=token)
    values = codes.raster(cosine(codes.codes, query.vector, token=token), np.nan)
    if has_suffix(path, ARRAY):
        save_array(values, path)
        return
    overlay = similarity_overlay(values, codes.encoded, store.grid.placement, what=query.what)
    save_overlay(overlay, path, cell_px=cell_px)


def _write_thumbnails(
    matches: tuple[Match, ...], args: argparse.Namespace, console: Console, token: CancellationToken
) -> list[str]:
    """Write a picture of each match; one that cannot be cut is named, and makes the exit code 1."""
    from napari_nic.similarity import crop_matches

    folder = Path(args.thumbnails)
    names = [
        f"{rank:03d}_{safe_name(match.slide_name)}_{match.row}_{match.col}{PICTURE}"
        for rank, match in enumerate(matches, 1)
    ]
    for name in names:
        check_free(folder / name, overwrite=args.overwrite)
    slides = None if args.slides is None else Path(args.slides)
    crops = console.outcome(crop_matches(matches, slides, token=token), "Cutting pictures")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, crop in zip(names, crops, strict=True):
        if crop.image is None:
            console.missed(f"picture {name}", crop.problem)
            continue
        save_picture(crop.image, folder / name)
        files.append(str(folder / name))
    return files


def _print(result: SearchResult, query: Query, files: list[str], console: Console) -> None:
    if console.as_json:
        console.json(_document(result, query, files))
        return
    console.result(f"{query.what} of {query.slide_name}: {result.note}")
    header = ("rank", "slide", "similarity", "row", "column", "x px", "y px")
    rows = [
        (rank, m.slide_name, f"{m.similarity:.4f}", m.row, m.col, f"{m.box_px[1]:.0f}", f"{m.box_px[0]:.0f}")
        for rank, m in enumerate(result.matches, 1)
    ]
    if rows:
        console.table(header, rows)
    else:
        console.result("no cell is far enough from the query (--apart) to be listed")
    for file in files:
        console.result(file)


def _document(result: SearchResult, query: Query, files: list[str]) -> dict[str, Any]:
    return {
        "query": {"what": query.what, "slide": query.slide_name, "encoder": query.encoder.get("name")},
        "method": result.method,
        "note": result.note,
        "slides": result.n_stores,
        "cells": result.n_cells,
        "matches": [match.to_dict() for match in result.matches],
        "left_out": [{"store": str(path), "why": why} for path, why in result.left_out],
        "files": files,
    }


def _numbers(count: int) -> Any:
    """Return a parser of so many whole numbers, 0 or above, separated by commas."""

    def parse(text: str) -> tuple[int, ...]:
        """Parse them."""
        try:
            numbers = tuple(arguments.natural(part) for part in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != count:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {count} whole numbers, separated by commas")
        return numbers

    return parse
