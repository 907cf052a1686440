"""Make a slide of any size with real tissue, in seconds, by copying the JPEG tiles of a small one.

    python benchmarks/gigapixel.py SOURCE.svs OUT.tif --side 60000

The tiles of SOURCE (a tiled JPEG TIFF such as CMU-1-Small-Region.svs) are copied undecoded into a grid;
coarser levels are averaged from the decoded source. The result is a generic tiled BigTIFF pyramid.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import downscale_local_mean

FACTORS = (4, 16, 64)


@dataclass(frozen=True)
class Source:
    """The undecoded tiles of a small slide and its decoded pixels, whole tiles only."""

    tiles: dict[tuple[int, int], bytes]
    shape: tuple[int, int]
    page: tifffile.TiffPage
    pixels: np.ndarray


def read_source(path: Path) -> Source:
    """Read the JPEG tiles of a slide's level 0 as they are stored."""
    with tifffile.TiffFile(path) as tif:
        page = tif.series[0].levels[0].pages[0].aspage()
        across = -(-page.imagewidth // page.tilewidth)
        rows, cols = page.imagelength // page.tilelength, page.imagewidth // page.tilewidth
        tiles = {}
        for row in range(rows):
            for col in range(cols):
                index = row * across + col
                tif.filehandle.seek(page.dataoffsets[index])
                tiles[row, col] = tif.filehandle.read(page.databytecounts[index])
        pixels = page.asarray()[: rows * page.tilelength, : cols * page.tilewidth]
        return Source(tiles, (rows, cols), page, pixels)


def make_gigapixel(source_path: Path, out: Path, side: int, *, mpp: float = 0.499) -> tuple[int, int]:
    """Write a slide of at least `side` x `side` pixels; return its (height, width)."""
    source = read_source(source_path)
    page, (rows, cols) = source.page, source.shape
    down = -(-side // (rows * page.tilelength))
    across = -(-side // (cols * page.tilewidth))
    height, width = down * rows * page.tilelength, across * cols * page.tilewidth
    tiles = (source.tiles[r % rows, c % cols] for r in range(down * rows) for c in range(across * cols))
    tables = [(347, 7, len(page.jpegtables), page.jpegtables, False)] if page.jpegtables else []
    with tifffile.TiffWriter(out, bigtiff=True) as tif:
        tif.write(
            tiles,
            shape=(height, width, 3),
            dtype="uint8",
            tile=(page.tilelength, page.tilewidth),
            photometric=page.photometric.name.lower(),
            compression="jpeg",
            # Without it tifffile tags tiles that hold RGB as YCbCr, and every reader shows false colours.
            compressionargs={"outcolorspace": "rgb"} if page.photometric.name == "RGB" else None,
            subsampling=page.subsampling,
            extratags=tables,
            subfiletype=0,
            resolution=(1e4 / mpp, 1e4 / mpp),
            resolutionunit="CENTIMETER",
            metadata=None,
        )
        for factor in FACTORS:
            tif.write(_level(source.pixels, factor, (down, across), (height, width)), **_LEVEL_OPTIONS)
    return height, width


_LEVEL_OPTIONS = {
    "tile": (256, 256),
    "photometric": "rgb",
    "compression": "jpeg",
    "compressionargs": {"level": 85},
    "subfiletype": 1,
    "metadata": None,
}


def _level(pixels: np.ndarray, factor: int, copies: tuple[int, int], full: tuple[int, int]) -> np.ndarray:
    """Average the source once and repeat it."""
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    cut = pixels[: height * factor, : width * factor]
    small = np.round(downscale_local_mean(cut, (factor, factor, 1))).astype(np.uint8)
    level = np.tile(small, (*copies, 1))
    missing = [(0, full[axis] // factor - level.shape[axis]) for axis in (0, 1)]
    return np.pad(level, [*missing, (0, 0)], mode="edge")


def main() -> None:
    """Parse the command line and write the slide."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=60000, help="least height and width in pixels")
    args = parser.parse_args()
    height, width = make_gigapixel(args.source, args.out, args.side)
    print(f"{args.out}: {width} x {height} px, {args.out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
