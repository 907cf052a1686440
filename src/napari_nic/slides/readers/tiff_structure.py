"""Whether the directories of a TIFF file can be walked at all: looked at before any library does.

Libraries trust a file: tifffile follows a circle of directories for ever, and OpenSlide ends the process when
a tile is said to be larger than memory. Here every directory is read once, with plain arithmetic and bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from napari_nic.errors import DamagedSlideError, UnsupportedPixelsError
from napari_nic.slides.remote import binary_stream, size_of

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Little and big endian, classic and BigTIFF."""

MAX_BLOCK_PIXELS = 2**25
"""The largest tile that is decoded at once (100 MB as RGB)."""

MAX_PAGES, MAX_TAGS = 2**16, 1024
MAX_SIDE = 2**31 - 1

_NDPI_TAG = 65420
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_SIZES |= {16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_STRIP_OFFSETS, _STRIP_ROWS, _STRIP_SIZES, _PLANAR, _SUBIFDS = 273, 278, 279, 284, 330
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_NAMES = {
    _WIDTH: "image width",
    _LENGTH: "image height",
    _BITS: "bits of a sample",
    _COMPRESSION: "compression",
    _PHOTOMETRIC: "photometric interpretation",
    _SAMPLES: "samples of a pixel",
    _STRIP_ROWS: "rows of a strip",
    _PLANAR: "planar configuration",
    _TILE_WIDTH: "tile width",
    _TILE_LENGTH: "tile height",
}
_SINGLE = (_WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _STRIP_ROWS, _PLANAR)
_SINGLE_OF_TILES = (_TILE_WIDTH, _TILE_LENGTH)
_HINT = "the file was cut off or damaged: copy it again from where it came"


@dataclass(frozen=True)
class _Entry:
    """A tag: type, number of values, and where these stand in the file."""

    kind: int
    count: int
    at: int


@dataclass(frozen=True)
class _Layout:
    """How numbers and links are written in this file."""

    order: str
    count: str
    tag: str
    link: str
    inline: int

    @property
    def tag_size(self) -> int:
        return struct.calcsize(self.order + self.tag)


class _Walk:
    """Reads the directories of one open file, each once."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self._stream = path, stream
        self._size = size_of(path)
        head = stream.read(16)
        order = "<" if head[:2] == b"II" else ">"
        if head[2:4] in (b"+\0", b"\0+"):
            self._layout = _Layout(order, "Q", "HHQ8s", "Q", 8)
            self.first = self._number(head[8:16], "Q")
        else:
            self._layout = _Layout(order, "H", "HHI4s", "I", 4)
            self.first = self._number(head[4:8], "I")
        self.is_ndpi = False
        self._detect_ndpi(head)
        self._seen: set[int] = set()

    def _detect_ndpi(self, head: bytes) -> None:
        """A Hamamatsu NDPI is a classic TIFF whose links have 64 bits; its first directory tells."""
        if head[:4] != TIFF_MAGIC[0]:
            return
        classic, first = self._layout, self.first
        self._layout = _Layout("<", "H", "HHI4s", "Q", 4)
        self.first = self._number(head[4:12], "Q")
        try:
            self.is_ndpi = _NDPI_TAG in self._directory(self.first)[0]
        except DamagedSlideError:
            self.is_ndpi = False
        if not self.is_ndpi:
            self._layout, self.first = classic, first

    def pages(self) -> Iterator[tuple[int, Mapping[int, _Entry]]]:
        """Yield (number, tags) of all directories, those below others too."""
        at, number = self.first, 0
        while at:
            self._enter(at)
            tags, following = self._directory(at)
            yield number, tags
            yield from self._below(number, tags)
            at, number = following, number + 1

    def _below(self, number: int, tags: Mapping[int, _Entry]) -> Iterator[tuple[int, Mapping[int, _Entry]]]:
        waiting = [*self._sub_links(tags)]
        while waiting:
            at = waiting.pop()
            if at:
                self._enter(at)
                below, _ = self._directory(at)
                yield number, below
                waiting += self._sub_links(below)

    def _sub_links(self, tags: Mapping[int, _Entry]) -> list[int]:
        entry = tags.get(_SUBIFDS)
        if entry is None:
            return []
        if entry.count > MAX_PAGES:
            raise self.damaged("a directory of the file lists more directories than can be", f"{entry.count}")
        return self.numbers(entry, "directories")

    def _enter(self, at: int) -> None:
        if at in self._seen:
            raise self.damaged("the directories of the file form a circle", f"the one at byte {at} twice")
        if len(self._seen) >= MAX_PAGES:
            raise UnsupportedPixelsError(
                f"the TIFF file holds more than {MAX_PAGES} pictures, which no slide does",
                path=self.path,
                hint="copy the pictures that are meant into a file of their own",
            )
        self._seen.add(at)

    def _directory(self, at: int) -> tuple[dict[int, _Entry], int]:
        """Return the tags of the directory at a byte, and the link to the next one."""
        layout, link_size = self._layout, struct.calcsize("<" + self._layout.link)
        count_size = struct.calcsize("<" + layout.count)
        count = self._number(self._read(at, count_size, "directory"), layout.count)
        if not 0 < count <= MAX_TAGS:
            raise self.damaged("a directory of the TIFF file cannot be", f"{count} tags at byte {at}")
        size = layout.tag_size
        body = self._read(at + count_size, count * size + link_size, "directory")
        value_at = size - layout.inline
        tags: dict[int, _Entry] = {}
        for place in range(0, count * size, size):
            code, kind, number, value = struct.unpack_from(layout.order + layout.tag, body, place)
            where = at + count_size + place + value_at
            if number * _TYPE_SIZES.get(kind, 1) > layout.inline:
                where = self._number(value, "I" if layout.inline == 4 else "Q")
            tags.setdefault(code, _Entry(kind, number, where))
        return tags, self._number(body[count * size :], layout.link)

    def numbers(self, entry: _Entry, what: str) -> list[int]:
        """Return the whole numbers of a tag."""
        code = _WHOLE_NUMBERS.get(entry.kind)
        if code is None:
            raise self.damaged(f"{what} of the TIFF file are no whole numbers", f"type {entry.kind}")
        data = self._read(entry.at, entry.count * _TYPE_SIZES[entry.kind], what)
        return list(struct.unpack(f"{self._layout.order}{entry.count}{code}", data))

    def holds(self, entry: _Entry) -> bool:
        """Whether the values of a tag lie within the file."""
        size = entry.count * _TYPE_SIZES.get(entry.kind, 1)
        # The upper halves of an NDPI's offsets stand elsewhere.
        return size <= self._size and (self.is_ndpi or entry.at + size <= self._size)

    def _read(self, at: int, size: int, what: str) -> bytes:
        if at + size > self._size:
            raise self.damaged(
                f"{what} of the TIFF file past its end",
                f"{self._size} bytes",
                f"more than {at + size - 1} bytes",
            )
        self._stream.seek(at)
        return self._stream.read(size)

    def _number(self, data: bytes, code: str) -> int:
        whole = data.ljust(struct.calcsize("<" + code), b"\0")
        value: int = struct.unpack_from(self._layout.order + code, whole)[0]
        return value

    def damaged(self, problem: str, found: str, expected: str | None = None) -> DamagedSlideError:
        return DamagedSlideError(problem, path=self.path, expected=expected, found=found, hint=_HINT)


def check_structure(path: Path) -> bool:
    """Walk all directories of a TIFF file and refuse what cannot be read with bounded time and memory.

    Returns
    -------
    bool
        Whether it is a Hamamatsu NDPI, whose links are longer than its magic says.

    Raises
    ------
    DamagedSlideError
        If directories form a circle or lie past the file's end, or contradict themselves.
    UnsupportedPixelsError
        If tiles are larger than :data:`MAX_BLOCK_PIXELS`, or the pages without number.
    """
    with binary_stream(path) as stream:
        walk = _Walk(path, stream)
        if not walk.first:
            raise walk.damaged("the TIFF file holds no directory", "a link to byte 0")
        for number, tags in walk.pages():
            _check_page(walk, number, tags)
        return walk.is_ndpi


def tiff_is_absurd(path: Path) -> str | None:
    """Return why a TIFF file must not be handed to any library; None if it may, or is no TIFF file."""
    with path.open("rb") as stream:
        if stream.read(4) not in TIFF_MAGIC:
            return None
    try:
        check_structure(path)
    except (DamagedSlideError, UnsupportedPixelsError) as error:
        return error.problem
    return None


def _check_page(walk: _Walk, number: int, tags: Mapping[int, _Entry]) -> None:
    is_tiled = _TILE_WIDTH in tags or _TILE_LENGTH in tags
    values = {}
    for code in _SINGLE + (_SINGLE_OF_TILES if is_tiled else ()):
        if code in tags:
            if tags[code].count != 1:
                raise walk.damaged(
                    f"page {number}: the {_NAMES[code]} is stated {tags[code].count} times", ""
                )
            values[code] = walk.numbers(tags[code], _NAMES[code])[0]
    sides = (_WIDTH, _LENGTH, *(_SINGLE_OF_TILES if is_tiled else ()))
    for code in sides:
        if not 0 < values.get(code, 0) <= MAX_SIDE:
            found = f"{values.get(code, 'nothing')}"
            raise walk.damaged(f"page {number}: the {_NAMES[code]} cannot be", found, f"1 to {MAX_SIDE}")
    for code in (_SAMPLES, _PLANAR, _COMPRESSION):
        if values.get(code, 1) == 0 or (code == _PLANAR and values.get(code, 1) > 2):
            raise walk.damaged(f"page {number}: the {_NAMES[code]} cannot be", f"{values[code]}")
    _check_bits(walk, number, tags)
    if is_tiled and values[_TILE_WIDTH] * values[_TILE_LENGTH] > MAX_BLOCK_PIXELS:
        raise UnsupportedPixelsError(
            f"page {number}: tiles of {values[_TILE_LENGTH]} x {values[_TILE_WIDTH]} px are too large",
            path=walk.path,
            expected=f"at most {MAX_BLOCK_PIXELS} px a tile",
            hint="write the slide anew with smaller tiles, as 'vips tiffsave IN OUT --tile' does",
        )
    _check_segments(walk, number, tags, values, is_tiled)


def _check_bits(walk: _Walk, number: int, tags: Mapping[int, _Entry]) -> None:
    entry = tags.get(_BITS)
    if entry is None:
        return
    bits = walk.numbers(entry, _NAMES[_BITS]) if 0 < entry.count <= MAX_TAGS else []
    if not bits or not all(0 < value <= 128 for value in bits):
        raise walk.damaged(f"page {number}: the {_NAMES[_BITS]} cannot be", f"{bits[:4] or entry.count}")


def _check_segments(
    walk: _Walk, number: int, tags: Mapping[int, _Entry], values: Mapping[int, int], is_tiled: bool
) -> None:
    """Refuse fewer offsets or sizes than the picture has tiles: what is missing would be taken for glass."""
    offsets, sizes = (_TILE_OFFSETS, _TILE_SIZES) if is_tiled else (_STRIP_OFFSETS, _STRIP_SIZES)
    if offsets not in tags:
        return  # old-style JPEG has none, and is refused by its name
    if is_tiled:
        down, across = -(-values[_LENGTH] // values[_TILE_LENGTH]), -(-values[_WIDTH] // values[_TILE_WIDTH])
    else:
        down, across = -(-values[_LENGTH] // max(1, values.get(_STRIP_ROWS, MAX_SIDE))), 1
    planes = values.get(_SAMPLES, 1) if values.get(_PLANAR, 1) == 2 else 1
    needed = down * across * planes
    if sizes in tags and tags[sizes].count != tags[offsets].count:
        found = f"{tags[offsets].count} offsets, {tags[sizes].count} sizes"
        raise walk.damaged(f"page {number}: the offsets of its tiles are not as many as their sizes", found)
    for code in (offsets, sizes):
        entry = tags.get(code)
        if entry is None:
            continue  # uncompressed pages may leave out the sizes
        if entry.count < needed:
            raise walk.damaged(
                f"page {number} lists fewer {'tiles' if is_tiled else 'strips'} than its size needs",
                f"{entry.count}",
                f"{needed}",
            )
        if not walk.holds(entry):
            raise walk.damaged(
                f"page {number}: the list of its tiles lies past the file's end", f"{entry.count}"
            )
