"""Pages of a TIFF pyramid: which of them make one picture, and how they are cut into segments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.errors import DamagedSlideError, UnreadableSlideError

JPEG_CODES = frozenset({6, 7, 34892, 33007})
"""Old and new JPEG, lossy DNG, and an alternative code."""

LOW_SEGMENT, BLOCK_ROWS = 64, 256
"""Strips, and the 8 px high tiles of an NDPI, are decoded several at once: segments lower than the first
make blocks at least as high as the second."""

MAX_BLOCK_PIXELS = 2**25
"""Pictures that can only be decoded in larger blocks than this (100 MB) are left to the plain reader."""


@dataclass(frozen=True)
class Plane:
    """One page, and where its segments (tiles or strips) lie in the file.

    Attributes
    ----------
    page : tifffile.TiffPage
        Its `decode` is ready, so that threads may use it.
    offsets, sizes : ndarray
        (segments,) int64, bytes. A missing segment has size 0.
    samples : int
        Samples that lie in segments of their own; 1 where a segment holds all of a pixel.
    """

    page: Any
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    samples: int = 1

    @classmethod
    def of(cls, page: Any) -> Plane:
        """Describe a page while its file is open."""
        page = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
        page.decode  # noqa: B018 - built now, since building it reads the first tile
        return cls(
            page,
            np.asarray(page.dataoffsets, np.int64),
            np.asarray(page.databytecounts, np.int64),
            page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1,
        )

    @cached_property
    def segment_shape(self) -> tuple[int, int]:
        """(rows, cols) of a segment."""
        page = self.page
        if page.is_tiled:
            return page.tilelength, page.tilewidth
        return min(page.rowsperstrip, page.imagelength), page.imagewidth

    @cached_property
    def block(self) -> tuple[int, int]:
        """(rows, cols) decoded at once: a segment, or as many low ones as make a sensible height."""
        height, width = self.segment_shape
        return height * self._segments_per_block, width

    @cached_property
    def _segments_per_block(self) -> int:
        height = self.segment_shape[0]
        return -(-BLOCK_ROWS // height) if height < LOW_SEGMENT else 1

    @cached_property
    def _grid(self) -> tuple[int, int]:
        height, width = self.segment_shape
        return -(-self.page.imagelength // height), -(-self.page.imagewidth // width)

    def segments(self, row: int, col: int) -> list[int]:
        """Return the segments of block (row, col), top to bottom."""
        down, across = self._grid
        first = row * self._segments_per_block
        return [r * across + col for r in range(first, min(first + self._segments_per_block, down))]

    def sample_segments(self, index: int) -> list[int]:
        """Return the segments that hold the separate samples of segment `index`."""
        down, across = self._grid
        return [index + sample * down * across for sample in range(self.samples)]


def choose_planes(level: Any) -> list[Plane]:
    """Return the pages that make one RGB picture of a series' level: one, or three of a channel each.

    Raises
    ------
    UnreadableSlideError
        If the axes are not those of a brightfield picture.
    """
    sizes = dict(zip(level.axes, level.shape, strict=True))
    leading = [axis for axis in level.axes if axis not in "YXS"]
    stray = [axis for axis in leading if axis not in "CZT" and sizes[axis] > 1]
    channels = sizes.get("C", 1)
    if "Y" not in sizes or "X" not in sizes or stray or channels not in (1, 3):
        raise UnreadableSlideError(
            f"axes {level.axes} of {level.shape} are not one brightfield picture (rows, cols, RGB)"
        )
    # Of a focus stack the middle plane is shown, of a time series the first.
    fixed = {"Z": sizes.get("Z", 1) // 2}
    shape = [sizes[axis] for axis in leading]
    pages = []
    for channel in range(channels):
        at = [channel if axis == "C" else fixed.get(axis, 0) for axis in leading]
        pages.append(level.pages[int(np.ravel_multi_index(at, shape)) if at else 0])
    return [Plane.of(page) for page in pages]


def check_planes(planes: list[Plane], path: Path) -> None:
    """Refuse what cannot be shown, and what is cut off.

    Raises
    ------
    UnreadableSlideError
        If the pixels are of a kind that is not supported, or must be decoded whole.
    DamagedSlideError
        If the file ends before its last tile.
    """
    for plane in planes:
        _check_kind(plane)
        needed = int((plane.offsets + plane.sizes).max(initial=0))
        if needed > path.stat().st_size:
            raise _cut_off(path, "the file ends before its last tile", needed)


def _check_kind(plane: Plane) -> None:
    page = plane.page
    photometric, compression = page.photometric, page.compression
    is_lossy_ycbcr = photometric == tifffile.PHOTOMETRIC.YCBCR and (
        compression in JPEG_CODES or compression in tifffile.TIFF.IMAGE_COMPRESSIONS
    )
    if photometric not in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK) and not is_lossy_ycbcr:
        raise UnreadableSlideError(f"{photometric.name} pixels with {compression.name} compression")
    if page.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise UnreadableSlideError(f"samples are {page.dtype}, not 8 or 16 bit unsigned")
    rows, cols = plane.block
    if rows * cols > MAX_BLOCK_PIXELS:
        raise UnreadableSlideError(f"not tiled: {rows} x {cols} px would be decoded at once")


def _cut_off(path: Path, problem: str, needed: int) -> DamagedSlideError:
    return DamagedSlideError(
        problem,
        path=path,
        expected=f"more than {needed - 1} bytes",
        found=f"{path.stat().st_size} bytes",
        hint="the file was cut off, for instance in copying: copy it again",
    )


def ycbcr_to_rgb(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert full-range YCbCr (ITU-R BT.601, as JFIF does), which Aperio's code 33003 stands for."""
    y, cb, cr = np.moveaxis(pixels.astype(np.float32) - np.array([0, 128, 128], np.float32), -1, 0)
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
