"""How fast, and how small, are slides written anew without loss, against the bare calls of the libraries?

    python benchmarks/recompression.py SLIDE.svs                # its first level, repeated 6 x 6 times
    python benchmarks/recompression.py SLIDE.svs --repeat 10

The bare calls take the same JPEG tiles from memory, one after the other: for repack ``jpegxl_encode_jpeg``,
``jpegxl_decode_jpeg`` and one comparison; for optimize jpeglib's ``read_dct`` and ``write_dct`` and two
decodings. They read no slide, write none, join no tables and check nothing else. Seconds are of processors,
so that a busy machine counts less; each side is measured three times, in turn, and its best is taken.

What libjxl can do on this processor, packing and restoring, is the best of ten calls for each of 60 tiles,
with the thread that calls alone (``numthreads=1``), and with those that it starts when asked for 0.

On a machine that does other work give the command a core: `nice -n -20` or `chrt -f 50` before it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import jpeglib
import numpy as np

from napari_nic.jobs import result_of
from napari_nic.recompression import recompress, restore
from napari_nic.recompression.codecs import Optimize, _memory_folder
from napari_nic.recompression.directories import with_segments, write_directories
from napari_nic.recompression.layout import LENGTH, LONG, WIDTH, Layout, Segment, Tag
from napari_nic.recompression.source import Page, TiffSource
from napari_nic.recompression.streams import joined, lacks

ROUNDS = 3
LIMIT_ROUNDS, LIMIT_TILES = 10, 60


def write_repeated(source: TiffSource, path: Path, times: int) -> None:
    """Write a slide of the whole tiles of the first level, `times` times in both directions."""
    page = source.pages[0]
    across = -(-page.shape[1] // page.value(322, 1))
    rows, cols = page.shape[0] // page.value(323, 1), page.shape[1] // page.value(322, 1)
    tiles = [[page.segments[row * across + col] for col in range(cols)] for row in range(rows)]
    with path.open("wb+") as stream:
        stream.write(bytes(source.layout.form.header_size))
        places = []
        for row in range(rows * times):
            for col in range(cols * times):
                tile = tiles[row % rows][col % cols]
                places.append(Segment(stream.tell(), tile.length))
                stream.write(source.read(tile.offset, tile.length))
        sides = {LENGTH: rows * times * page.value(323, 1), WIDTH: cols * times * page.value(322, 1)}
        tags = {code: Tag.of(code, LONG, (side,), page.order) for code, side in sides.items()}
        directory = with_segments(page.directory.with_tags(tags), places, source.layout.form)
        write_directories(stream, Layout(source.layout.form, (directory,)), path)


def streams_of(source: TiffSource, page: Page) -> Iterator[tuple[bytes, bytes]]:
    """Yield the tiles of a page, as they are and as streams of their own."""
    for segment in page.segments:
        tile = source.read(segment.offset, segment.length)
        yield tile, joined(tile, lacks(tile, page.tables, page.colors), page.tables)


def bare_repack(tiles: list[tuple[bytes, bytes]], _: Page) -> int:
    """Return the bytes of all tiles as JPEG XL."""
    size = 0
    for _, stream in tiles:
        packed = imagecodecs.jpegxl_encode_jpeg(stream, usecontainer=True, numthreads=1)
        assert imagecodecs.jpegxl_decode_jpeg(packed, numthreads=1) == stream
        size += len(packed)
    return size


def tell_limits(tiles: list[tuple[bytes, bytes]]) -> None:
    """Print what the library can do at best, with a thread and with its own."""
    streams = [stream for _, stream in tiles[:LIMIT_TILES]]
    pixels = sum(np.prod(imagecodecs.jpeg8_decode(stream).shape[:2]) for stream in streams) / 1e6
    for threads in (1, 0):
        seconds = np.full((2, len(streams)), np.inf)
        for _ in range(LIMIT_ROUNDS):
            for number, stream in enumerate(streams):
                begin = time.perf_counter()
                packed = imagecodecs.jpegxl_encode_jpeg(stream, usecontainer=True, numthreads=threads)
                middle = time.perf_counter()
                imagecodecs.jpegxl_decode_jpeg(packed, numthreads=threads)
                took = middle - begin, time.perf_counter() - middle
                seconds[:, number] = np.minimum(seconds[:, number], took)
        into, back = seconds.sum(1)
        print(
            f"  libjxl, {threads} threads: packing {pixels / into:.1f}, restoring {pixels / back:.1f}, "
            f"both {pixels / (into + back):.1f} Mpx/s"
        )


def bare_optimize(tiles: list[tuple[bytes, bytes]], _: Page) -> int:
    """Return the bytes of all tiles with new Huffman tables."""
    Optimize()  # chooses the library's version
    size = 0
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        one, other = Path(folder, "a.jpg"), Path(folder, "b.jpg")
        for _, stream in tiles:
            one.write_bytes(stream)
            jpeglib.read_dct(str(one)).write_dct(str(other), flags=["+OPTIMIZE_CODING"])
            new = other.read_bytes()
            assert np.array_equal(imagecodecs.jpeg8_decode(stream), imagecodecs.jpeg8_decode(new))
            size += len(new)
    return size


def seconds_of(work: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds of processors that a call takes, and its result."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def measure(mode: str, bare: Callable[[list[tuple[bytes, bytes]], Page], int], slide: Path) -> None:
    """Print size and speed of one mode."""
    out = slide.with_name(f"{mode}.svs")
    with TiffSource(slide) as source:
        page = source.pages[0]
        tiles = list(streams_of(source, page))
        pixels = page.shape[0] * page.shape[1] / 1e6
        ours, theirs = [], []
        for _ in range(ROUNDS):
            seconds, report = seconds_of(lambda: result_of(recompress(slide, out, mode, workers=1)))
            ours.append(seconds)
            theirs.append(seconds_of(lambda: bare(tiles, page))[0])
    level = report.pages[0]  # type: ignore[attr-defined]
    print(f"{mode}: {pixels:.0f} Mpx, {len(tiles):,} tiles")
    print(
        f"  tiles {level.before:,} bytes, then {level.after:,} ({1 - level.after / level.before:.1%} saved)"
    )
    print(f"  file {slide.stat().st_size:,} bytes, then {out.stat().st_size:,}")
    print(f"  recompress  {pixels / min(ours):6.1f} Mpx/s a core, all included")
    print(f"  bare calls  {pixels / min(theirs):6.1f} Mpx/s a core")
    print(f"  speed of the bare calls kept: {min(theirs) / min(ours):.0%}")
    if mode == "repack":
        back = slide.with_name("back.svs")
        seconds, _ = seconds_of(lambda: result_of(restore(out, back, workers=1)))
        same = back.read_bytes() == slide.read_bytes()
        print(f"  restore     {pixels / seconds:6.1f} Mpx/s a core; same bytes: {same}")
        tell_limits(tiles)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("--repeat", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        large = Path(work, "large.svs")
        with TiffSource(options.slide) as given:
            write_repeated(given, large, options.repeat)
        measure("repack", bare_repack, large)
        measure("optimize", bare_optimize, large)
