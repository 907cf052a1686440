"""What the header of a compressed tile says: size, samples, colours, and whether all of it is there.

A directory states all this too, and writers contradict themselves: the decoders obey the stream, so that the
stream is asked first. Only headers are read here, no pixel is decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_NEXT = re.compile(rb"\xff(?:\xd8\xff|\xd9)")
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_J2K_START = b"\xff\x4f\xff\x51"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN = 0xDA


@dataclass(frozen=True)
class JpegHeader:
    """Of a JPEG stream, abbreviated ones too.

    Attributes
    ----------
    height, width, samples, bits : int
        As the frame states them; 0 where the stream holds no frame header.
    colors : str or None
        ``"RGB"`` or ``"YCbCr"`` where a marker, the components' names or their subsampling say so.
    reason : str
        What says so.
    scan : int
        Offset behind the first scan's header; the length of the stream where there is none.
    """

    height: int = 0
    width: int = 0
    samples: int = 0
    bits: int = 8
    colors: str | None = None
    reason: str = ""
    scan: int = 0


def read_jpeg_header(data: bytes, tables: bytes = b"") -> JpegHeader:
    """Read a JPEG stream's header; markers that stand in the shared `tables` count as well."""
    frame = height = width = samples = 0
    bits, scan = 8, len(data)
    ids, factors = b"", b""
    has_jfif, adobe = _marks(tables)
    for marker, at, body in _segments(data):
        if marker == 0xE0 and body.startswith(b"JFIF"):
            has_jfif = True
        elif marker == 0xEE and _is_adobe(body):
            adobe = body[11]
        elif marker in _FRAMES and len(body) >= 6 and not frame:
            frame = marker
            bits, height, width, samples = struct.unpack_from(">BHHB", body)
            ids, factors = body[6::3][:samples], body[7::3][:samples]
        elif marker == _SCAN:
            scan = at + len(body)
    colors, reason = _jpeg_colors(samples, ids, factors, has_jfif=has_jfif, adobe=adobe)
    return JpegHeader(height, width, samples, bits, colors, reason, scan)


@lru_cache(maxsize=64)
def _marks(tables: bytes) -> tuple[bool, int | None]:
    """Whether shared tables are marked as JFIF, and the colours of their Adobe marker; read once a page."""
    bodies = [(marker, body) for marker, _, body in _segments(tables)]
    adobe = [body[11] for marker, body in bodies if marker == 0xEE and _is_adobe(body)]
    has_jfif = any(marker == 0xE0 and body.startswith(b"JFIF") for marker, body in bodies)
    return has_jfif, adobe[-1] if adobe else None


def _is_adobe(body: bytes) -> bool:
    return body.startswith(b"Adobe") and len(body) >= 12


def _jpeg_colors(
    samples: int, ids: bytes, factors: bytes, *, has_jfif: bool, adobe: int | None
) -> tuple[str | None, str]:
    if samples != 3:
        return None, ""
    if len(set(factors)) > 1 and factors[0] == max(factors):
        return "YCbCr", "its colours are stored at half the resolution"
    if has_jfif:
        return "YCbCr", "it is marked as JFIF"
    if adobe is not None:
        return ("YCbCr" if adobe == 1 else "RGB"), "its Adobe marker"
    if ids == b"RGB":
        return "RGB", "its components are called R, G and B"
    return None, ""


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (marker, offset of its body, body) up to the first scan."""
    at = 0
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xD9 or length < 2:
            return
        yield marker, at + 4, data[at + 4 : at + 2 + length]
        if marker == _SCAN:
            return
        at += 2 + length


def one_jpeg_of(data: bytes, scan: int) -> tuple[bytes, bool]:
    """Return one stream, and whether it has its end marker.

    Another stream that begins before this one has ended is left out: the tile was stated longer than it is.
    Within a scan the bytes of neither marker can occur otherwise.
    """
    # In one go, and not by bytes.find for each: this is done for every tile.
    found = _NEXT.search(data, scan)
    if found is None:
        return data, False
    has_end = found.group() == JPEG_END
    return (data if has_end else data[: found.start()]), has_end


@dataclass(frozen=True)
class Jpeg2000Header:
    """Of a JPEG 2000 codestream.

    Attributes
    ----------
    height, width, samples, bits : int
        Size, number of components, and bits of the first one.
    is_subsampled : bool
        Whether components differ in resolution, as only chroma does.
    is_transformed : bool
        Whether its encoder turned RGB to luminance and chroma itself; the decoder then gives RGB.
    is_boxed : bool
        Whether it lies in a JP2 file, which states the colour space.
    """

    height: int
    width: int
    samples: int
    bits: int
    is_subsampled: bool
    is_transformed: bool
    is_boxed: bool


def read_jpeg2000_header(data: bytes) -> Jpeg2000Header | None:
    """Read the SIZ and COD markers; None if the data are no JPEG 2000."""
    is_boxed = data.startswith(_JP2_SIGNATURE)
    at = data.find(_J2K_START) if is_boxed else (0 if data.startswith(_J2K_START) else -1)
    if at < 0 or len(data) < at + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    samples = struct.unpack_from(">H", data, at + 40)[0]
    table = data[at + 42 : at + 42 + 3 * samples]
    steps = {(x, y) for x, y in zip(table[1::3], table[2::3], strict=False)}
    cod = _find_cod(data, at + 2)
    is_transformed = cod >= 0 and len(data) > cod + 8 and data[cod + 8] == 1
    bits = (table[0] & 0x7F) + 1 if table else 0
    return Jpeg2000Header(bottom - top, right - left, samples, bits, len(steps) > 1, is_transformed, is_boxed)


def _find_cod(data: bytes, at: int) -> int:
    """Return the offset of the COD marker in the main header; -1 if there is none."""
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x90:
        if data[at + 1] == 0x52:
            return at
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return -1


def read_webp_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, cols) of a WebP stream; None if it is none or its kind is unknown."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0]
        return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    if kind == b"VP8X":
        wide, high = data[24:27] + b"\0", data[27:30] + b"\0"
        return struct.unpack("<I", high)[0] + 1, struct.unpack("<I", wide)[0] + 1
    return None


def read_avif_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, cols) of an AVIF picture, by the largest of its parts; None if it is none.

    The property ``ispe`` of an item stands in the boxes at the front of the file, before the pixels.
    """
    if data[4:8] != b"ftyp" or not any(brand in data[8:64] for brand in (b"avif", b"avis")):
        return None
    found, at, front = [], data.find(b"ispe"), data[:_AVIF_FRONT]
    while 0 <= at <= len(front) - 16:
        width, height = struct.unpack_from(">II", front, at + 8)
        found.append((height, width))
        at = front.find(b"ispe", at + 4)
    return max(found, key=lambda size: size[0] * size[1], default=None)


_AVIF_FRONT = 4096


def read_png_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, cols) of a PNG stream; None if it is none."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def holds_jpeg(data: bytes) -> bool:
    """Whether a JPEG XL file keeps what is needed to have the JPEG back that it was made of."""
    at = 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at == 0 and kind != b"JXL ":
            return False
        if kind == b"jbrd":
            return True
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size < 8:  # the last one
            return False
        at += size
    return False


def read_jpegxl_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, cols) of a JPEG XL codestream, in a box or not; None if there is none."""
    at = data.find(b"\xff\x0a", 0, 4096)
    if at < 0 or len(data) < at + 12:
        return None
    bits = _Bits(int.from_bytes(data[at + 2 : at + 14], "little"))
    is_small = bits.take(1)
    height = (bits.take(5) + 1) * 8 if is_small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    ratio = bits.take(3)
    if ratio:
        over, below = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        return height, height * over // below
    width = (bits.take(5) + 1) * 8 if is_small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    return height, width


class _Bits:
    """Bits of a number, lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken
