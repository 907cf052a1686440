"""Write TIFF directories: the same tags in the same order, with new places for tiles."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from napari_nic.errors import StoreError
from napari_nic.recompression.layout import (
    IFD,
    IFD8,
    LONG,
    LONG8,
    Directory,
    Layout,
    Segment,
    Tag,
    TiffFormat,
    segment_tags,
)

_LARGEST = {1: 2**8, 3: 2**16, LONG: 2**32, LONG8: 2**64}
MAX_CLASSIC = 2**32 - 1
SHARED = 1024
"""Bytes of values, such as a colour profile, that are written once for all pages that have the same."""


def with_segments(directory: Directory, segments: Sequence[Segment], form: TiffFormat) -> Directory:
    """Return a directory whose tiles lie elsewhere.

    Parameters
    ----------
    directory : Directory
        With as many tiles.
    segments : sequence of Segment
    form : TiffFormat
        Of the file that is written.
    """
    pair = segment_tags(directory)
    if pair is None:
        return directory
    offsets, sizes = pair
    lengths = tuple(segment.length for segment in segments)
    kind = sizes.kind if max(lengths, default=0) < _LARGEST.get(sizes.kind, 0) else LONG
    link = LONG8 if form.is_big else LONG
    return directory.with_tags(
        {
            offsets.code: Tag.of(offsets.code, link, tuple(s.offset for s in segments), form.order),
            sizes.code: Tag.of(sizes.code, kind, lengths, form.order),
        }
    )


def write_directories(stream: BinaryIO, layout: Layout, path: Path) -> None:
    """Write all directories where the stream stands, and the header that leads to them.

    Raises
    ------
    StoreError
        If they would lie where the links of a classic TIFF do not reach.
    """
    try:
        first = _Writer(stream, layout.form).chain(layout.chain)
        stream.seek(0)
        stream.write(layout.form.header(first))
        stream.seek(0, 2)
    except struct.error as error:
        raise StoreError(
            "the file would be larger than its kind of TIFF can be",
            path=path,
            found="a classic TIFF, which ends at 4 GiB",
        ) from error


class _Writer:
    """Writes directories one after the other; long values that several share are written once."""

    def __init__(self, stream: BinaryIO, form: TiffFormat) -> None:
        self._stream, self._form = stream, form
        self._shared: dict[bytes, int] = {}

    def chain(self, chain: Sequence[Directory]) -> int:
        """Write directories that lead to each other; return the place of the first, 0 if there is none."""
        first, link_at = 0, 0
        for directory in chain:
            at, next_link = self._directory(directory)
            if link_at:
                end = self._stream.tell()
                self._stream.seek(link_at)
                self._stream.write(struct.pack(self._form.order + self._form.link, at))
                self._stream.seek(end)
            first, link_at = first or at, next_link
        return first

    def _directory(self, directory: Directory) -> tuple[int, int]:
        """Write one directory, after those below it; return its place and that of its link to the next."""
        form, entries = self._form, []
        done: set[int] = set()
        for tag in directory.tags:
            written = tag
            if tag.code in directory.below and tag.code not in done:
                done.add(tag.code)
                links = tuple(self.chain(chain) for chain in directory.below[tag.code])
                written = Tag.of(tag.code, _link_kind(tag.kind, form), links, form.order)
            entries.append(self._entry(written))
        at = self._align()
        self._stream.write(struct.pack(form.order + form.count, len(entries)))
        self._stream.write(b"".join(entries))
        link_at = self._stream.tell()
        self._stream.write(bytes(form.inline))
        return at, link_at

    def _entry(self, tag: Tag) -> bytes:
        """Return the entry of a tag; values that do not fit in it are written before."""
        form = self._form
        if len(tag.data) <= form.inline:
            value = tag.data.ljust(form.inline, b"\0")
        else:
            value = struct.pack(form.order + form.link, self._values(tag.data))
        return struct.pack(form.order + form.entry, tag.code, tag.kind, tag.count, value)

    def _values(self, data: bytes) -> int:
        """Write values, unless they are there; return their place."""
        known = self._shared.get(data) if len(data) >= SHARED else None
        if known is not None:
            return known
        at = self._align()
        self._stream.write(data)
        if len(data) >= SHARED:
            self._shared[data] = at
        return at

    def _align(self) -> int:
        """Go to a multiple of a word; return where that is."""
        self._stream.write(bytes(-self._stream.tell() % (8 if self._form.is_big else 2)))
        return self._stream.tell()


def _link_kind(kind: int, form: TiffFormat) -> int:
    if not form.is_big:
        return kind
    return IFD8 if kind in (IFD, IFD8) else LONG8
