"""What PNG and JPEG files say of themselves, read from their own marks rather than by a library.

Pillow decodes well, but is lenient: it fills what a cut-off stream lacks, passes over checksums, and makes up
72 dots per inch where a file states none.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from napari_nic.errors import DamagedSlideError, UnsupportedPixelsError

UM_PER_INCH, UM_PER_CM = 25_400.0, 10_000.0
_COPY_AGAIN = "the file is damaged: copy it again from where it came"
_PNG_HEAD = 8
_PIECE = 2**20
_LEAST_JPEG_BYTES_PER_PIXEL = 1 / 2048  # one bit for every 16 x 16 pixels
_ZLIB_MOST = 1032  # zlib packs no more than this many bytes into one

_SOF_READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SOF_OTHER = {0xC3: "lossless", 0xCB: "lossless", 0xF7: "JPEG-LS"}
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class PngFacts:
    """What the chunks of a PNG say.

    Attributes
    ----------
    height, width, bits, color : int
        Of its header; `color` is the PNG colour type.
    um : (float, float) or None
        (y, x) um per pixel, where stated in metres.
    aspect : (int, int) or None
        (y, x) pixels per unknown unit.
    gamma : float or None
        The stated exponent, where neither a profile nor sRGB is stated with it.
    frames : int
        Of an animation; 1 for a picture.
    is_interlaced : bool
    significant : int or None
        Bits that the samples had before they were brought to `bits`, where stated.
    """

    height: int
    width: int
    bits: int
    color: int
    um: tuple[float, float] | None = None
    aspect: tuple[int, int] | None = None
    gamma: float | None = None
    frames: int = 1
    is_interlaced: bool = False
    significant: int | None = None


def read_png(path: Path) -> PngFacts:
    """Read the chunks before the pixels.

    Raises
    ------
    DamagedSlideError
        If they are cut off, or too small a file is said to hold the picture.
    """
    with path.open("rb") as stream:
        chunks: dict[bytes, bytes] = {}
        for name, at, size in _chunks(stream, path):
            if name == b"IDAT":
                break
            stream.seek(at)
            chunks.setdefault(name, stream.read(min(size, 64)))
    if len(chunks.get(b"IHDR", b"")) < 13:
        raise DamagedSlideError("the picture's header cannot be read", path=path, hint=_COPY_AGAIN)
    width, height, bits, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    _check_possible(path, height, width, height * (width * bits * samples // 8) / _ZLIB_MOST)
    per_x, per_y, unit = _unpack(">IIB", chunks.get(b"pHYs", b"")) or (0, 0, 0)
    is_managed = b"sRGB" in chunks or b"iCCP" in chunks or b"cICP" in chunks
    gamma = _unpack(">I", chunks.get(b"gAMA", b""))
    frames = _unpack(">I", chunks.get(b"acTL", b""))
    stated = per_x > 0 and per_y > 0
    return PngFacts(
        height,
        width,
        bits,
        color,
        um=(1e6 / per_y, 1e6 / per_x) if stated and unit == 1 else None,
        aspect=(per_y, per_x) if stated and unit != 1 else None,
        gamma=gamma[0] / 1e5 if gamma and gamma[0] and not is_managed else None,
        frames=frames[0] if frames else 1,
        is_interlaced=chunks[b"IHDR"][12] != 0,
        significant=_significant(chunks.get(b"sBIT", b""), bits),
    )


def _significant(stated: bytes, bits: int) -> int | None:
    """The most of any sample; a sample that holds fewer than the others is brought to as many."""
    return max(stated) if stated and all(0 < value <= bits for value in stated) else None


def check_png(path: Path) -> None:
    """Check the checksum of every chunk, and that the last one is there.

    Raises
    ------
    DamagedSlideError
        If not.
    """
    with path.open("rb") as stream:
        for name, at, size in _chunks(stream, path):
            stream.seek(at - 4)
            rest, checksum = size + 4, 0
            while rest > 0:
                piece = stream.read(min(rest, _PIECE))
                if not piece:
                    raise _cut_off(path)
                checksum = zlib.crc32(piece, checksum)
                rest -= len(piece)
            if stream.read(4) != checksum.to_bytes(4, "big"):
                raise DamagedSlideError(
                    f"the checksum of the part {name.decode('latin-1')} at byte {at} is wrong",
                    path=path,
                    hint=_COPY_AGAIN,
                )
            if name == b"IEND":
                return
    raise _cut_off(path)


def _chunks(stream: BinaryIO, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, where its data start, their size) of each chunk."""
    end = os.fstat(stream.fileno()).st_size
    at = _PNG_HEAD
    while at + 12 <= end:
        stream.seek(at)
        size, name = struct.unpack(">I4s", stream.read(8))
        yield name, at + 8, size
        at += size + 12
        if at > end:
            raise _cut_off(path)


@dataclass(frozen=True)
class JpegFacts:
    """What the markers of a JPEG say.

    Attributes
    ----------
    height, width, bits, samples : int
    um : (float, float) or None
        (y, x) um per pixel by the JFIF marker.
    """

    height: int
    width: int
    bits: int
    samples: int
    um: tuple[float, float] | None = None


def read_jpeg(path: Path) -> JpegFacts:
    """Read the markers before the pixels.

    Raises
    ------
    DamagedSlideError
        If they are cut off, or too small a file is said to hold the picture.
    UnsupportedPixelsError
        If it is of a kind that is not decoded.
    """
    um = None
    with path.open("rb") as stream:
        for marker, data in _markers(stream):
            if marker == 0xE0 and data[:5] == b"JFIF\0":
                um = _jfif_um(data)
            if marker in _SOF:
                return _frame(path, marker, data, um)
    raise DamagedSlideError("the picture's header cannot be read", path=path, hint=_COPY_AGAIN)


def _frame(path: Path, marker: int, data: bytes, um: tuple[float, float] | None) -> JpegFacts:
    head = _unpack(">BHHB", data)
    if head is None:
        raise DamagedSlideError("the picture's header cannot be read", path=path, hint=_COPY_AGAIN)
    bits, height, width, samples = head
    if marker not in _SOF_READ:
        kind = _SOF_OTHER.get(marker, "hierarchical")
        raise UnsupportedPixelsError(f"a {kind} JPEG, which is not decoded", hint="save it as PNG or TIFF")
    if bits != 8:
        raise UnsupportedPixelsError(
            f"a JPEG of {bits} bits a sample, of which 8 are decoded", hint="save it as PNG or TIFF"
        )
    if samples not in (1, 3, 4):
        raise UnsupportedPixelsError(
            f"a JPEG of {samples} samples, neither grey nor RGB nor CMYK", hint="save it as PNG or TIFF"
        )
    _check_possible(path, height, width, height * width * _LEAST_JPEG_BYTES_PER_PIXEL)
    return JpegFacts(height, width, bits, samples, um)


def check_jpeg(data: bytes, path: Path) -> None:
    """Check that the stream ends with its end marker: what is missing would be filled with grey.

    Raises
    ------
    DamagedSlideError
        If it does not.
    """
    at = 2
    while True:
        found = _MARKER_IN_SCAN.search(data, at)
        if found is None:
            raise _cut_off(path)
        marker = data[found.start() + 1]
        if marker == 0xD9:
            return
        at = found.end()
        if marker not in _STANDALONE:
            at += int.from_bytes(data[at : at + 2], "big")


def _markers(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, head of its data) up to the pixels."""
    stream.seek(2)
    while True:
        byte = stream.read(1)
        if not byte:
            return
        if byte != b"\xff":
            continue
        code = stream.read(1)
        while code == b"\xff":
            code = stream.read(1)
        if not code or code == b"\xda":
            return
        if code[0] in _STANDALONE or code == b"\0":
            continue
        size = int.from_bytes(stream.read(2), "big") - 2
        start = stream.tell()
        yield code[0], stream.read(max(0, min(size, 64)))
        stream.seek(start + max(0, size))


def _jfif_um(data: bytes) -> tuple[float, float] | None:
    """Um per pixel where densities are per inch or cm; unit 0 states the shape of a pixel only."""
    found = _unpack(">BHH", data[7:])
    if found is None or not found[1] or not found[2]:
        return None
    unit, x, y = found
    length = {1: UM_PER_INCH, 2: UM_PER_CM}.get(unit)
    return None if length is None else (length / y, length / x)


def _check_possible(path: Path, height: int, width: int, least_bytes: float) -> None:
    if not (height and width):
        raise DamagedSlideError(f"a picture of {width} x {height} px", path=path, hint=_COPY_AGAIN)
    size = path.stat().st_size
    if size < least_bytes:
        raise DamagedSlideError(
            f"{size} bytes cannot hold the {width} x {height} px that the header states",
            path=path,
            hint=_COPY_AGAIN,
        )


def _unpack(form: str, data: bytes) -> tuple[int, ...] | None:
    return struct.unpack_from(form, data) if len(data) >= struct.calcsize(form) else None


def _cut_off(path: Path) -> DamagedSlideError:
    return DamagedSlideError(
        "the picture is cut off before its end",
        path=path,
        found=f"{path.stat().st_size} bytes",
        hint="copy it again from where it came",
    )
