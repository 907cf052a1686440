"""A JPEG whose scan ends before its picture does, although an end marker follows.

libjpeg fills what is missing with even grey, and its warning reaches none of the libraries that call it. But
a scan that is whole decodes to the same picture whatever stands between it and its marker, and one that is
short takes what stands there for pixels. So pictures that hold such grey are decoded once more with something
put there; no others are, but progressive ones, whose missing scans leave the picture blurred. Where nothing
is missing but a part of the last block, or progressive scans from one on, this sees nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]

_FILL = 128
_BLOCK = 8
_SCAN_ENDS = re.compile(rb"\xff[\xd0-\xd7\xd9]")
_PROGRESSIVE = re.compile(rb"\xff[\xc2\xca]\0.\x08", re.DOTALL)
_JUNK = b"\x5a\xa7\x13\xe9" * 64


def is_short(data: bytes, scan: int, decoded: Samples, decode: Callable[[bytes], Samples]) -> bool:
    """Whether a JPEG stream holds fewer pixels than its header says.

    Parameters
    ----------
    data : bytes
        The stream, with or without its headers.
    scan : int
        Where its pixels begin.
    decoded : ndarray
        (rows, cols[, samples]) uint8 that it decodes to.
    decode : callable
        Decodes it, at any scale.
    """
    if not (_is_progressive(data[:scan]) or holds_fill(decoded)):
        return False
    return takes_what_follows(data, scan, decode(data), decode)


def takes_what_follows(data: bytes, scan: int, decoded: Samples, decode: Callable[[bytes], Samples]) -> bool:
    """Whether what stands behind a stream's pixels is taken for pixels, since some are missing.

    Parameters are those of :func:`is_short`, but that `decoded` is what `decode` gives; the stream is decoded
    once more, whatever it shows.
    """
    return not np.array_equal(decoded, decode(_with_junk(data, scan)))


def _is_progressive(header: bytes) -> bool:
    return _PROGRESSIVE.search(header) is not None


def holds_fill(decoded: Samples) -> bool:
    """Whether a block of the picture is of the one grey that libjpeg fills with."""
    if decoded.dtype != np.uint8:
        return False
    middles = [decoded[at::_BLOCK, at::_BLOCK] == _FILL for at in (_BLOCK // 2, _BLOCK // 2 + 1)]
    rows, cols = middles[1].shape[:2]
    if 0 in (rows, cols):
        return False  # a strip of a few rows holds no middle of a block
    both = middles[0][:rows, :cols] & middles[1]
    return bool(both.reshape(rows, cols, -1).all(axis=2).any())


def _with_junk(data: bytes, scan: int) -> bytes:
    """Put bytes that are no marker before each end of a run of pixels, and after the last one."""
    pixels = data[scan:]
    end = pixels.find(b"\xff\xd9")
    if end < 0:
        return data[:scan] + _stuffed(pixels.rstrip(b"\xff")) + _JUNK
    return data[:scan] + _stuffed(pixels[: end + 2]) + pixels[end + 2 :]


def _stuffed(pixels: bytes) -> bytes:
    return _SCAN_ENDS.sub(lambda found: _JUNK + found.group(), pixels)
