"""How a file holds its pictures: bytes and codec of each level."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_nic.errors import UnreadableSlideError
from napari_nic.recompression.source import Page, TiffSource
from napari_nic.slides import Slide

CODEC_NAMES = {
    1: "none",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "deflate",
    32946: "deflate",
    33003: "JPEG 2000 (YCbCr)",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    33007: "JPEG",
    34712: "JPEG 2000",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    60001: "AVIF",
}
"""By TIFF's number."""


@dataclass(frozen=True)
class StoredLevel:
    """A level of the pyramid, or all that is no level.

    Attributes
    ----------
    level : int or None
        Index among the slide's levels; None for labels, other pictures, tags, padding.
    shape : (int, int) or None
        (rows, cols) of the level.
    codec : str
    tiles, missing : int
        Tiles that are stored, and places without any bytes.
    size : int
        Bytes.
    """

    level: int | None
    shape: tuple[int, int] | None
    codec: str
    tiles: int
    missing: int
    size: int

    @property
    def bits_per_pixel(self) -> float | None:
        """Bits of the file for each pixel of the level."""
        return None if self.shape is None else 8 * self.size / (self.shape[0] * self.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"bits_per_pixel": self.bits_per_pixel}


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def stored_levels(slide: Slide) -> tuple[StoredLevel, ...]:
    """Return what a slide's levels take, and what is left of the file; if it is no TIFF the sum alone.

    Parameters
    ----------
    slide : Slide
        Open.
    """
    whole = size_of(slide.path)
    try:
        with TiffSource(slide.path) as source:
            levels = tuple(_of_pages(slide, source.pages))
    except UnreadableSlideError:
        return (StoredLevel(None, None, "", 0, 0, whole),)
    rest = whole - sum(level.size for level in levels)
    return (*levels, StoredLevel(None, None, "", 0, 0, rest))


def _of_pages(slide: Slide, pages: tuple[Page, ...]) -> list[StoredLevel]:
    free = list(pages)
    found = []
    for number, level in enumerate(slide.levels):
        page = next((page for page in free if page.shape == level.shape), None)
        if page is None:
            continue
        free.remove(page)
        counts = Counter(segment.length > 0 for segment in page.segments)
        codec = CODEC_NAMES.get(page.compression, f"TIFF {page.compression}")
        size = page.stored_bytes()
        found.append(StoredLevel(number, level.shape, codec, counts[True], counts[False], size))
    return found
