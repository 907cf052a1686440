"""TIFF and its many slide dialects: SVS, NDPI, SCN, Philips, OME-TIFF and any other tiled TIFF.

tifffile finds the pages and knows how a segment is decoded; the bytes are read at their offsets here, so
that any number of threads can decode at once (the codecs release the interpreter's lock).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, Level, RgbArray, SourceInfo, to_rgb
from napari_nic.slides.readers.bytesource import ByteSource
from napari_nic.slides.readers.tiff_metadata import TiffFacts, read_facts

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG = frozenset({6, 7, 34892, 33007})  # old, new, lossy DNG, alternative
_APERIO_J2K_YCBCR = 33003
_JPEG_END = b"\xff\xd9"
_JPEG_END_WITHIN = 64  # writers pad tiles with a few zeros behind the end marker
_STRIP_ROWS = 64  # strips lower than this are decoded several at once
MAX_BLOCK_PIXELS = 2**25
"""Images that can only be decoded in larger blocks than this (100 MB) are left to the plain reader."""

_PARSE_ERRORS = (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError, TypeError)
_DECODE_ERRORS = (tifffile.TiffFileError, RuntimeError, ValueError, TypeError)


@dataclass(frozen=True)
class _Plane:
    """One page, and where its segments lie in the file."""

    page: Any
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    samples: int = 1

    @classmethod
    def of(cls, page: Any) -> _Plane:
        page = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
        page.decode  # noqa: B018 - built while the file is open, since building it reads the first tile
        return cls(
            page,
            np.asarray(page.dataoffsets, np.int64),
            np.asarray(page.databytecounts, np.int64),
            page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1,
        )

    @property
    def block(self) -> tuple[int, int]:
        """(rows, cols) decoded at once: a tile, or as many strips as make a sensible height."""
        page = self.page
        if page.is_tiled:
            return page.tilelength, page.tilewidth
        rows = min(page.rowsperstrip, page.imagelength)
        return rows * max(1, _STRIP_ROWS // rows), page.imagewidth

    def segments(self, row: int, col: int) -> list[list[int]]:
        """Indices of the segments of block (row, col), top to bottom, one list per separate sample."""
        page = self.page
        if page.is_tiled:
            across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
            first, step = [row * across + col], across * down
        else:
            rows = min(page.rowsperstrip, page.imagelength)
            step = -(-page.imagelength // rows)
            per_block = self.block[0] // rows
            first = list(range(row * per_block, min((row + 1) * per_block, step)))
        return [[index + sample * step for index in first] for sample in range(self.samples)]


class TiffSource:
    """An open TIFF slide. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, path: Path, planes: list[list[_Plane]], facts: TiffFacts) -> None:
        self.path = path
        self._planes = planes
        self._series = facts.associated
        self._is_aperio = facts.vendor == "aperio"
        self.info = SourceInfo(
            vendor=facts.vendor,
            levels=_levels(planes, is_philips=facts.vendor == "philips"),
            pixel_sizes=facts.pixel_sizes,
            background=WHITE,  # no TIFF dialect names one
            icc_profile=facts.icc_profile,
            properties=facts.properties,
            associated=tuple(facts.associated),
            fingerprint_files=(path,),
        )
        self._bytes = ByteSource(path)

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one tile; None where the file holds no bytes for it."""
        frame = self.info.levels[level].tile_region(row, col)
        samples = []
        for plane in self._planes[level]:
            for indices in plane.segments(row, col):
                parts = [part for index in indices if (part := self._decode(plane, index)) is not None]
                if len(parts) < len(indices):
                    return None
                samples.append(np.concatenate(parts) if len(parts) > 1 else parts[0])
        pixels = samples[0] if len(samples) == 1 else np.concatenate(samples, axis=2)
        rgb = to_rgb(pixels[: frame.height, : frame.width], self.info.background)
        return rgb if rgb.flags.writeable else rgb.copy()

    def _decode(self, plane: _Plane, index: int) -> npt.NDArray[Any] | None:
        """Return one segment, (rows, cols, samples); None if it is missing."""
        size, offset = int(plane.sizes[index]), int(plane.offsets[index])
        if size == 0 or offset == 0:
            return None
        page, data = plane.page, self._bytes.read(offset, size)
        tables = {}
        if page.compression in _JPEG:
            self._check_end(page, index, data)
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        try:
            pixels = page.decode(data, index, **tables)[0]
        except _DECODE_ERRORS as error:
            raise self._damaged(page, index, str(error)) from error
        if pixels is None:
            return None
        if page.compression == _APERIO_J2K_YCBCR and self._is_aperio:
            return _ycbcr_to_rgb(pixels[0])
        decoded: npt.NDArray[Any] = pixels[0]
        return decoded

    def _check_end(self, page: Any, index: int, data: bytes) -> None:
        """Refuse a JPEG stream that is cut off: libjpeg would fill the rest with grey and say nothing."""
        if page.jpegheader is None and _JPEG_END not in data[-_JPEG_END_WITHIN:]:
            raise self._damaged(page, index, "a JPEG stream without its end")

    def _damaged(self, page: Any, index: int, found: str) -> DamagedSlideError:
        return DamagedSlideError(
            f"tile {index} of page {page.index} cannot be decoded",
            path=self.path,
            expected=f"{page.compression.name} data",
            found=found,
            hint="the file is damaged: copy it again from where it came",
        )

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        if name not in self._series:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        with tifffile.TiffFile(self.path) as tif:
            pixels = tif.series[self._series[name]].asarray()
        return to_rgb(pixels, self.info.background)

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()


def open_tiff(path: Path) -> TiffSource:
    """Open a TIFF dialect; see :data:`~napari_nic.slides.model.OpenSource`."""
    if path.is_dir():
        raise UnreadableSlideError("a folder, not a TIFF file")
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic not in _MAGIC:
        raise UnreadableSlideError(f"not a TIFF file: it starts with {magic!r}")
    try:
        with tifffile.TiffFile(path) as tif:
            facts = read_facts(tif, path)
            series = tif.series[facts.series]
            _check_complete_chain(tif, path)
            planes = [_choose_planes(level) for level in series.levels]
    except _PARSE_ERRORS as error:
        if isinstance(error, UnreadableSlideError):
            raise
        raise DamagedSlideError(
            "the TIFF directory cannot be read",
            path=path,
            found=str(error),
            hint="the file was cut off or damaged: copy it again",
        ) from error
    _check_decodable(planes, path)
    return TiffSource(path, planes, facts)


def _levels(planes: list[list[_Plane]], *, is_philips: bool) -> tuple[Level, ...]:
    tiles = [level[0].block for level in planes]
    shapes = [(level[0].page.imagelength, level[0].page.imagewidth) for level in planes]
    if not is_philips:
        return build_levels(shapes, tiles)
    # Philips pads every level to whole tiles; the factors are powers of two by definition.
    factors = [2.0 ** round(math.log2(shapes[0][1] / width)) for _, width in shapes]
    return tuple(
        Level(
            min(height, math.ceil(shapes[0][0] / factor)),
            min(width, math.ceil(shapes[0][1] / factor)),
            factor,
            factor,
            tile,
        )
        for (height, width), factor, tile in zip(shapes, factors, tiles, strict=True)
    )


def _choose_planes(level: Any) -> list[_Plane]:
    """Return the pages that make one RGB picture of a series' level: one, or three of a channel each."""
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
    return [_Plane.of(page) for page in pages]


def _check_complete_chain(tif: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file whose list of pages goes on behind its end: levels would be lost in silence."""
    len(tif.pages)  # walks the chain
    following = tif.pages.next_page_offset
    if following >= tif.filehandle.size:
        raise DamagedSlideError(
            "the file ends before its last page",
            path=path,
            expected=f"a page at byte {following}",
            found=f"{tif.filehandle.size} bytes",
            hint="the file was cut off, for instance in copying: copy it again",
        )


def _check_decodable(levels: list[list[_Plane]], path: Path) -> None:
    end = path.stat().st_size
    for plane in (plane for level in levels for plane in level):
        _check_page(plane)
        needed = int((plane.offsets + plane.sizes).max(initial=0))
        if needed > end:
            raise DamagedSlideError(
                "the file ends before its last tile",
                path=path,
                expected=f"at least {needed} bytes",
                found=f"{end} bytes",
                hint="the file was cut off, for instance in copying: copy it again",
            )


def _check_page(plane: _Plane) -> None:
    page = plane.page
    photometric, compression = page.photometric, page.compression
    allowed: Iterable[Any] = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK)
    is_lossy_ycbcr = photometric == tifffile.PHOTOMETRIC.YCBCR and (
        compression in _JPEG or compression in tifffile.TIFF.IMAGE_COMPRESSIONS
    )
    if photometric not in allowed and not is_lossy_ycbcr:
        raise UnreadableSlideError(f"{photometric.name} pixels with {compression.name} compression")
    if page.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise UnreadableSlideError(f"samples are {page.dtype}, not 8 or 16 bit unsigned")
    rows, cols = plane.block
    if rows * cols > MAX_BLOCK_PIXELS:
        raise UnreadableSlideError(f"not tiled: {rows} x {cols} px would be decoded at once")


def _ycbcr_to_rgb(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert full-range YCbCr (ITU-R BT.601, as JFIF does), which Aperio's code 33003 stands for."""
    y, cb, cr = np.moveaxis(pixels.astype(np.float32) - np.array([0, 128, 128], np.float32), -1, 0)
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
