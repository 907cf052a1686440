"""The directories of a TIFF file as they stand there: all tags as bytes, all pages, where each tile lies.

Nothing is decoded and nothing is left out: private tags, directories below others and the order of all of
them are kept, so that a file can be written again with other tiles and everything else as it was.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_nic.errors import DamagedSlideError

Read = Callable[[int, int], bytes]
"""``read(offset, size)`` gives exactly so many bytes of a file, or raises."""

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR = 256, 257, 258, 259, 262, 277, 284
ORIENTATION, TILE_WIDTH, TILE_LENGTH = 274, 322, 323
STRIP_OFFSETS, STRIP_SIZES, TILE_OFFSETS, TILE_SIZES = 273, 279, 324, 325
JPEG_TABLES, CHROMA_STEPS, CHROMA_PLACE = 347, 530, 531
POINTERS = (330, 400, 34665, 34853, 40965)
"""Tags that lead to other directories: SubIFDs, GlobalParameters, EXIF, GPS, interoperability."""

LONG, IFD, LONG8, IFD8 = 4, 13, 16, 18
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZES |= {16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_DIRECTORIES, _MAX_TAGS = 2**16, 1024
_HINT = "the file was cut off or damaged: copy it again from where it came"


@dataclass(frozen=True)
class TiffFormat:
    """How numbers and links are written.

    Attributes
    ----------
    order : str
        ``"<"`` or ``">"``, as :mod:`struct` writes byte order.
    is_big : bool
        Whether it is a BigTIFF, whose links have 64 bits.
    """

    order: str
    is_big: bool

    @property
    def header_size(self) -> int:
        """Bytes before anything else."""
        return 16 if self.is_big else 8

    @property
    def link(self) -> str:
        """Code of a link, as :mod:`struct` writes it."""
        return "Q" if self.is_big else "I"

    @property
    def inline(self) -> int:
        """Bytes of values that stand in their entry."""
        return 8 if self.is_big else 4

    @property
    def count(self) -> str:
        """Code of the number of entries."""
        return "Q" if self.is_big else "H"

    @property
    def entry(self) -> str:
        """Codes of an entry: tag, type, number of values, and their place or themselves."""
        return "HHQ8s" if self.is_big else "HHI4s"

    def header(self, first: int) -> bytes:
        """Return a file's first bytes, with the link to its first directory."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.is_big:
            return mark + struct.pack(f"{self.order}HHHQ", 43, 8, 0, first)
        return mark + struct.pack(f"{self.order}HI", 42, first)


@dataclass(frozen=True)
class Tag:
    """One entry: its values as bytes, in the file's byte order.

    Attributes
    ----------
    code, kind, count : int
        Number of the tag, type, and number of values.
    data : bytes
    at : int
        Where the values were read, unless they stand in the entry itself; 0 otherwise.
    """

    code: int
    kind: int
    count: int
    data: bytes
    at: int = field(default=0, compare=False)

    def numbers(self, order: str) -> tuple[int, ...]:
        """Return the values as whole numbers.

        Raises
        ------
        ValueError
            If they are none.
        """
        code = _WHOLE_NUMBERS.get(self.kind)
        if code is None or len(self.data) < self.count * TYPE_SIZES[self.kind]:
            raise ValueError(f"tag {self.code} holds no whole numbers")
        return struct.unpack_from(f"{order}{self.count}{code}", self.data)

    @classmethod
    def of(cls, code: int, kind: int, values: tuple[int, ...], order: str) -> Tag:
        """Make a tag of whole numbers."""
        data = struct.pack(f"{order}{len(values)}{_WHOLE_NUMBERS[kind]}", *values)
        return cls(code, kind, len(values), data)


@dataclass(frozen=True)
class Directory:
    """One page, or one that a page leads to.

    Attributes
    ----------
    tags : tuple of Tag
        In the file's order; the values of those that lead to directories are of no meaning.
    below : mapping of int to tuple of tuple of Directory
        Tag -> for each link the chain of directories that begins there.
    """

    tags: tuple[Tag, ...]
    below: Mapping[int, tuple[tuple[Directory, ...], ...]] = field(default_factory=dict)

    def tag(self, code: int) -> Tag | None:
        """Return a tag; None if it is not there."""
        return next((tag for tag in self.tags if tag.code == code), None)

    def with_tags(self, tags: Mapping[int, Tag | None]) -> Directory:
        """The same with some tags replaced, added at their place, or (None) left out."""
        kept = [tags.get(tag.code, tag) for tag in self.tags]
        known = {tag.code for tag in self.tags}
        found = [tag for tag in kept if tag is not None]
        for code, tag in tags.items():
            if code not in known and tag is not None:
                place = next((n for n, other in enumerate(found) if other.code > code), len(found))
                found.insert(place, tag)
        return Directory(tuple(found), self.below)

    def every(self) -> Iterator[Directory]:
        """Yield this directory and all below it, each before those that it leads to."""
        yield self
        for chains in self.below.values():
            for chain in chains:
                for directory in chain:
                    yield from directory.every()


@dataclass(frozen=True)
class Segment:
    """Where the bytes of a tile or strip lie; of length 0 where it is missing."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


@dataclass(frozen=True)
class Layout:
    """All directories of a file, and how they are written."""

    form: TiffFormat
    chain: tuple[Directory, ...]

    def every(self) -> list[Directory]:
        """All directories, those below others too, in a fixed order."""
        return [directory for top in self.chain for directory in top.every()]


def read_layout(read: Read, size: int, path: Path) -> Layout:
    """Read all directories of a TIFF file.

    Parameters
    ----------
    read : callable
        ``read(offset, size) -> bytes``.
    size : int
        Of the file, bytes.
    path : Path
        For messages.

    Raises
    ------
    DamagedSlideError
        If directories form a circle, lie past the end, or are without number.
    """
    return _Reader(read, size, path).layout()


class _Reader:
    """Reads each directory once."""

    def __init__(self, read: Read, size: int, path: Path) -> None:
        self._read_bytes, self._size, self._path = read, size, path
        self._seen: set[int] = set()
        head = self._read(0, 8)
        marks = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
        if head[:4] not in marks:
            raise self._damaged("no TIFF file", f"it starts with {head[:4]!r}")
        self.form = TiffFormat(*marks[head[:4]])

    def layout(self) -> Layout:
        form = self.form
        (first,) = struct.unpack(
            form.order + form.link, self._read(form.header_size - form.inline, form.inline)
        )
        return Layout(form, self._chain(first))

    def _chain(self, at: int) -> tuple[Directory, ...]:
        found = []
        while at:
            if at in self._seen or len(self._seen) >= _MAX_DIRECTORIES:
                raise self._damaged("the directories of the file form a circle or have no end", f"byte {at}")
            self._seen.add(at)
            directory, at = self._directory(at)
            found.append(directory)
        return tuple(found)

    def _directory(self, at: int) -> tuple[Directory, int]:
        form = self.form
        count_size, entry_size = struct.calcsize("<" + form.count), struct.calcsize("<" + form.entry)
        (count,) = struct.unpack(form.order + form.count, self._read(at, count_size))
        if not 0 < count <= _MAX_TAGS:
            raise self._damaged("a directory of the TIFF file cannot be", f"{count} tags at byte {at}")
        body = self._read(at + count_size, count * entry_size + form.inline)
        tags = tuple(self._tag(body[n : n + entry_size]) for n in range(0, count * entry_size, entry_size))
        (following,) = struct.unpack(form.order + form.link, body[count * entry_size :])
        below = {}
        for tag in tags:
            if tag.code in POINTERS and tag.code not in below:
                below[tag.code] = tuple(self._chain(link) for link in self._links(tag))
        return Directory(tags, below), following

    def _tag(self, entry: bytes) -> Tag:
        form = self.form
        code, kind, count, value = struct.unpack(form.order + form.entry, entry)
        size = count * TYPE_SIZES.get(kind, 0)
        if kind not in TYPE_SIZES or size <= form.inline:
            return Tag(code, kind, count, value)
        (where,) = struct.unpack(form.order + form.link, value)
        return Tag(code, kind, count, self._read(where, size), where)

    def _links(self, tag: Tag) -> tuple[int, ...]:
        try:
            return tag.numbers(self.form.order)
        except ValueError as error:
            raise self._damaged("a link to a directory is no whole number", str(error)) from error

    def _read(self, at: int, size: int) -> bytes:
        if at + size > self._size:
            raise self._damaged("the TIFF file ends before its directories", f"{self._size} bytes")
        return self._read_bytes(at, size)

    def _damaged(self, problem: str, found: str) -> DamagedSlideError:
        return DamagedSlideError(problem, path=self._path, found=found, hint=_HINT)


def segment_tags(directory: Directory) -> tuple[Tag, Tag] | None:
    """Return the tags that list where tiles or strips lie and how long they are; None if it has no pixels."""
    for offsets, sizes in ((TILE_OFFSETS, TILE_SIZES), (STRIP_OFFSETS, STRIP_SIZES)):
        pair = directory.tag(offsets), directory.tag(sizes)
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def segments_of(directory: Directory, order: str, size: int) -> tuple[Segment, ...]:
    """Return where the tiles or strips of a directory lie; those that reach past the end are cut there.

    Parameters
    ----------
    directory : Directory
    order : str
        Byte order.
    size : int
        Of the file, bytes.

    Raises
    ------
    ValueError
        If they are not listed as whole numbers, or begin past the end.
    """
    pair = segment_tags(directory)
    if pair is None:
        if any(directory.tag(code) for code in (TILE_OFFSETS, STRIP_OFFSETS)):
            raise ValueError("a page does not say how long its tiles are")
        return ()
    offsets, sizes = (tag.numbers(order) for tag in pair)
    if len(offsets) != len(sizes):
        raise ValueError(f"a page lists {len(offsets)} tiles and {len(sizes)} lengths")
    found = []
    for offset, length in zip(offsets, sizes, strict=True):
        if not offset or not length:
            found.append(Segment(0, 0))
        elif offset >= size:
            raise ValueError("a tile lies past the end of the file")
        else:
            found.append(Segment(offset, min(length, size - offset)))
    return tuple(found)
