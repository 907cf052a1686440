"""How many bits of a 16-bit sample count: many cameras give 10, 12 or 14, and few files say so."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_nic.errors import DamagedSlideError
from napari_nic.slides.contrast import camera_bits, tell_bits
from napari_nic.slides.pixel_size import parse_float
from napari_nic.slides.readers.codestreams import read_jpeg2000_header
from napari_nic.slides.readers.tiff_codecs import JPEG2000_CODES
from napari_nic.slides.readers.tiff_picture import TiffPicture

_LIMIT_TAGS = (281, 341)  # MaxSampleValue, SMaxSampleValue
_SAMPLED = 16
_OVERSHOOT = 1.5
"""A level that was made smaller may go so far beyond its sharpest edges' true values."""


def settle_depth(pictures: list[TiffPicture], stated: int | None) -> list[str]:
    """Let all levels of 16-bit samples agree on how many bits count.

    Up to 16 tiles of the coarsest level are looked at: where the file says nothing, and whether what it says
    can be.

    Parameters
    ----------
    pictures : list of TiffPicture
        The pyramid, finest first.
    stated : int or None
        What the metadata say.

    Returns
    -------
    list of str
        What the user must be told.
    """
    deep = [picture for picture in pictures if picture.kind.bits == 16 and picture.kind.palette is None]
    if not deep:
        return []
    highest = _highest(deep[-1])
    bits, notices = _settled(stated or _bits_of_tags(deep[0].page) or _bits_of_stream(deep[0]), highest)
    for picture in deep:
        picture.use_bits(bits)
    return notices


def _settled(stated: int | None, highest: int) -> tuple[int, list[str]]:
    guess = camera_bits(highest)
    if stated is None:
        return guess, [tell_bits(highest, guess)] if guess < 16 else []
    if highest >= _OVERSHOOT * 2**stated:
        text = f"the file says that {stated} bits of a sample count, but values go up to {highest}"
        return guess, [f"{text}: shown as samples of {guess} bits"]
    return stated, []


def bits_of_ome(pixels: dict[str, Any]) -> int | None:
    """Return the SignificantBits of an OME Pixels element, if they make sense of 16-bit samples."""
    bits = parse_float(pixels.get("SignificantBits"))
    return int(bits) if bits is not None and 8 <= bits < 16 else None


def _bits_of_tags(page: Any) -> int | None:
    """A largest value of 1023, 4095 and so on is a camera's range; any other only says what was seen."""
    for tag in _LIMIT_TAGS:
        value = page.tags.valueof(tag)
        highest = max(value) if isinstance(value, tuple) and value else value
        if isinstance(highest, int) and 255 <= highest < 65535 and highest & (highest + 1) == 0:
            return highest.bit_length()
    return None


def _bits_of_stream(picture: TiffPicture) -> int | None:
    if picture.page.compression not in JPEG2000_CODES:
        return None
    header = read_jpeg2000_header(picture.first_bytes())
    return header.bits if header is not None and 8 <= header.bits < 16 else None


def _highest(picture: TiffPicture) -> int:
    """Return the largest colour sample among some tiles spread over a level; 0 if none can be read."""
    highest = 0
    for index in np.unique(np.linspace(0, picture.segment_count - 1, _SAMPLED).astype(int)):
        try:
            decoded = picture.decode(int(index))
        except DamagedSlideError:
            continue  # it will be named when it is looked at
        if decoded is not None:
            colors = decoded.samples[..., : picture.kind.colors]
            highest = max(highest, int(colors.max(initial=0)))
    return highest
