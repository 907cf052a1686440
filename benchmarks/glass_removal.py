"""How much smaller a slide becomes without its glass, and where the rest of its bytes lie.

    python benchmarks/glass_removal.py SLIDE [--margins 100 25 0] [--modes optimize progressive]
    python benchmarks/glass_removal.py SLIDE --measures            # from a sample of tiles: quick

Each line is a whole file that is written, read again and thrown away; tiles of glass are left empty.
OpenSlide opens it meanwhile: are its properties but for the checksum the same, and tiles of tissue? Above
them stands what there is to be had: the bytes of tiles that hold no tissue at all at the least margin, and
what new Huffman tables, progressive scans and JPEG XL save on a sample of the tiles that hold some. The sum
of both is the most that can be saved with no other loss than that of glass; what is painted comes on top.

With --measures it says for each margin what each step brings, one upon the other: new Huffman tables with all
glass kept, tiles of glass left out, glass painted in mixed tiles, progressive scans.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openslide

from napari_nic.jobs import result_of
from napari_nic.recompression import GlassOptions, recompress
from napari_nic.recompression.codecs import Optimize, Progressive, Repack, TileCodec
from napari_nic.recompression.glass import GlassPlan, Verdict, plan_glass
from napari_nic.recompression.layout import Segment
from napari_nic.recompression.source import Page, TiffSource

SAMPLE = 60
"""Tiles with tissue of each level that are coded in every way."""

SEEN = 20
"""Tiles of each level that OpenSlide reads of both files."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--margins", type=float, nargs="+", default=[100.0, 25.0, 0.0], metavar="UM")
    parser.add_argument("--modes", nargs="+", default=["optimize", "progressive"])
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--measures", action="store_true")
    args = parser.parse_args()
    if args.measures:
        tell_measures(args.slide, args.margins, args.mpp)
        return
    with TiffSource(args.slide) as source:
        glass = GlassOptions(min(args.margins), fill="empty", mpp=args.mpp)
        plan = result_of(plan_glass(args.slide, source.pages, glass))
        tell_most(source, plan)
    print(
        "| mode | glass kept around tissue | bytes | saved | tiles left out | painted | seconds | OpenSlide |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for mode in args.modes:
        tell(args.slide, mode, None)
        for margin in args.margins:
            tell(args.slide, mode, GlassOptions(margin, fill="empty", mpp=args.mpp))


def tell_measures(slide: Path, margins: Sequence[float], mpp: float | None) -> None:
    """Print what each step saves, one upon the other, from a sample of tiles."""
    print("| glass kept around tissue | Huffman tables | tiles left out | painted | progressive scans |")
    print("|---|---|---|---|---|")
    with TiffSource(slide) as source:
        codecs = Optimize(), Progressive()
        for margin in margins:
            glass = GlassOptions(margin, fill="empty", mpp=mpp)
            plan = result_of(plan_glass(slide, source.pages, glass))
            saved = [0.0] * 4
            for page in (page for page in source.pages if page.number in plan.frames):
                saved = [sum(pair) for pair in zip(saved, steps_of(source, page, plan, codecs), strict=True)]
            cells = [f"{100 * bytes_ / source.size:.1f} %" for bytes_ in saved]
            print(f"| {margin:g} um | " + " | ".join(cells) + " |", flush=True)


def steps_of(
    source: TiffSource, page: Page, plan: GlassPlan, codecs: tuple[Optimize, Progressive]
) -> list[float]:
    """Return bytes that a page becomes smaller by with each step and those before it."""
    optimize, progressive = codecs
    saved = [0.0] * 4
    for verdict in Verdict:
        tiles = sorted(
            {s for s in page.segments if s.length and plan.verdict(page, s) is verdict},
            key=lambda segment: segment.offset,
        )
        chosen = tiles[:: max(1, len(tiles) // SAMPLE)]
        before = sum(segment.length for segment in chosen)
        sizes = [0] * 4
        for segment in chosen:
            tile = source.read(segment.offset, segment.length)
            plain = len(optimize.encode(page, tile).data)
            made = [plain, plain, plain, len(progressive.encode(page, tile).data)]
            if verdict is Verdict.EMPTY:
                made = [plain, 0, 0, 0]
            elif verdict is Verdict.PAINT:
                kept = plan.kept_of(page, segment)
                made[2:] = [len(codec.paint(page, tile, kept).data) for codec in codecs]
            sizes = [sum(pair) for pair in zip(sizes, made, strict=True)]
        if before:
            every = sum(segment.length for segment in tiles)
            saved = [sum_ + every * (1 - size / before) for sum_, size in zip(saved, sizes, strict=True)]
    return saved


def tell_most(source: TiffSource, plan: GlassPlan) -> None:
    """Print what there is to be had."""
    print(f"{source.path.name}: {source.size:,} bytes\n")
    print("| level | bytes | in tiles of glass | in others | optimize | progressive | JPEG XL |")
    print("|---|---|---|---|---|---|---|")
    codecs: Sequence[TileCodec] = (Optimize(), Progressive(), Repack())
    most = [0.0] * len(codecs)
    for page in (page for page in source.pages if page.number in plan.frames):
        tiles = sorted({s for s in page.segments if s.length}, key=lambda segment: segment.offset)
        rest = [segment for segment in tiles if plan.verdict(page, segment) is not Verdict.EMPTY]
        glass = page.stored_bytes() - sum(segment.length for segment in rest)
        saved = [gain(source, page, rest, codec) for codec in codecs]
        cells = [f"{100 * share:.1f} %" for share in saved]
        other = page.stored_bytes() - glass
        print(
            f"| {page.shape[0]} x {page.shape[1]} | {page.stored_bytes():,} | {glass:,} | {other:,} | "
            + " | ".join(cells)
            + " |"
        )
        most = [sum_ + glass + share * other for sum_, share in zip(most, saved, strict=True)]
    shares = ", ".join(
        f"{codec.mode} {100 * bytes_ / source.size:.1f} %" for codec, bytes_ in zip(codecs, most, strict=True)
    )
    print(f"\nat most, with no tile of glass and before glass is painted: {shares}\n")


def gain(source: TiffSource, page: Page, tiles: Sequence[Segment], codec: TileCodec) -> float:
    """Return the share that a codec saves on a sample of tiles."""
    chosen = tiles[:: max(1, len(tiles) // SAMPLE)]
    data = [source.read(segment.offset, segment.length) for segment in chosen]
    before = sum(map(len, data))
    return 1 - sum(len(codec.encode(page, tile).data) for tile in data) / before if before else 0.0


def tell(slide: Path, mode: str, glass: GlassOptions | None) -> None:
    """Write a file and print what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        report = result_of(recompress(slide, Path(folder, slide.name), mode, glass=glass))
        seconds = time.perf_counter() - started
        seen = seen_by_openslide(slide, report.out, glass)
    margin = "all" if glass is None else f"{glass.margin_um:g} um"
    print(
        f"| {mode} | {margin} | {report.after:,} | {100 * report.saved:.1f} % | {report.emptied:,} | "
        f"{report.painted:,} | {seconds:.0f} | {seen} |",
        flush=True,
    )


def seen_by_openslide(slide: Path, out: Path, glass: GlassOptions | None) -> str:
    """Say whether OpenSlide shows the same slide, by its properties and tiles of tissue of all levels."""
    with openslide.OpenSlide(slide) as old, openslide.OpenSlide(out) as new:
        named = [
            {
                name: value
                for name, value in one.properties.items()
                if name != openslide.PROPERTY_NAME_QUICKHASH1
            }
            for one in (old, new)
        ]
        said = {name for name in set(named[0]) | set(named[1]) if named[0].get(name) != named[1].get(name)}
        compared = different = 0
        for level, (x, y, side) in places_of_tissue(slide, glass):
            factor = old.level_downsamples[level]
            where = (round(x * factor), round(y * factor)), level, (side, side)
            pair = [np.asarray(one.read_region(*where)) for one in (old, new)]
            compared, different = compared + 1, different + (not np.array_equal(*pair))
    other = f"other {', '.join(sorted(said))}" if said else "same properties"
    return f"{other}, {compared - different} of {compared} tiles the same"


def places_of_tissue(slide: Path, glass: GlassOptions | None) -> list[tuple[int, tuple[int, int, int]]]:
    """Return (level, (x, y, side)) of some tiles that are kept as they are, in pixels of their level."""
    found = []
    with TiffSource(slide) as source:
        plan = result_of(plan_glass(slide, source.pages, glass or GlassOptions()))
        for level, (number, frame) in enumerate(sorted(plan.frames.items())):
            page = source.pages[number]
            kept = [i for i, s in enumerate(page.segments) if plan.verdict(page, s) is Verdict.KEEP]
            for index in kept[:: max(1, len(kept) // SEEN)]:
                row, col = frame.corner(index)
                found.append((level, (col, row, min(frame.tile))))
    return found


if __name__ == "__main__":
    main()
