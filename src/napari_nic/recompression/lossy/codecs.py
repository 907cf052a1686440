"""Lossy codecs behind one protocol: a tile of RGB to bytes and back, with a quality and named subsampling.

A new codec is a class with what :class:`PixelCodec` asks for and a line in :data:`PIXEL_CODECS`; the contract
tests run over all of them. Quality is one number, higher is better; what it counts in, the codec's
:class:`QualityScale` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import imagecodecs

from napari_nic.errors import InvalidParameterError
from napari_nic.registry import Registry
from napari_nic.slides import RgbArray
from napari_nic.slides.readers.learned_tiles import TileNetwork

FULL_CHROMA = "4:4:4"
SUBSAMPLINGS: dict[str, tuple[int, int]] = {FULL_CHROMA: (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
"""Name -> (columns, rows) of pixels that share one sample of chroma, as TIFF counts them."""

ONE_THREAD = 1
"""Tiles are coded by threads of our own. With 0 libjxl would start one for every core at each call."""

RGB, YCBCR = 2, 6
"""Photometric interpretations of TIFF."""


@dataclass(frozen=True)
class QualityScale:
    """What a codec's quality is.

    Attributes
    ----------
    unit : str
        Empty for the codec's own scale up to 100; ``"dB"`` for PSNR.
    least, best, default : float
        Least and best are the same where there is nothing to choose.
    """

    unit: str
    least: float
    best: float
    default: float

    @property
    def is_fixed(self) -> bool:
        """Whether there is one quality alone."""
        return self.least == self.best


HUNDRED = QualityScale("", 1, 100, 90)
DECIBELS = QualityScale("dB", 20, 60, 37)


@dataclass(frozen=True)
class CodecSettings:
    """How tiles are encoded.

    Attributes
    ----------
    quality : float
        On the codec's scale.
    subsampling : str
        A key of :data:`SUBSAMPLINGS`.
    effort : int
        Of JPEG XL, 1 to 9: 3 is a tenth of the time of 7 and as good at equal size.
    is_lossless : bool
        Whether no pixel may change; not every codec can.
    is_fallback : bool
        Whether JPEG XL takes the place of a learned codec, which was not good enough.
    """

    quality: float
    subsampling: str = FULL_CHROMA
    effort: int = 3
    is_lossless: bool = False
    is_fallback: bool = False


class PixelCodec(Protocol):
    """A lossy codec. Its methods may be called by several threads at once.

    Attributes
    ----------
    name : str
    compression : int
        What TIFF calls it.
    zarr_name : str
        What imagecodecs calls it in Zarr.
    photometric : int
        What TIFF says of its colours.
    scale : QualityScale
    subsamplings : tuple of str
        Those that it can, the default first.
    network : TileNetwork or None
        What must travel with the tiles, so that they can be decoded.
    """

    name: str
    compression: int
    photometric: int
    zarr_name: str
    scale: QualityScale
    subsamplings: tuple[str, ...]
    network: TileNetwork | None

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode a tile, (rows, cols, 3) uint8, to a stream that needs no tables beside it."""

    def decode(self, data: bytes) -> RgbArray:
        """Decode a tile by the call that :mod:`napari_nic.slides` makes for it."""

    def better(self, settings: CodecSettings) -> CodecSettings | None:
        """Return what a tile is encoded with that did not come out well; None if there is nothing better."""


class _Codec:
    """What the codecs share."""

    photometric = RGB
    scale = HUNDRED
    subsamplings: tuple[str, ...] = (FULL_CHROMA,)
    network: TileNetwork | None = None
    can_be_lossless = True

    def better(self, settings: CodecSettings) -> CodecSettings | None:
        """Go half of the way to the best quality, then to it, then lose nothing."""
        if settings.is_lossless:
            return None
        if settings.quality < self.scale.best:
            half = (settings.quality + self.scale.best) / 2
            is_near = self.scale.best - half < 0.05 * self.scale.best
            return replace(settings, quality=self.scale.best if is_near else half)
        return replace(settings, is_lossless=True) if self.can_be_lossless else None


class Jpeg(_Codec):
    """JPEG with Huffman tables of each tile's own, which every program opens."""

    name, compression, zarr_name = "jpeg", 7, "imagecodecs_jpeg"
    photometric = YCBCR
    subsamplings = tuple(SUBSAMPLINGS)
    can_be_lossless = False

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode as YCbCr."""
        return bytes(
            imagecodecs.jpeg8_encode(
                pixels,
                level=round(settings.quality),
                colorspace="RGB",
                outcolorspace="YCBCR",
                subsampling=settings.subsampling.replace(":", ""),
                optimize=True,
            )
        )

    def decode(self, data: bytes) -> RgbArray:
        """Decode to RGB."""
        pixels: RgbArray = imagecodecs.jpeg8_decode(data)
        return pixels


class JpegXl(_Codec):
    """JPEG XL; its quality is libjxl's own mapping to Butteraugli distance: 90 is a distance of 1."""

    name, compression, zarr_name = "jpegxl", 50002, "imagecodecs_jpegxl"

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode as a bare codestream."""
        options = (
            {"lossless": True}
            if settings.is_lossless
            else {"lossless": False, "distance": distance_of(settings.quality)}
        )
        return bytes(
            imagecodecs.jpegxl_encode(pixels, effort=settings.effort, numthreads=ONE_THREAD, **options)
        )

    def decode(self, data: bytes) -> RgbArray:
        """Decode."""
        pixels: RgbArray = imagecodecs.jpegxl_decode(data, numthreads=ONE_THREAD)
        return pixels


def distance_of(quality: float) -> float:
    """Return libjxl's distance of a quality from 1 to 100 (JxlEncoderDistanceFromQuality)."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def quality_of(distance: float) -> float:
    """Return the quality of a distance, from 0.1 to 6.4.

    Raises
    ------
    InvalidParameterError
        If it is another one.
    """
    if not 0.1 <= distance <= 6.4:
        raise InvalidParameterError(
            "that is no distance of JPEG XL", expected="0.1 (best) to 6.4", found=f"{distance:g}"
        )
    return 100 - (distance - 0.1) / 0.09


class Jpeg2000(_Codec):
    """JPEG 2000 as Aperio stores it (33005): RGB by the codestream's own transform, at a PSNR."""

    name, compression, zarr_name = "jpeg2000", 33005, "imagecodecs_jpeg2k"
    scale = DECIBELS

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode as a bare codestream of one quality layer."""
        return bytes(
            imagecodecs.jpeg2k_encode(
                pixels,
                level=0 if settings.is_lossless else settings.quality,  # type: ignore[arg-type] # takes parts of a dB
                codecformat="j2k",
                reversible=settings.is_lossless,
                mct=True,
                numthreads=ONE_THREAD,
            )
        )

    def decode(self, data: bytes) -> RgbArray:
        """Decode."""
        pixels: RgbArray = imagecodecs.jpeg2k_decode(data, numthreads=ONE_THREAD)
        return pixels


class Avif(_Codec):
    """AVIF; in TIFF under 60001, which few programs know."""

    name, compression, zarr_name = "avif", 60001, "imagecodecs_avif"
    subsamplings = tuple(SUBSAMPLINGS)
    scale = QualityScale("", 1, 100, 80)

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode; what loses nothing is RGB of full chroma."""
        subsampling = FULL_CHROMA if settings.is_lossless else settings.subsampling
        return bytes(
            imagecodecs.avif_encode(
                pixels,
                level=100 if settings.is_lossless else round(settings.quality),
                speed=8,
                pixelformat=f"yuv{subsampling.replace(':', '')}",
                numthreads=ONE_THREAD,
            )
        )

    def decode(self, data: bytes) -> RgbArray:
        """Decode."""
        pixels: RgbArray = imagecodecs.avif_decode(data, numthreads=ONE_THREAD)
        return pixels


class WebP(_Codec):
    """WebP, which knows 4:2:0 alone."""

    name, compression, zarr_name = "webp", 50001, "imagecodecs_webp"
    subsamplings: tuple[str, ...] = ("4:2:0",)

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode."""
        options = (
            {"lossless": True} if settings.is_lossless else {"level": settings.quality, "lossless": False}
        )
        return bytes(imagecodecs.webp_encode(pixels, method=4, **options))

    def decode(self, data: bytes) -> RgbArray:
        """Decode."""
        pixels: RgbArray = imagecodecs.webp_decode(data)
        return pixels


PIXEL_CODECS: Registry[type[PixelCodec]] = Registry("codec")
"""Lossy codecs by name."""

_ALL: tuple[type[PixelCodec], ...] = (Jpeg, JpegXl, Jpeg2000, Avif, WebP)
for _codec in _ALL:
    PIXEL_CODECS.register(_codec.name, _codec)

LEARNED = "neural"
"""Codecs that were trained: ``neural:NAME`` or ``neural:FOLDER``."""

_LEARNED: Registry[Any] = Registry("kind of learned codec")
_LEARNED.register(LEARNED, "napari_nic.recompression.learned.codec:LearnedCodec")


def load_pixel_codec(name: str) -> PixelCodec:
    """Return a codec by name.

    Parameters
    ----------
    name : str
        One of :data:`PIXEL_CODECS`, or ``neural:`` and the name or folder of a learned codec.

    Raises
    ------
    UnknownNameError
        If there is none.
    WeightsError
        If it is a learned one that is damaged.
    """
    kind, sign, rest = name.partition(":")
    if kind == LEARNED and sign:
        learned: PixelCodec = _LEARNED.get(LEARNED)(rest)
        return learned
    return PIXEL_CODECS.get(name)()


def scale_of(name: str) -> QualityScale:
    """Return what a codec's quality is; of a learned one without looking for it.

    Parameters
    ----------
    name : str
        As :func:`load_pixel_codec` takes it.

    Raises
    ------
    UnknownNameError
        If there is no such kind of codec.
    """
    kind, sign, _ = name.partition(":")
    known: Any = _LEARNED.get(LEARNED) if kind == LEARNED and sign else PIXEL_CODECS.get(name)
    scale: QualityScale = known.scale
    return scale


def kind_of(name: str) -> str:
    """Return what programs know a codec by: ``neural`` of any learned one."""
    return name.partition(":")[0]


def make_settings(
    codec: PixelCodec, quality: float | None = None, subsampling: str | None = None, effort: int = 3
) -> CodecSettings:
    """Return settings for a codec, its defaults where nothing was said.

    Raises
    ------
    InvalidParameterError
        If the codec has no such quality, subsampling or effort.
    """
    scale = codec.scale
    quality = scale.default if quality is None else quality
    if not scale.least <= quality <= scale.best:
        raise InvalidParameterError(
            f"{codec.name} has no such quality",
            expected=f"{scale.least:g} to {scale.best:g} {scale.unit}".rstrip(),
            found=f"{quality:g}",
        )
    subsampling = codec.subsamplings[0] if subsampling is None else subsampling
    if subsampling not in codec.subsamplings:
        raise InvalidParameterError(
            f"{codec.name} has no such chroma subsampling",
            expected=" or ".join(codec.subsamplings),
            found=subsampling,
        )
    if not 1 <= effort <= 9:
        raise InvalidParameterError("there is no such effort", expected="1 to 9", found=str(effort))
    return CodecSettings(quality, subsampling, effort)
