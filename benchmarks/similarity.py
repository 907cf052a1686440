"""How long a question to the codes takes: one slide that is at hand, and a folder of compressed slides.

    python benchmarks/similarity.py                       # 200,000 and 1,000,000 cells, C = 128
    python benchmarks/similarity.py --cells 50000 --stores 0

Codes are made; but for the index, time depends on their number and length alone. Of a slide whose codes are
in memory: cosine similarity with a query, the same laid out as a map with its limits (what comes before the
window paints it), and the best matches apart from each other. Of a folder: exact search over stores in a
temporary folder, read from disk, for each million cells; with faiss installed the index too. Medians of
several runs: on the clock, and of the processors together, which tells more on a machine that does other
work.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from napari_nic.embeddings import BLOCK, CompressedSlide, ResidentCodes, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.jobs import result_of
from napari_nic.similarity import (
    SearchOptions,
    SearchResult,
    code_lengths,
    cosine,
    open_searched,
    pick_apart,
    query_of_cell,
    search_cells,
    similarity_overlay,
)

T = TypeVar("T")

CODE_SIZE, PATCH = 128, 128
TISSUES, PARTS, SPREAD = 200, 3, 0.5
"""Kinds of codes, how many of them there are in a block of cells, and how far codes lie around their kind."""

AIM_MS = 20.0
"""For 200,000 cells, before the window paints."""


def header_of(side: int, name: str) -> StoreHeader:
    """Header of a slide of side x side cells."""
    shape = (side * PATCH, side * PATCH)
    encoder = {
        "name": "random",
        "architecture": "random",
        "code_size": CODE_SIZE,
        "patch_size": PATCH,
        "mpp": 0.5,
        "input_size": 64,
        "weights_sha256": "0" * 64,
    }
    return StoreHeader(
        slide_name=name,
        slide_fingerprint=f"sha256:{name}",
        slide_shape=shape,
        reader="made",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "made"), patch_size=PATCH),
        encoder=encoder,
        precision="float32",
        batch_size=1,
        tissue={"method": "made"},
        software="benchmark",
        created="2026-01-01T00:00:00+00:00",
    )


def once(work: Callable[[], T]) -> tuple[T, float, float]:
    """Return what some work gives, and its seconds on the clock and of processors."""
    clock, worked = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - clock, time.process_time() - worked


def tell(what: str, work: Callable[[], object], times: int, aim: str = "") -> None:
    """Print the medians of some runs in milliseconds, after one that does not count."""
    work()
    runs = [once(work)[1:] for _ in range(times)]
    clock, worked = (1000 * median(values) for values in zip(*runs, strict=True))
    print(f"  {what:31}{clock:9.1f} ms, of processors {worked:8.1f} ms{aim}", flush=True)


def measure_slide(cells: int, times: int) -> None:
    """Print the times of one slide in memory."""
    side = int(np.ceil(np.sqrt(cells)))
    mask = np.zeros(side * side, bool)
    mask[:cells] = True
    mask = mask.reshape(side, side)
    codes = np.random.default_rng(0).normal(0, 1, (cells, CODE_SIZE)).astype(np.float32)
    held = ResidentCodes.of_array(header_of(side, "one"), codes, mask)
    lengths, placement = code_lengths(codes), held.grid.placement
    vector = codes[0] / np.linalg.norm(codes[0])

    def draw() -> np.ndarray:
        values = held.raster(cosine(codes, vector, lengths))
        similarity_overlay(values, mask, placement)
        return values

    values = np.where(mask, draw(), -np.inf)
    aim = f" (aim: {AIM_MS:g} ms)" if cells == 200_000 else ""
    print(f"{cells:,} cells x {CODE_SIZE}, in memory")
    tell("cosine similarity", lambda: cosine(codes, vector, lengths), times, aim)
    tell("the same as a map with limits", draw, times)
    tell("20 best, 250 um apart", lambda: pick_apart(values, 20, 250, placement.step_um), times)


def write_store(folder: Path, number: int, side: int) -> Path:
    """Write a store whose codes lie around some centres, the same in all stores, as those of tissues do."""
    path = folder / f"s{number}.nic.zarr"
    rng = np.random.default_rng(number)
    centers = np.random.default_rng(0).normal(0, 1, (TISSUES, CODE_SIZE))
    with CompressedSlide.create(path, header_of(side, f"s{number}"), np.ones((side, side), bool)) as store:
        for row, col in np.argwhere(store.pending()).tolist():
            size = min(BLOCK, side - row * BLOCK), min(BLOCK, side - col * BLOCK)
            center = centers[rng.integers(0, TISSUES, PARTS)[rng.integers(0, PARTS, size)]]
            codes = center + rng.normal(0, SPREAD, (*size, CODE_SIZE))
            store.write_block(row, col, codes.astype(np.float32))
    return path


def measure_folder(stores: int, side: int) -> None:
    """Print the times of a search over stores on disk."""
    with tempfile.TemporaryDirectory(prefix="nic-similarity-") as name:
        os.environ["NAPARI_NIC_HOME"] = name
        paths = [write_store(Path(name), number, side) for number in range(stores)]
        query = query_of_cell(CompressedSlide.open(paths[0]), side // 2, side // 2)
        searched = open_searched(query, paths)
        options = SearchOptions(20, 5)
        millions = searched.n_cells / 1e6
        print(f"folder of {stores} stores, {searched.n_cells:,} cells, read from disk")

        def search(what: str, limit: int) -> SearchResult:
            """Search, and print seconds for each million cells."""
            job = search_cells(query, searched, options, exact_cells=limit)
            result, clock, worked = once(lambda: result_of(job))
            clock, worked = clock / millions, worked / millions
            print(f"  {what:31}{clock:9.2f} s a million cells, of processors {worked:8.2f} s", flush=True)
            return result

        exact = search("exact search", searched.n_cells)
        if importlib.util.find_spec("faiss") is None:
            print("  index: faiss is not installed")
            return
        search("index, built and asked once", 0)
        found = search("index, opened and asked again", 0)
        same = len(set(found.matches) & set(exact.matches)) / max(1, len(exact.matches))
        print(f"  share of the exact matches     {100 * same:9.0f} %")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--times", type=int, default=9, help="runs of each")
    parser.add_argument("--stores", type=int, default=4, help="stores of the folder; 0 for no search")
    parser.add_argument("--side", type=int, default=256, help="cells of a store along each side")
    args = parser.parse_args()
    for cells in args.cells:
        measure_slide(cells, args.times)
    if args.stores:
        measure_folder(args.stores, args.side)


if __name__ == "__main__":
    main()
