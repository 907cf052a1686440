"""Large pictures that can only be decoded whole: PNG, JPEG, and TIFF without tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.model import WHITE, Level, PixelSizeClaim, RgbArray, SourceInfo, to_rgb
from napari_nic.slides.readers.tiff_metadata import TiffFacts, read_facts

TILE = 512
MAX_PIXELS = 2**31
"""Pictures larger than this (6.4 GB decoded) are refused. Pillow's own guard stands at 0.18 gigapixels,
which is small for a slide; a PNG that is a bomb of compressed nothing is bounded by this one instead."""

UM_PER_INCH = 25_400.0
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGED = (OSError, ValueError, SyntaxError, RuntimeError, KeyError, IndexError, tifffile.TiffFileError)


@dataclass(frozen=True)
class _Picture:
    """What a header says, and how to decode the rest."""

    height: int
    width: int
    kind: str
    decode: Callable[[], npt.NDArray[Any]]
    pixel_sizes: tuple[PixelSizeClaim, ...]
    icc_profile: bytes | None


class PlainSource:
    """A picture that is decoded whole when its first pixel is asked for, and then held in memory.

    Its one level is offered in tiles of 512 px; coarser levels come from
    :class:`~napari_nic.slides.coarse.CoarserLevels`.
    """

    def __init__(self, path: Path, picture: _Picture) -> None:
        self.path = path
        self._picture = picture
        self._pixels: RgbArray | None = None
        self._lock = threading.Lock()
        self.info = SourceInfo(
            vendor=picture.kind,
            levels=(Level(picture.height, picture.width, tile=(TILE, TILE)),),
            pixel_sizes=picture.pixel_sizes,
            background=WHITE,
            icc_profile=picture.icc_profile,
            fingerprint_files=(path,),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Cut a tile out of the decoded picture."""
        return self._decoded()[self.info.levels[level].tile_region(row, col).slices].copy()

    def _decoded(self) -> RgbArray:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
            return self._pixels

    def _decode(self) -> RgbArray:
        try:
            pixels = to_rgb(self._picture.decode(), self.info.background)
        except _DAMAGED as error:
            raise DamagedSlideError(
                "the picture cannot be decoded",
                path=self.path,
                found=str(error),
                hint="the file is damaged: copy it again from where it came",
            ) from error
        level = self.info.levels[0]
        if pixels.shape[:2] != level.shape:
            raise DamagedSlideError(
                "the picture is not of the size that its header states",
                path=self.path,
                expected=f"{level.shape}",
                found=f"{pixels.shape[:2]}",
            )
        return pixels

    def read_associated(self, name: str) -> RgbArray:
        """A plain picture has no associated images."""
        raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)

    def close(self) -> None:
        """Let the decoded picture go."""
        with self._lock:
            self._pixels = None


def open_plain(path: Path) -> PlainSource:
    """Open a plain picture; see :data:`~napari_nic.slides.model.OpenSource`."""
    if path.is_dir():
        raise UnreadableSlideError("a folder, not a picture")
    try:
        picture = _read_picture(path)
    except UnreadableSlideError:
        raise
    except (*_DAMAGED, UnidentifiedImageError) as error:
        raise UnreadableSlideError(f"the picture's header cannot be read: {error}") from error
    if picture.height * picture.width > MAX_PIXELS:
        raise UnreadableSlideError(
            f"{picture.height} x {picture.width} px must be decoded whole; the limit is {MAX_PIXELS} px"
        )
    return PlainSource(path, picture)


def _read_picture(path: Path) -> _Picture:
    with path.open("rb") as stream:
        head = stream.read(len(_PNG))
    if head == _PNG:
        return _read_header(path, PngImageFile, "png")
    if head.startswith(_JPEG):
        return _read_header(path, JpegImageFile, "jpeg")
    if head[:4] in _TIFF:
        return _read_tiff(path)
    raise UnreadableSlideError(f"neither PNG, JPEG nor TIFF: it starts with {head[:4]!r}")


def _read_header(path: Path, plugin: Callable[..., Image.Image], kind: str) -> _Picture:
    """Read a PNG's or JPEG's header.

    Pillow's guard against decompression bombs, which sits in ``Image.open`` and is one setting for the
    whole process, is not touched: the format's own class is called, and :data:`MAX_PIXELS` guards instead.
    """
    with plugin(path) as image:
        dpi = image.info.get("dpi")
        claims: tuple[PixelSizeClaim, ...] = ()
        if dpi and all(value > 0 for value in dpi):
            claims = (PixelSizeClaim(UM_PER_INCH / dpi[1], UM_PER_INCH / dpi[0], f"{kind} resolution"),)
        profile = image.info.get("icc_profile")
        width, height = image.size

    def decode() -> npt.NDArray[Any]:
        with plugin(path) as image:
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))

    return _Picture(height, width, kind, decode, claims, profile)


def _read_tiff(path: Path) -> _Picture:
    with tifffile.TiffFile(path) as tif:
        facts: TiffFacts = read_facts(tif)
        page = tif.series[facts.series].levels[0].keyframe
        shape = page.imagelength, page.imagewidth

    def decode() -> npt.NDArray[Any]:
        pixels = tifffile.imread(path, series=facts.series, level=0)
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            return np.moveaxis(pixels, 0, -1)
        return pixels

    return _Picture(*shape, "tiff", decode, facts.pixel_sizes, facts.icc_profile)
