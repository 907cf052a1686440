"""An open TIFF slide whose tiles are taken as they are stored: its pages, its bytes, whether it changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_nic.disk import check_regular
from napari_nic.errors import DamagedSlideError, SlideNotFoundError, UnreadableSlideError
from napari_nic.recompression.layout import (
    BITS,
    COMPRESSION,
    JPEG_TABLES,
    LENGTH,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    TILE_OFFSETS,
    WIDTH,
    Directory,
    Layout,
    Segment,
    read_layout,
    segments_of,
)
from napari_nic.slides.readers.tiff_structure import TIFF_MAGIC, check_structure

JPEG_CODES = frozenset({7, 33007})
_OLD_JPEG = 6
_RGB, _YCBCR = 2, 6
_PLAIN_COLORS = frozenset({0, 1, _RGB})
_OFFSETS_INSIDE = {34412: "a Zeiss LSM", 33628: "a MetaMorph stack", 65420: "a Hamamatsu NDPI"}
"""Private tags that say where other things lie in the file: it cannot be written anew."""

_OTHERWISE = "choose --mode lossy, which takes any bright-field slide that napari-nic opens"


@dataclass(frozen=True)
class Page:
    """One directory, and what its tags say of its tiles.

    Attributes
    ----------
    number : int
        Place among all directories.
    directory : Directory
    segments : tuple of Segment
        Tiles or strips, in the file's order; of length 0 where one is missing.
    order : str
        Byte order of the tags.
    """

    number: int
    directory: Directory
    segments: tuple[Segment, ...]
    order: str

    def value(self, code: int, default: int) -> int:
        """Return the first number of a tag."""
        tag = self.directory.tag(code)
        numbers = tag.numbers(self.order) if tag else ()
        return numbers[0] if numbers else default

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.value(LENGTH, 0), self.value(WIDTH, 0)

    @cached_property
    def compression(self) -> int:
        """How tiles are packed, by TIFF's number."""
        return self.value(COMPRESSION, 1)

    @cached_property
    def is_tiled(self) -> bool:
        """Whether it is cut into tiles, not strips."""
        return self.directory.tag(TILE_OFFSETS) is not None

    @cached_property
    def tables(self) -> bytes:
        """The JPEG tables that its tiles share."""
        tag = self.directory.tag(JPEG_TABLES)
        return tag.data if tag else b""

    @cached_property
    def colors(self) -> str | None:
        """What the directory says that tiles of three samples hold; None for one sample."""
        if self.value(SAMPLES, 1) != 3 or not self.is_contiguous:
            return None
        return "YCbCr" if self.value(PHOTOMETRIC, _RGB) == _YCBCR else "RGB"

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether a tile holds all samples of its pixels."""
        return self.value(PLANAR, 1) == 1

    @cached_property
    def not_jpeg(self) -> str:
        """Why its tiles are none of those JPEGs that can be packed anew; empty if they are."""
        if self.compression not in JPEG_CODES:
            return "no JPEG"
        bits = self.directory.tag(BITS)
        if bits is not None and set(bits.numbers(self.order)) != {8}:
            return "JPEG of other than 8 bits"
        samples = self.value(SAMPLES, 1)
        if self.is_contiguous:
            return "" if samples in (1, 3) else f"JPEG of {samples} samples"
        return "" if self.value(PHOTOMETRIC, 1) in _PLAIN_COLORS else "JPEG of separate chroma"

    def stored_bytes(self) -> int:
        """Bytes of all its tiles; those that lie at one place count once."""
        return sum(segment.length for segment in set(self.segments))


class TiffSource:
    """An open TIFF file; close it, or use it in a ``with`` block.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SlideNotFoundError
        If it is not there.
    UnreadableSlideError
        If it is no TIFF file, or one that cannot be written anew.
    DamagedSlideError
        If it is cut off or contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_kind(path)
        if check_structure(path):
            raise _refusal(path, _OFFSETS_INSIDE[65420])
        self._file = path.open("rb")
        try:
            self._state = _state(self._file.fileno())
            self.size = self._state[0]
            self.layout: Layout = read_layout(self.read, self.size, path)
            self.pages = pages_of(self.layout, self.size, path)
            _check_pages(self.pages, path)
        except BaseException:
            self._file.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the file.

        Raises
        ------
        DamagedSlideError
            If it has become shorter.
        """
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise self._changed("it has become shorter")
        return data

    def check_unchanged(self) -> None:
        """Raise :class:`DamagedSlideError` if the file was written to, replaced or removed meanwhile."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise self._changed("it is not there any more") from error
        if (status.st_size, status.st_mtime_ns, status.st_ino) != self._state:
            raise self._changed("it was written to or replaced")

    def _changed(self, found: str) -> DamagedSlideError:
        return DamagedSlideError(
            "the slide changed while it was read; nothing was written",
            path=self.path,
            found=found,
            hint="wait until it is written completely, then do the same again",
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pages_of(layout: Layout, size: int, path: Path) -> tuple[Page, ...]:
    """Return all directories of a file of `size` bytes as pages.

    Raises
    ------
    DamagedSlideError
        If one does not say where its tiles lie.
    """
    order = layout.form.order
    try:
        return tuple(
            Page(number, directory, segments_of(directory, order, size), order)
            for number, directory in enumerate(layout.every())
        )
    except ValueError as error:
        raise DamagedSlideError(
            "the list of tiles cannot be",
            path=path,
            found=str(error),
            hint="the file was cut off or damaged: copy it again from where it came",
        ) from error


def gaps_between(segments: Sequence[Segment], size: int) -> Iterator[Segment]:
    """Yield what of a file of `size` bytes lies in none of the segments, in order."""
    at = 0
    for segment in sorted(segments, key=lambda one: one.offset):
        if segment.length and segment.offset > at:
            yield Segment(at, segment.offset - at)
        at = max(at, segment.end if segment.length else 0)
    if at < size:
        yield Segment(at, size - at)


def _check_kind(path: Path) -> None:
    check_regular(path, UnreadableSlideError)
    if not path.exists():
        raise SlideNotFoundError("there is no such file", path=path, hint="check the path")
    if path.is_dir():
        raise UnreadableSlideError(
            "a folder, not a TIFF file", path=path, expected="a slide in one TIFF file", hint=_OTHERWISE
        )
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic not in TIFF_MAGIC:
        raise UnreadableSlideError(
            "not a TIFF file",
            path=path,
            expected="a slide in one TIFF file, such as SVS, OME-TIFF or Philips TIFF",
            found=f"it starts with {magic!r}",
            hint=_OTHERWISE,
        )


def _check_pages(pages: Sequence[Page], path: Path) -> None:
    for page in pages:
        for code, kind in _OFFSETS_INSIDE.items():
            if page.directory.tag(code) is not None:
                raise _refusal(path, kind)
        if page.compression == _OLD_JPEG:
            raise _refusal(path, "a file with old-style JPEG")


def _refusal(path: Path, kind: str) -> UnreadableSlideError:
    return UnreadableSlideError(
        f"{kind}, whose metadata say where other parts of the file lie: it cannot be written anew",
        path=path,
        hint=f"leave it as it is, or {_OTHERWISE}",
    )


def _state(handle: int) -> tuple[int, int, int]:
    status = os.fstat(handle)
    return status.st_size, status.st_mtime_ns, status.st_ino
