"""What a JPEG or JPEG 2000 stream itself says of its colours; headers around it sometimes say otherwise."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

Colors = Literal["rgb", "ycbcr"]

_SOI, _SOS, _EOI = 0xD8, 0xDA, 0xD9
_APP0, _APP14 = 0xE0, 0xEE
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ADOBE_RGB, _ADOBE_YCBCR = 0, 1
_J2K_SIZ, _J2K_COD, _J2K_TILE = 0xFF51, 0xFF52, 0xFF90


@dataclass(frozen=True)
class JpegFacts:
    """Headers of a JPEG stream.

    Attributes
    ----------
    samples : int
        Components; 0 where no frame header was found.
    colors : {"rgb", "ycbcr"} or None
        What the stream says its three components are; None where it says nothing.
    why : str
        What says so, for messages.
    """

    samples: int
    colors: Colors | None
    why: str


def read_jpeg(data: bytes) -> JpegFacts:
    """Read the markers of a JPEG stream up to its first scan.

    JFIF knows grey and YCbCr only; an Adobe marker says which it is; so do components that are named R, G, B,
    and chroma of lower resolution, which only YCbCr has. A stream that says both says nothing.
    """
    is_jfif, adobe, components = False, None, b""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _NO_LENGTH:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            break
        length = int.from_bytes(data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        if marker == _APP0 and body.startswith(b"JFIF\0"):
            is_jfif = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _FRAMES and len(body) >= 6:
            components = body[6 : 6 + 3 * body[5]]
        at += 2 + length
    return _interpret(components, adobe, is_jfif=is_jfif)


def _interpret(components: bytes, adobe: int | None, *, is_jfif: bool) -> JpegFacts:
    count = len(components) // 3
    if count != 3:
        return JpegFacts(count, None, "")
    rgb = [
        why
        for is_so, why in (
            (adobe == _ADOBE_RGB, "its Adobe marker"),
            (components[::3] == b"RGB", "the names of its components"),
        )
        if is_so
    ]
    chroma_is_coarse = len(set(components[1::3])) > 1
    ycbcr = [
        why
        for is_so, why in (
            (adobe == _ADOBE_YCBCR, "its Adobe marker"),
            (is_jfif, "its JFIF marker"),
            (chroma_is_coarse, "its chroma of lower resolution"),
        )
        if is_so
    ]
    if bool(rgb) == bool(ycbcr):
        return JpegFacts(count, None, "")
    return JpegFacts(count, "rgb" if rgb else "ycbcr", (rgb or ycbcr)[0])


@dataclass(frozen=True)
class Jpeg2000Facts:
    """Headers of a JPEG 2000 codestream.

    Attributes
    ----------
    samples : int
        Components.
    is_subsampled : bool
        Whether chroma has a lower resolution; such samples are YCbCr.
    has_transform : bool
        Whether the codestream transforms its colours itself, so that it decodes to RGB.
    """

    samples: int
    is_subsampled: bool
    has_transform: bool


def read_jpeg2000(data: bytes) -> Jpeg2000Facts | None:
    """Read the main header of a JPEG 2000 codestream, bare or in a JP2 file; None if there is none."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    at += 2
    samples, is_subsampled, has_transform = 0, False, False
    while at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        body = data[at + 4 : at + 2 + length]
        if marker == _J2K_TILE:
            break
        if marker == _J2K_SIZ and len(body) >= 36:
            samples = int.from_bytes(body[34:36])
            steps = [body[i : i + 2] for i in range(37, 36 + 3 * samples, 3)]
            is_subsampled = any(step != steps[0] for step in steps)
        elif marker == _J2K_COD and len(body) >= 5:
            has_transform = bool(body[4])
        at += 2 + length
    return Jpeg2000Facts(samples, is_subsampled, has_transform)
