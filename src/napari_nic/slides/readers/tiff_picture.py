"""One picture of a TIFF file, such as a pyramid level or a label: its pages, and how they become RGB."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides.model import Rgb, RgbArray
from napari_nic.slides.readers.bytesource import ByteSource
from napari_nic.slides.readers.tiff_codecs import Decoded, SegmentError, decode_segment
from napari_nic.slides.readers.tiff_page import Plane, check_plane
from napari_nic.slides.readers.tiff_pixels import PixelKind, pixel_kind, refusal
from napari_nic.slides.readers.tiff_structure import MAX_BLOCK_PIXELS

WHOLE_TILE = 512
"""Tiles that a picture is offered in which can only be decoded whole."""


class TiffPicture:
    """Pages of one size that make one RGB picture: one page, or one for each colour.

    Parameters
    ----------
    planes : list of Plane
        One, or those of red, green and blue.
    source : ByteSource
        The open file.
    background : (int, int, int)
        Colour of what the file leaves out.
    kind : PixelKind, optional
        What the samples mean; read from the pages by default.

    Raises
    ------
    UnsupportedPixelsError
        If the pixels cannot be shown rightly.
    DamagedSlideError
        If the file ends before the last tile.
    """

    def __init__(
        self, planes: list[Plane], source: ByteSource, background: Rgb, kind: PixelKind | None = None
    ) -> None:
        self._planes, self._bytes, self._background = planes, source, background
        self.path: Path = source.path
        self.shape = planes[0].shape
        self.kind: PixelKind = kind or _kind_of(planes)
        rows, cols = planes[0].block
        self._is_whole = rows * cols > MAX_BLOCK_PIXELS
        self.block = (WHOLE_TILE, WHOLE_TILE) if self._is_whole else (rows, cols)
        self._whole: RgbArray | None = None
        self._lock = threading.Lock()
        for plane in planes:
            for index in check_plane(plane, self.path):
                self._check_last(plane, index)

    @property
    def is_whole(self) -> bool:
        """Whether it can only be decoded as a whole."""
        return self._is_whole

    @property
    def page(self) -> Any:
        """tifffile's first page."""
        return self._planes[0].page

    @property
    def segment_count(self) -> int:
        """Number of segments of a plane."""
        down, across = self._planes[0].grid
        return down * across

    def first_bytes(self) -> bytes:
        """The first segment that the file holds, undecoded; nothing if it holds none."""
        plane = self._planes[0]
        there = np.flatnonzero((plane.sizes > 0) & (plane.offsets > 0))
        if not there.size:
            return b""
        index = int(there[0])
        offset = int(plane.offsets[index])
        return self._bytes.read(offset, min(int(plane.sizes[index]), max(0, self._bytes.size - offset)))

    def use_bits(self, bits: int) -> None:
        """Say how many bits of a 16-bit sample count."""
        self.kind = self.kind.with_bits(bits)

    def read(self, frame: RegionPx, row: int, col: int) -> RgbArray | None:
        """Decode block (row, col), which shows `frame`; None where the file holds no bytes for it."""
        if self._is_whole:
            whole = self._decode_whole()
            return None if whole is None else whole[frame.slices].copy()
        return self._read_block(frame, row, col)

    def read_all(self) -> RgbArray:
        """Decode the whole picture; meant for labels and other small ones."""
        down, across = (-(-side // block) for side, block in zip(self.shape, self.block, strict=True))
        pixels = np.empty((*self.shape, 3), np.uint8)
        pixels[:] = self._background
        for row in range(down):
            for col in range(across):
                whole = RegionPx(row * self.block[0], col * self.block[1], *self.block)
                frame = whole.intersect(RegionPx(0, 0, *self.shape))
                tile = self.read(frame, row, col)
                if tile is not None:
                    pixels[frame.slices] = tile
        return pixels

    def _decode_whole(self) -> RgbArray | None:
        with self._lock:
            if self._whole is None:
                self._whole = self._read_block(RegionPx(0, 0, *self.shape), 0, 0)
            return self._whole

    def _read_block(self, frame: RegionPx, row: int, col: int) -> RgbArray | None:
        places = self._planes[0].segments(row, col)
        segments = [self._read_segment(index) for index in places]
        if all(segment is None for segment in segments):
            return None
        size = frame.height, frame.width
        if len(segments) == 1 and segments[0] is not None and segments[0].shape[:2] == size:
            return segments[0]
        pixels = np.empty((*size, 3), np.uint8)
        pixels[:] = self._background
        height = self._planes[0].segment_shape[0]
        for place, (index, segment) in enumerate(zip(places, segments, strict=True)):
            if segment is not None:
                part = pixels[place * height : (place + 1) * height]
                shown = segment[: part.shape[0], : part.shape[1]]
                if shown.shape != part.shape:
                    raise self._damaged(index, f"{segment.shape[0]} x {segment.shape[1]} px, too few")
                part[:] = shown
        return pixels

    def _read_segment(self, index: int) -> RgbArray | None:
        """Return one segment of the picture as RGB; None if it is missing."""
        decoded = self.decode(index)
        if decoded is None:
            return None
        try:
            rgb = self.kind.to_rgb(decoded, self._background)
        except ValueError as error:
            raise self._damaged(index, str(error)) from error
        return rgb if rgb.flags.writeable else rgb.copy()

    def decode(self, index: int) -> Decoded | None:
        """Return the samples of a segment as the file holds them, (rows, cols, samples); None if missing.

        Raises
        ------
        DamagedSlideError
            If they cannot be decoded; the text says which tile of which page.
        """
        parts = [
            self._decode_part(plane, number)
            for plane in self._planes
            for number in plane.sample_segments(index)
        ]
        there = [part for part in parts if part is not None]
        if not there:
            return None
        if len(there) < len(parts):
            raise self._damaged(index, "some of its colours are missing")
        if len(there) == 1:
            return there[0]
        if len({part.samples.shape[:2] for part in there}) > 1:
            raise self._damaged(index, "its colours are of different sizes")
        return Decoded(np.concatenate([part.samples for part in there], axis=2))

    def _decode_part(self, plane: Plane, index: int) -> Decoded | None:
        size, offset = int(plane.sizes[index]), int(plane.offsets[index])
        if size == 0 or offset == 0:
            return None
        size = min(size, max(1, self._bytes.size - offset))  # the last one may be stated too long
        data = self._bytes.read(offset, size)
        try:
            if plane.raw_rows:
                return Decoded(_raw(plane, index, data))
            decoded = decode_segment(plane.page, index, data, plane.segment_shape)
        except SegmentError as error:
            raise self._damaged(index, str(error), plane) from error
        rows, cols = plane.visible_shape(index)
        if decoded.samples.shape[0] < rows or decoded.samples.shape[1] < cols:
            found = f"{decoded.samples.shape[0]} x {decoded.samples.shape[1]} px of {rows} x {cols}"
            raise self._damaged(index, found, plane)
        return replace(decoded, samples=decoded.samples[:rows, :cols])

    def _check_last(self, plane: Plane, index: int) -> None:
        """Try a tile that is stated longer than the file: whole, or cut off?"""
        try:
            self._decode_part(plane, index)
        except DamagedSlideError as error:
            raise DamagedSlideError(
                "the file ends before its last tile",
                path=self.path,
                found=f"{error.problem} ({error.found})",
                hint="the file was cut off, for instance in copying: copy it again",
            ) from error

    def _damaged(self, index: int, found: str, plane: Plane | None = None) -> DamagedSlideError:
        page = (plane or self._planes[0]).page
        return DamagedSlideError(
            f"tile {index} of page {page.index} cannot be decoded",
            path=self.path,
            expected=f"{getattr(page.compression, 'name', page.compression)} data",
            found=found,
            hint="the file is damaged: copy it again from where it came",
        )


def _kind_of(planes: list[Plane]) -> PixelKind:
    kind = pixel_kind(planes[0].page)
    if len(planes) == 1:
        return kind
    if any(plane.shape != planes[0].shape or plane.block != planes[0].block for plane in planes):
        raise refusal("its channels are of different sizes")
    if (
        any(pixel_kind(plane.page) != kind for plane in planes[1:])
        or kind.colors != 1
        or kind.palette is not None
    ):
        raise refusal("its channels are written in different ways")
    return replace(kind, photometric=type(kind.photometric).RGB, colors=3)


def _raw(plane: Plane, index: int, data: bytes) -> Any:
    page = plane.page
    rows, cols = plane.visible_shape(index)
    samples = page.samplesperpixel if plane.samples == 1 else 1
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    if len(data) < rows * cols * samples * dtype.itemsize:
        raise SegmentError(f"{len(data)} bytes, too few")
    numbers = np.frombuffer(data, dtype, rows * cols * samples).reshape(rows, cols, samples)
    return numbers.astype(page.dtype, copy=False)
