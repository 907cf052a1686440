"""What a lossy run would come to, from a sample of tiles; nothing is written."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.lossy.checking import TileCheck, keep_all
from napari_nic.recompression.lossy.containers import load_container
from napari_nic.recompression.lossy.encoding import EncodedTile, Place
from napari_nic.recompression.lossy.options import LossyOptions
from napari_nic.recompression.lossy.picture import SourcePicture
from napari_nic.recompression.lossy.reports import LevelReport, LossyReport
from napari_nic.recompression.lossy.writing import LossyRun, prepare_run
from napari_nic.recompression.workers import in_order, threads_for
from napari_nic.slides import Level

SAMPLE = 32
"""Tiles of a level that are tried."""

_BESIDE = 4096
"""Bytes of a file's header and directories, beside the list of its tiles."""


def estimate_lossy(
    slide: Path,
    out: Path,
    options: LossyOptions | None = None,
    *,
    check: TileCheck = keep_all,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, LossyReport]:
    """Say what :func:`~napari_nic.recompression.lossy.recompress_lossy` would come to.

    Parameters and errors are the same. Tiles that are all glass are known and count exactly.
    """
    options = options or LossyOptions()
    load_container(options.container)
    threads = threads_for(workers)
    with closing(SourcePicture(slide, mpp=options.mpp, tile=options.tile)) as picture:
        run = yield from prepare_run(picture, options, check, threads, token)
        levels, sampled = [], 0
        for number, level in enumerate(picture.levels):
            yield Progress(number, len(picture.levels), "trying a sample of tiles", "levels")
            places = list(_places(run, number, level, token))
            tiles = list(in_order(run.encoder.encode, _sample(places), workers=threads, token=token))
            sampled += len(tiles)
            levels.append(_report(level, len(places), tiles))
        network = run.plan.codec.network
        beside = _BESIDE + (0 if network is None else len(network.to_bytes()))
        size = beside + sum(level.size + 12 * level.tiles for level in levels)
        return replace(run.report(slide, out, size), levels=tuple(levels), sampled=sampled)


def _places(run: LossyRun, number: int, level: Level, token: CancellationToken | None) -> Iterator[Place]:
    """Yield the tiles of a level that are not all glass."""
    rows, cols = level.tile_grid
    for index in checked(range(rows * cols), token):
        place = Place(number, *divmod(index, cols), index)
        if run.glass is None or run.glass.kept.of_tile(run.glass.frames[number], index).any():
            yield place


def _sample(places: list[Place]) -> list[Place]:
    """Return some places, drawn at random but the same ones every time."""
    if len(places) <= SAMPLE:
        return places
    return sorted(random.Random(len(places)).sample(places, SAMPLE))  # noqa: S311 -- no secret


def _report(level: Level, count: int, tiles: list[EncodedTile]) -> LevelReport:
    """Return what a level would come to if all its tiles are like the sample."""
    total = level.tile_grid[0] * level.tile_grid[1]
    stored = [tile for tile in tiles if tile.data]
    share = count / len(tiles) if tiles else 0.0
    better = Counter(tile.why for tile in stored if tile.attempt and tile.passed)
    failed = Counter(tile.why for tile in stored if not tile.passed)
    return LevelReport(
        shape=(level.height, level.width),
        tile=level.tile,
        tiles=total,
        stored=round(len(stored) * share),
        size=round(sum(len(tile.data) for tile in stored) * share),
        painted=round(sum(tile.kind == "painted" for tile in stored) * share),
        glass=total - count,
        missing=round(sum(tile.kind == "missing" for tile in tiles) * share),
        better={why: round(number * share) for why, number in better.items()},
        failed={why: round(number * share) for why, number in failed.items()},
    )
