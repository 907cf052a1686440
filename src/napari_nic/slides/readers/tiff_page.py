"""Pages of a TIFF pyramid: how they are cut into segments, and where these lie in the file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.errors import DamagedSlideError, UnsupportedPixelsError
from napari_nic.slides.readers.tiff_codecs import NUMBER_CODES, is_subsampled
from napari_nic.slides.readers.tiff_structure import MAX_BLOCK_PIXELS
from napari_nic.slides.remote import size_of

LOW_SEGMENT, BLOCK_ROWS = 64, 256
"""Strips, and the 8 px high tiles of an NDPI, are decoded several at once: segments lower than the first
make blocks at least as high as the second."""

MAX_WHOLE_PIXELS = 2**30
"""Pictures that can only be decoded in larger blocks than this (3.2 GB) are refused."""

_PADDING = 64  # bytes that a last tile may be stated longer than the file is
_DENSEST = 2**15  # no compression of numbers packs more bytes into one


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
    raw_rows : int or None
        Rows of a segment where plain numbers are cut finer than the file cuts them.
    """

    page: Any
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    samples: int = 1
    raw_rows: int | None = None

    @classmethod
    def of(cls, page: Any) -> Plane:
        """Describe a page while its file is open."""
        page = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
        page.decode  # noqa: B018 - built now, since building it reads the first tile
        samples = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1
        offsets, sizes = (np.asarray(v, np.int64) for v in (page.dataoffsets, page.databytecounts))
        plane = cls(page, offsets, sizes, samples)
        return plane._cut_finer() if plane._is_one_long_strip() else plane

    def _is_one_long_strip(self) -> bool:
        page, (rows, cols) = self.page, self.segment_shape
        is_plain = page.compression == page.predictor == page.fillorder == 1 and page.bitspersample in (8, 16)
        return (
            is_plain
            and not page.is_tiled
            and not is_subsampled(page)
            and len(self.offsets) == self.samples
            and rows * cols > BLOCK_ROWS * cols
            and page.dtype is not None
        )

    def _cut_finer(self) -> Plane:
        """Cut a page that is one strip of plain numbers into several: they can be read anywhere."""
        page = self.page
        row = page.imagewidth * page.dtype.itemsize * (page.samplesperpixel if self.samples == 1 else 1)
        starts = np.arange(0, page.imagelength, BLOCK_ROWS, dtype=np.int64)
        lengths = np.minimum(page.imagelength - starts, BLOCK_ROWS) * row
        offsets = (self.offsets[:, None] + starts * row).ravel()
        # What the strip lacks at its end is missing at the end of the last of its parts.
        left = np.clip(self.sizes[:, None] - starts * row, 0, None)
        sizes = np.where(self.offsets[:, None] > 0, np.minimum(lengths, left), 0).ravel()
        return Plane(page, offsets, sizes, self.samples, BLOCK_ROWS)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) as the page's own tags state them: tifffile crops what Philips pads."""
        tags = self.page.tags
        return int(tags.valueof(257)), int(tags.valueof(256))

    @cached_property
    def segment_shape(self) -> tuple[int, int]:
        """(rows, cols) of a segment."""
        page = self.page
        if page.is_tiled:
            return int(page.tilelength), int(page.tilewidth)
        return min(self.raw_rows or page.rowsperstrip, self.shape[0]), self.shape[1]

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
    def grid(self) -> tuple[int, int]:
        """(rows, cols) of segments that cover the page."""
        height, width = self.segment_shape
        return -(-self.shape[0] // height), -(-self.shape[1] // width)

    def segments(self, row: int, col: int) -> list[int]:
        """Return the segments of block (row, col), top to bottom."""
        down, across = self.grid
        first = row * self._segments_per_block
        return [r * across + col for r in range(first, min(first + self._segments_per_block, down))]

    def sample_segments(self, index: int) -> list[int]:
        """Return the segments that hold the separate samples of segment `index`."""
        down, across = self.grid
        return [index + sample * down * across for sample in range(self.samples)]

    def visible_shape(self, index: int) -> tuple[int, int]:
        """(rows, cols) of a segment that lie on the page; its decoded pixels must cover them."""
        down, across = self.grid
        row, col = divmod(index % (down * across), across)
        height, width = self.segment_shape
        return min(height, self.shape[0] - row * height), min(width, self.shape[1] - col * width)


def check_plane(plane: Plane, path: Path) -> list[int]:
    """Refuse what is cut off, and what cannot be decoded in bounded memory.

    Returns
    -------
    list of int
        Segments that are stated a little longer than the file is: whole or not, their pixels will say.

    Raises
    ------
    UnsupportedPixelsError
        If the page must be decoded whole and is too large for that.
    DamagedSlideError
        If the file ends before its last tile, or a page lists other segments than its size needs.
    """
    down, across = plane.grid
    needed = down * across * plane.samples
    if min(len(plane.offsets), len(plane.sizes)) < needed or len(plane.offsets) != len(plane.sizes):
        found = f"{len(plane.offsets)} offsets and {len(plane.sizes)} sizes"
        raise _damaged(path, f"page {plane.page.index} lists too few tiles", f"{needed}", found)
    if min(plane.offsets.min(initial=0), plane.sizes.min(initial=0)) < 0:
        raise _damaged(path, f"page {plane.page.index} lists impossible tiles", "sizes of 0 and more", "less")
    _check_block(plane, path)
    size = size_of(path)
    past = (plane.offsets + plane.sizes)[:needed] - size
    past[(plane.sizes[:needed] == 0) | (plane.offsets[:needed] == 0)] = 0  # missing ones lie nowhere
    if (past > _PADDING).any() or (plane.raw_rows and (past > 0).any()):
        end = int(past.max()) + size
        raise _damaged(
            path, "the file ends before its last tile", f"more than {end - 1} bytes", f"{size} bytes"
        )
    return [int(index) for index in np.flatnonzero(past > 0)]


def _check_block(plane: Plane, path: Path) -> None:
    rows, cols = plane.block
    if rows * cols <= MAX_BLOCK_PIXELS:
        return
    if rows * cols > MAX_WHOLE_PIXELS:
        raise UnsupportedPixelsError(
            f"not tiled: {rows} x {cols} px would be decoded at once",
            path=path,
            expected=f"tiles, or at most {MAX_WHOLE_PIXELS} px",
            hint="write the picture anew with tiles, as 'vips tiffsave IN OUT --tile --pyramid' does",
        )
    page = plane.page
    claimed = rows * cols * (page.samplesperpixel if plane.samples == 1 else 1)
    if page.compression in NUMBER_CODES and claimed > _DENSEST * max(1, int(plane.sizes.max(initial=0))):
        found = f"{int(plane.sizes.max(initial=0))} bytes"
        raise _damaged(path, f"page {page.index} holds less than its size", f"{claimed} bytes", found)


def _damaged(path: Path, problem: str, expected: str, found: str) -> DamagedSlideError:
    return DamagedSlideError(
        problem,
        path=path,
        expected=expected,
        found=found,
        hint="the file was cut off, for instance in copying: copy it again",
    )
