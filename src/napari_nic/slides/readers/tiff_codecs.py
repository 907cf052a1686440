"""Decode one segment (tile or strip) of a TIFF page to samples, by what its stream says.

tifffile unpacks what is plain numbers. What is a picture of its own (JPEG, JPEG 2000, WebP, JPEG XL, AVIF) is
decoded here, since a tile may be smaller, larger or of other colours than the directory says. No tile is
decoded before its header was asked how large it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.slides.readers.codestreams import (
    JPEG_END,
    JPEG_START,
    JpegHeader,
    holds_jpeg,
    one_jpeg_of,
    read_avif_size,
    read_jpeg2000_header,
    read_jpeg_header,
    read_jpegxl_size,
    read_png_size,
    read_webp_size,
)
from napari_nic.slides.readers.jpeg_short import is_short
from napari_nic.slides.readers.learned_tiles import COMPRESSION, decode_learned, learned_size
from napari_nic.slides.readers.tiff_structure import MAX_BLOCK_PIXELS

Samples = npt.NDArray[Any]

JPEG_CODES = frozenset({7, 33007})
JPEG2000_CODES = frozenset({33003, 33004, 33005, 34712})
APERIO_YCBCR = 33003
NUMBER_CODES = {
    1: "none",
    5: "LZW",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34887: "LERC",
    34925: "LZMA",
    34926: "Zstandard",
    50000: "Zstandard",
    50013: "deflate",
}
FAX_CODES = frozenset({2, 3, 4})
_PICTURES: dict[int, tuple[Callable[..., Samples], Callable[[bytes], tuple[int, int] | None]]] = {
    34927: (imagecodecs.webp_decode, read_webp_size),
    50001: (imagecodecs.webp_decode, read_webp_size),
    50002: (imagecodecs.jpegxl_decode, read_jpegxl_size),
    52546: (imagecodecs.jpegxl_decode, read_jpegxl_size),
    34933: (imagecodecs.png_decode, read_png_size),
    60001: (imagecodecs.avif_decode, read_avif_size),  # no registered number: that of wsitools
    COMPRESSION: (decode_learned, learned_size),  # of this program alone
}
JPEG_XL_CODES = frozenset({50002, 52546})
PICTURE_CODES = JPEG_CODES | JPEG2000_CODES | frozenset(_PICTURES)
"""Compressions whose tiles are whole pictures and say themselves what they hold."""

KNOWN_CODES = PICTURE_CODES | frozenset(NUMBER_CODES) | FAX_CODES

_DECODE_ERRORS = (
    tifffile.TiffFileError,
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    EOFError,
)


class SegmentError(Exception):
    """A segment cannot be decoded; the text says why."""


@dataclass(frozen=True)
class Decoded:
    """Samples of a segment, and what its stream says of them.

    Attributes
    ----------
    samples : ndarray
        (rows, cols, samples), not larger than the segment.
    is_rgb : bool
        Whether a lossy stream that may hold other colours was turned to RGB already.
    """

    samples: Samples
    is_rgb: bool = False


def decode_segment(page: Any, index: int, data: bytes, shape: tuple[int, int]) -> Decoded:
    """Decode segment `index` of `page`, whose directory says that it is of `shape`.

    Raises
    ------
    SegmentError
        If the data are cut off, corrupt, or of another size.
    """
    try:
        if page.compression in JPEG_CODES:
            return _decode_jpeg(page, data, shape)
        if page.compression in JPEG2000_CODES:
            return _decode_jpeg2000(page, data, shape)
        if page.compression in _PICTURES:
            return _decode_picture(page, data, shape)
        if is_subsampled(page):
            return Decoded(_decode_subsampled(page, data, shape))
        return Decoded(_decode_numbers(page, index, data))
    except _DECODE_ERRORS as error:
        raise SegmentError(str(error) or type(error).__name__) from error


def jpeg_header(page: Any, data: bytes) -> JpegHeader:
    """What a JPEG tile and the page's shared tables say."""
    return read_jpeg_header(data, page.jpegtables or b"")


def _decode_jpeg(page: Any, data: bytes, shape: tuple[int, int]) -> Decoded:
    header = jpeg_header(page, data)
    if page.jpegheader is None:  # an NDPI's tiles share one header, of another size than theirs
        _check_size((header.height, header.width), shape)
        data, has_end = one_jpeg_of(data, header.scan)
        if not has_end:
            _check_whole(page, data, shape)
    colors = jpeg_colors(page, header)
    samples = _run_jpeg(page, data, shape, colors)
    scan = header.scan if page.jpegheader is None else 0
    if is_short(data, scan, samples, lambda stream: _run_jpeg(page, stream, shape, None)):
        raise SegmentError("a JPEG stream that ends before its last pixels")
    return Decoded(_fit(samples, shape), is_rgb=colors is not None)


def jpeg_colors(page: Any, header: JpegHeader) -> str | None:
    """Return what a JPEG of three samples holds; the stream knows better than the directory."""
    if page.planarconfig != tifffile.PLANARCONFIG.CONTIG or page.samplesperpixel != 3:
        return None
    return header.colors or ("YCbCr" if page.photometric == tifffile.PHOTOMETRIC.YCBCR else "RGB")


def _run_jpeg(page: Any, data: bytes, shape: tuple[int, int], colors: str | None) -> Samples:
    is_grey = page.planarconfig != tifffile.PLANARCONFIG.CONTIG or page.samplesperpixel == 1
    decoded: Samples = imagecodecs.jpeg_decode(
        data,
        bitspersample=page.bitspersample,
        tables=page.jpegtables,
        header=page.jpegheader,
        colorspace=colors and colors.upper(),
        outcolorspace="MINISBLACK" if is_grey else "RGB",
        shape=shape,
    )
    return decoded


def _check_whole(page: Any, data: bytes, shape: tuple[int, int]) -> None:
    """Refuse a JPEG stream that was cut off; libjpeg would fill the rest with grey and say nothing.

    A stream that lacks nothing but its end marker decodes to the same picture whatever stands behind it.
    """
    # Zeros behind are padding, and would be taken for pixels; the last one may belong to the stream.
    bare = data.rstrip(b"\0")
    ends = [bare[:-1] if bare.endswith(b"\xff") else bare]
    ends += [bare + b"\0"] if len(bare) < len(data) else []
    if not any(_is_indifferent(page, end, shape) for end in ends):
        raise SegmentError("a JPEG stream without its end")


def _is_indifferent(page: Any, data: bytes, shape: tuple[int, int]) -> bool:
    """Whether a stream decodes to the same picture whatever follows it."""
    junk = b"\x5a\xa7\x13\xe9" * 64
    empty, filled = (_run_jpeg(page, data + more + JPEG_END, shape, None) for more in (b"", junk))
    return np.array_equal(empty, filled)


def _decode_jpeg2000(page: Any, data: bytes, shape: tuple[int, int]) -> Decoded:
    header = read_jpeg2000_header(data)
    if header is None:
        raise SegmentError("no JPEG 2000 stream")
    _check_size((header.height, header.width), shape)
    samples = _fit(imagecodecs.jpeg2k_decode(data, numthreads=1), shape)
    if samples.shape[2] != 3:
        return Decoded(samples)
    is_ycbcr = page.compression == APERIO_YCBCR or page.photometric == tifffile.PHOTOMETRIC.YCBCR
    # The decoder turns subsampled chroma to RGB by itself, and undoes its encoder's own transform.
    if is_ycbcr and not (header.is_subsampled or header.is_transformed or header.is_boxed):
        samples = ycbcr_to_rgb(samples)
    return Decoded(samples, is_rgb=True)


def _decode_picture(page: Any, data: bytes, shape: tuple[int, int]) -> Decoded:
    decode, size = _PICTURES[page.compression]
    if page.compression in JPEG_XL_CODES and data.startswith(JPEG_START):
        return _decode_jpeg(page, data, shape)  # one that JPEG XL could not hold, among those that it does
    _check_size(size(data), shape)
    if page.compression in JPEG_XL_CODES and holds_jpeg(data):
        # The JPEG's own pixels: decoded straight from JPEG XL they are some grey levels off.
        return _decode_jpeg(page, bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)), shape)
    return Decoded(_fit(decode(data), shape))


def _decode_numbers(page: Any, index: int, data: bytes) -> Samples:
    try:
        decoded = page.decode(data, index)[0]
    except _DECODE_ERRORS:
        if page.is_tiled or page.compression not in NUMBER_CODES or page.predictor != 1:
            raise
        decoded = None
    if decoded is None:  # writers pad the last strip to the height of the others
        decoded = _decode_padded_strip(page, index, data)
    samples: Samples = decoded[0]
    return samples


def _decode_padded_strip(page: Any, index: int, data: bytes) -> Samples:
    if (index + 1) % -(-page.imagelength // page.rowsperstrip):
        raise SegmentError("a strip of another size than stated")  # not the last one
    samples = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else 1
    row = page.imagewidth * samples
    left = page.imagelength % page.rowsperstrip or page.rowsperstrip
    raw = tifffile.TIFF.DECOMPRESSORS[page.compression](
        data, out=page.rowsperstrip * row * page.dtype.itemsize
    )
    if page.bitspersample not in (8, 16) or len(raw) < left * row * page.dtype.itemsize:
        raise SegmentError("a strip of another size than stated")
    numbers = np.frombuffer(raw, page.dtype.newbyteorder(page.parent.byteorder), left * row)
    return numbers.reshape(1, left, page.imagewidth, samples).astype(page.dtype)


def is_subsampled(page: Any) -> bool:
    """Whether a page holds subsampled chroma as plain numbers."""
    return (
        page.photometric == tifffile.PHOTOMETRIC.YCBCR
        and page.compression not in PICTURE_CODES
        and tuple(page.subsampling or (1, 1)) != (1, 1)
    )


def _decode_subsampled(page: Any, data: bytes, shape: tuple[int, int]) -> Samples:
    """Unpack YCbCr units: of every `down` x `across` pixels all Y, then one Cb and one Cr."""
    across, down = page.subsampling
    rows, cols = -(-shape[0] // down), -(-shape[1] // across)
    unit = down * across + 2
    if page.fillorder == tifffile.FILLORDER.LSB2MSB:
        data = bytes(imagecodecs.bitorder_decode(data))
    if page.compression != 1:
        data = tifffile.TIFF.DECOMPRESSORS[page.compression](data, out=rows * cols * unit)
    if page.predictor != 1:
        raise SegmentError("subsampled colours with a predictor")
    if not page.is_tiled and len(data) < rows * cols * unit:
        rows = len(data) // (cols * unit)  # the last strip
        if rows * down < (page.imagelength % page.rowsperstrip or page.rowsperstrip):
            raise SegmentError("a strip of another size than stated")
    units = np.frombuffer(data, np.uint8, rows * cols * unit).reshape(rows, cols, unit)
    luma = (
        units[..., :-2].reshape(rows, cols, down, across).swapaxes(1, 2).reshape(rows * down, cols * across)
    )
    chroma = units[..., -2:].repeat(down, 0).repeat(across, 1)
    return np.dstack([luma, chroma])[: shape[0], : shape[1]]


def _check_size(size: tuple[int, int] | None, shape: tuple[int, int]) -> None:
    """Refuse a stream that would decode to far more than its tile: it must not be decoded to find out."""
    if size is None or 0 in size:
        raise SegmentError("a stream without a size")
    if size[0] * size[1] > max(MAX_BLOCK_PIXELS, shape[0] * shape[1]):
        raise SegmentError(f"a stream of {size[0]} x {size[1]} px in a tile of {shape[0]} x {shape[1]} px")


def _fit(samples: Samples, shape: tuple[int, int]) -> Samples:
    """Return (rows, cols, samples), cropped to the segment."""
    if samples.ndim == 2:
        samples = samples[..., None]
    return samples[: shape[0], : shape[1]]


def ycbcr_to_rgb(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert full-range YCbCr (ITU-R BT.601, as JFIF does), which Aperio's code 33003 stands for."""
    y, cb, cr = np.moveaxis(pixels.astype(np.float32) - np.array([0, 128, 128], np.float32), -1, 0)
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
