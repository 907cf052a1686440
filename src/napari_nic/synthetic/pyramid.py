"""Write painted slides as pyramidal TIFF files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np
import tifffile

from napari_nic.disk import replacing
from napari_nic.geometry import RegionPx
from napari_nic.jobs import Progress

TIFF_TILE = 256
JPEG_QUALITY = 85
LEVEL_FACTOR = 4
"""Each level is so many times smaller than the one before, as scanners make them."""

SMALLEST_LEVEL = 512
"""Levels are added until the longer side is at most this."""

PAINTERS = 2
"""Threads that paint; more of them would queue for the interpreter's lock."""

UM_PER_CM = 1e4
BIGTIFF_BYTES = 2**31
"""Slides of more raw bytes are written as BigTIFF, to be safe below the 4 GiB of a plain TIFF."""

PAINTED_TILE = 512
"""Side of the squares that a painter is asked for."""

SOFTWARE = "napari-nic synthetic histology"


Told = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Nobody wants to know."""


class Painting(Protocol):
    """A slide that is painted on demand; safe to use from several threads."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of level 0."""
        ...

    @property
    def mpp(self) -> float:
        """Micrometres per pixel of level 0."""
        ...

    def read(self, region: RegionPx) -> np.ndarray:
        """Paint a rectangle of level-0 pixels within the slide: (height, width, 3) uint8 RGB."""
        ...


def write_pyramid(path: Path | str, painting: Painting, *, told: Told = ignore) -> None:
    """Write a painting as a tiled pyramidal TIFF with JPEG tiles, whole or not at all.

    Parameters
    ----------
    path : Path or str
    painting : Painting
    told : callable
        Is called with the rows that are painted; what it raises ends the writing.

    Notes
    -----
    Levels below the first are kept in memory while level 0 is painted: a sixteenth of its raw size.
    """
    path = Path(path)
    with replacing(path) as temporary:
        _write_levels(temporary, painting, told)


def _write_levels(path: Path, painting: Painting, told: Told) -> None:
    strips = _Strips(painting, told)
    big = painting.shape[0] * painting.shape[1] * 3 > BIGTIFF_BYTES
    with tifffile.TiffWriter(path, bigtiff=big) as tif:
        _write_level(tif, strips.tiles(), painting.shape, painting.mpp, reduced=False)
        level, mpp = strips.smaller, painting.mpp
        while level.shape[0] > 0 and level.shape[1] > 0:
            mpp *= LEVEL_FACTOR
            height, width = level.shape[:2]
            _write_level(tif, _cut(level), (height, width), mpp, reduced=True)
            if max(height, width) <= SMALLEST_LEVEL:
                break
            level = _shrink(level)


def _write_level(
    tif: tifffile.TiffWriter,
    tiles: Iterator[np.ndarray],
    shape: tuple[int, int],
    mpp: float,
    *,
    reduced: bool,
) -> None:
    tif.write(
        tiles,
        shape=(*shape, 3),
        dtype=np.uint8,
        tile=(TIFF_TILE, TIFF_TILE),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": JPEG_QUALITY},
        subfiletype=1 if reduced else 0,
        resolution=(UM_PER_CM / mpp, UM_PER_CM / mpp),
        resolutionunit="CENTIMETER",
        software=SOFTWARE,
        metadata=None,
    )


class _Strips:
    """Level 0 as TIFF tiles, painted strip by strip; the next level is gathered on the way.

    Attributes
    ----------
    smaller : ndarray of uint8, (height // 4, width // 4, 3)
        Complete once all tiles were taken.
    """

    def __init__(self, painting: Painting, told: Told = ignore) -> None:
        self._painting, self._told = painting, told
        height, width = painting.shape
        self.smaller = np.empty((height // LEVEL_FACTOR, width // LEVEL_FACTOR, 3), np.uint8)

    def tiles(self) -> Iterator[np.ndarray]:
        """Tiles of level 0 in the order of the file."""
        rows, cols = self._painting.shape
        with ThreadPoolExecutor(PAINTERS) as pool:
            for top in range(0, rows, PAINTED_TILE):
                height = min(PAINTED_TILE, rows - top)
                regions = [
                    RegionPx(top, left, height, min(PAINTED_TILE, cols - left))
                    for left in range(0, cols, PAINTED_TILE)
                ]
                strip = self._paint(pool, regions)
                small = _shrink(strip)
                first = top // LEVEL_FACTOR
                self.smaller[first : first + len(small)] = small
                yield from _cut(strip)

    def _paint(self, pool: ThreadPoolExecutor, regions: Sequence[RegionPx]) -> np.ndarray:
        """Paint a strip, and tell after each of its tiles; told to end, those that wait are not painted."""
        painted: list[np.ndarray] = []
        with closing(
            cast("Generator[np.ndarray, None, None]", pool.map(self._painting.read, regions))
        ) as tiles:
            for number, (region, tile) in enumerate(zip(regions, tiles, strict=True), start=1):
                painted.append(tile)
                rows = region.y + region.height * number // len(regions)
                self._told(Progress(rows, self._painting.shape[0], "painting", "rows"))
        return np.concatenate(painted, axis=1)


def _cut(image: np.ndarray) -> Iterator[np.ndarray]:
    """Tiles of an image, row by row; those at its edges repeat the last pixels, as scanners do."""
    pad = [(0, -side % TIFF_TILE) for side in image.shape[:2]]
    padded = np.pad(image, (*pad, (0, 0)), mode="edge")
    for top in range(0, padded.shape[0], TIFF_TILE):
        for left in range(0, padded.shape[1], TIFF_TILE):
            yield np.ascontiguousarray(padded[top : top + TIFF_TILE, left : left + TIFF_TILE])


def _shrink(image: np.ndarray) -> np.ndarray:
    """Average blocks of 4 x 4 pixels; what is left over at the edges is dropped."""
    height, width = image.shape[0] // LEVEL_FACTOR, image.shape[1] // LEVEL_FACTOR
    if height == 0 or width == 0:
        return np.empty((height, width, 3), np.uint8)
    whole = np.ascontiguousarray(image[: height * LEVEL_FACTOR, : width * LEVEL_FACTOR])
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
