"""How much smaller a slide becomes without its glass, and where the rest of its bytes lie.

    python benchmarks/glass_removal.py SLIDE [--margins 100 25 0] [--modes optimize progressive]

Each line is a whole file that is written, read again and thrown away; tiles of glass are left empty. Above
them stands what there is to be had: the bytes of tiles that hold no tissue at all at the least margin, and
what new Huffman tables, progressive scans and JPEG XL save on a sample of the tiles that hold some. The sum
of both is the most that can be saved with no other loss than that of glass; what is painted comes on top.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from napari_nic.jobs import result_of
from napari_nic.recompression import GlassOptions, recompress
from napari_nic.recompression.codecs import Optimize, Progressive, Repack, TileCodec
from napari_nic.recompression.glass import GlassPlan, Verdict, plan_glass
from napari_nic.recompression.layout import Segment
from napari_nic.recompression.source import Page, TiffSource

SAMPLE = 60
"""Tiles with tissue of each level that are coded in every way."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--margins", type=float, nargs="+", default=[100.0, 25.0, 0.0], metavar="UM")
    parser.add_argument("--modes", nargs="+", default=["optimize", "progressive"])
    parser.add_argument("--mpp", type=float)
    args = parser.parse_args()
    with TiffSource(args.slide) as source:
        glass = GlassOptions(min(args.margins), fill="empty", mpp=args.mpp)
        plan = result_of(plan_glass(args.slide, source.pages, glass))
        tell_most(source, plan)
    print("| mode | glass kept around tissue | bytes | saved | tiles left out | painted | seconds |")
    print("|---|---|---|---|---|---|---|")
    for mode in args.modes:
        tell(args.slide, mode, None)
        for margin in args.margins:
            tell(args.slide, mode, GlassOptions(margin, fill="empty", mpp=args.mpp))


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
    margin = "all" if glass is None else f"{glass.margin_um:g} um"
    print(
        f"| {mode} | {margin} | {report.after:,} | {100 * report.saved:.1f} % | {report.emptied:,} | "
        f"{report.painted:,} | {seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
