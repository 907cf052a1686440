"""TIFF and its many slide dialects: SVS, NDPI, SCN, Philips, OME-TIFF and any other tiled TIFF.

tifffile finds the pages and knows how a segment is decoded; the bytes are read at their offsets here, so
that any number of threads can decode at once (the codecs release the interpreter's lock).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, RgbArray, SourceInfo, to_rgb
from napari_nic.slides.readers.bytesource import ByteSource
from napari_nic.slides.readers.tiff_metadata import TiffFacts, read_facts
from napari_nic.slides.readers.tiff_page import (
    JPEG_CODES,
    Plane,
    check_planes,
    choose_planes,
    ycbcr_to_rgb,
)
from napari_nic.slides.readers.tiff_structure import TIFF_MAGIC, check_structure

_APERIO_J2K_YCBCR = 33003
_JPEG_END = b"\xff\xd9"
_JPEG_END_WITHIN = 64  # writers pad tiles with a few zeros behind the end marker

_PARSE_ERRORS = (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError, TypeError)
_DECODE_ERRORS = (tifffile.TiffFileError, RuntimeError, ValueError, TypeError)


class TiffSource:
    """An open TIFF slide. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, path: Path, levels: list[list[Plane]], facts: TiffFacts) -> None:
        self.path = path
        self._levels = levels
        self._series = facts.associated
        self._is_aperio = facts.vendor == "aperio"
        shapes = [(planes[0].page.imagelength, planes[0].page.imagewidth) for planes in levels]
        self.info = SourceInfo(
            vendor=facts.vendor,
            levels=build_levels(shapes, [planes[0].block for planes in levels]),
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
        planes = self._levels[level]
        segments = [self._read_segment(planes, index) for index in planes[0].segments(row, col)]
        if all(segment is None for segment in segments):
            return None
        if (
            len(segments) == 1
            and segments[0] is not None
            and segments[0].shape[:2] == (frame.height, frame.width)
        ):
            return segments[0]
        pixels = np.empty((frame.height, frame.width, 3), np.uint8)
        pixels[:] = self.info.background
        height = planes[0].segment_shape[0]
        for place, segment in enumerate(segments):
            if segment is not None:
                part = pixels[place * height : (place + 1) * height]
                part[:] = segment[: part.shape[0], : part.shape[1]]
        return pixels

    def _read_segment(self, planes: list[Plane], index: int) -> RgbArray | None:
        """Return one segment of the file as RGB; None if it is missing."""
        samples = []
        for plane in planes:
            for number in plane.sample_segments(index):
                decoded = self._decode(plane, number)
                if decoded is None:
                    return None
                samples.append(decoded)
        rgb = to_rgb(
            np.concatenate(samples, axis=2) if len(samples) > 1 else samples[0], self.info.background
        )
        return rgb if rgb.flags.writeable else rgb.copy()

    def _decode(self, plane: Plane, index: int) -> npt.NDArray[Any] | None:
        """Return one segment, (rows, cols, samples); None if it is missing."""
        size, offset = int(plane.sizes[index]), int(plane.offsets[index])
        if size == 0 or offset == 0:
            return None
        page, data = plane.page, self._bytes.read(offset, size)
        tables = {}
        if page.compression in JPEG_CODES:
            self._check_end(page, index, data)
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        try:
            pixels = page.decode(data, index, **tables)[0]
        except _DECODE_ERRORS as error:
            raise self._damaged(page, index, str(error)) from error
        if pixels is None:
            return None
        decoded: npt.NDArray[Any] = pixels[0]
        if page.compression == _APERIO_J2K_YCBCR and self._is_aperio:
            return ycbcr_to_rgb(decoded)
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
    magic = _magic(path)
    if magic not in TIFF_MAGIC:
        raise UnreadableSlideError(f"not a TIFF file: it starts with {magic!r}")
    is_ndpi = check_structure(path)
    try:
        # tifffile would tell an NDPI by its suffix.
        with tifffile.TiffFile(path, is_ndpi=is_ndpi) as tif:
            facts = read_facts(tif)
            levels = [choose_planes(level) for level in tif.series[facts.series].levels]
    except (UnreadableSlideError, DamagedSlideError):
        raise
    except _PARSE_ERRORS as error:
        raise DamagedSlideError(
            "the TIFF directory cannot be read",
            path=path,
            found=str(error),
            hint="the file was cut off or damaged: copy it again",
        ) from error
    for planes in levels:
        check_planes(planes, path)
    return TiffSource(path, levels, facts)


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)
