"""What a file of ours says of the one that it was made of: enough to make that one again, byte for byte.

It stands in a private tag (number 65330, type UNDEFINED) of the first directory:

============  ======================================================================================
bytes         content
============  ======================================================================================
8             ``NICRECMP``
4             length of the text that follows, big endian
so many       JSON: ``version``, ``mode``, ``name``, ``size`` and ``sha256`` of the original, ``data`` (begin,
              end and SHA-256 of the tiles' bytes in this file), ``payload`` (size and SHA-256),
              ``borrowed``; ``deidentified`` where the original was itself made of a slide, whose names it
              lacks
the rest      the payload, packed by zlib
============  ======================================================================================

The payload, of numbers with 64 bits, big endian: the number of gaps; offset and length of each; the number of
tiles; one byte for each (see :mod:`napari_nic.recompression.codecs`); then the bytes of all gaps. Gaps are
what of the original lies in no tile: header, directories, tags, padding. Long values of tags, such as a
colour profile, are left out of these bytes where this file has the same tag: ``borrowed`` lists for each its
place among the bytes of all gaps, its length, the number of the directory and the tag's. A file whose tiles
cannot be restored has neither gaps nor tiles there.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.recompression.layout import Layout, Segment, Tag

TAG, _UNDEFINED = 65330, 7
_MAGIC, _VERSION = b"NICRECMP", 1
MAX_GAPS = 2**28
"""Bytes of an original that may lie in no tile; they are kept in memory."""
_MAX_TEXT = 2**20
_LONG = 1024
"""Bytes of a tag's values from which they are borrowed."""


class Borrowed(NamedTuple):
    """Bytes of the original that a tag of the new file holds.

    Attributes
    ----------
    place, length : int
        Among the bytes of all gaps.
    directory, tag : int
        Number of the directory, and the tag's.
    """

    place: int
    length: int
    directory: int
    tag: int


@dataclass(frozen=True)
class Recipe:
    """How the original is made again.

    Attributes
    ----------
    mode : str
    name : str
        Of the original file.
    size : int
        Of the original, bytes.
    sha256 : str
        Of the original.
    data : Segment
        Where the tiles lie in the file that holds the recipe.
    data_sha256 : str
        Of these bytes.
    bits : bytes
        One for each tile of all pages; empty where the original cannot be made again.
    gaps : tuple of Segment
        What of the original lies in no tile.
    content : bytes
        The bytes of the gaps.
    is_deidentified : bool
        Whether what is called the original here is a slide without the names that it once had.
    """

    mode: str
    name: str
    size: int
    sha256: str
    data: Segment
    data_sha256: str
    bits: bytes = b""
    gaps: tuple[Segment, ...] = ()
    content: bytes = b""
    is_deidentified: bool = False
    _starts: list[int] = field(init=False, repr=False, compare=False)
    _places: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places, at = [], 0
        for gap in self.gaps:
            places.append(at)
            at += gap.length
        object.__setattr__(self, "_starts", [gap.offset for gap in self.gaps])
        object.__setattr__(self, "_places", places)

    @property
    def can_restore(self) -> bool:
        """Whether the original's bytes can be had back."""
        return bool(self.gaps)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the original that lie in one gap.

        Raises
        ------
        DamagedSlideError
            If they do not.
        """
        at = bisect_right(self._starts, offset) - 1
        if at < 0 or offset + size > self.gaps[at].end:
            raise DamagedSlideError(
                "what is kept of the original file does not hold its directories", found=f"byte {offset}"
            )
        start = self._places[at] + offset - self.gaps[at].offset
        return self.content[start : start + size]

    def borrowings(self, before: Layout, after: Layout) -> list[Borrowed]:
        """List long values of tags that both files have: they need not be kept twice.

        Parameters
        ----------
        before, after : Layout
            Of the original as it was read, and of the file that is written.
        """
        found: list[Borrowed] = []
        if not self.can_restore:
            return found
        end = 0
        tags = [
            (tag, number)
            for number, (old, new) in enumerate(zip(before.every(), after.every(), strict=True))
            for tag in old.tags
            if tag.at and len(tag.data) >= _LONG and new.tag(tag.code) == tag
        ]
        for tag, number in sorted(tags, key=lambda item: item[0].at):
            at = bisect_right(self._starts, tag.at) - 1
            place = self._places[at] + tag.at - self.gaps[at].offset
            if tag.at + len(tag.data) <= self.gaps[at].end and place >= end:
                found.append(Borrowed(place, len(tag.data), number, tag.code))
                end = place + len(tag.data)
        return found

    def to_tag(self, borrowed: Sequence[Borrowed] = ()) -> Tag:
        """Return the tag that holds it, without what is borrowed from other tags."""
        content, at = [], 0
        for part in borrowed:
            content.append(self.content[at : part.place])
            at = part.place + part.length
        content.append(self.content[at:])
        numbers = [
            len(self.gaps),
            *(n for gap in self.gaps for n in (gap.offset, gap.length)),
            len(self.bits),
        ]
        payload = struct.pack(f">{len(numbers)}Q", *numbers) + self.bits + b"".join(content)
        facts = {
            "version": _VERSION,
            "mode": self.mode,
            "name": self.name,
            "size": self.size,
            "sha256": self.sha256,
            "data": {"start": self.data.offset, "end": self.data.end, "sha256": self.data_sha256},
            "payload": {"size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()},
            "borrowed": [list(part) for part in borrowed],
        }
        facts |= {"deidentified": True} if self.is_deidentified else {}
        text = json.dumps(facts).encode("ascii")
        data = _MAGIC + struct.pack(">I", len(text)) + text + zlib.compress(payload, 9)
        return Tag(TAG, _UNDEFINED, len(data), data)


def recipe_of(layout: Layout, path: Path) -> Recipe | None:
    """Return the recipe that a file holds; None if it holds none.

    Raises
    ------
    DamagedSlideError
        If it is damaged.
    UnreadableSlideError
        If a later version of the program wrote it.
    """
    tag = layout.chain[0].tag(TAG) if layout.chain else None
    if tag is None or not tag.data.startswith(_MAGIC):
        return None
    try:
        facts, payload = _unpack(tag.data)
        version = facts["version"]
        if version == _VERSION:
            return _recipe(facts, payload, layout)
    except (
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        RecursionError,
        zlib.error,
        struct.error,
    ) as error:
        raise DamagedSlideError(
            "what the file says of its original is damaged",
            path=path,
            found=str(error),
            hint="copy the file again from where it came",
        ) from error
    raise UnreadableSlideError(
        "written by a later version of the program", path=path, found=f"version {version}", hint="update it"
    )


def _unpack(data: bytes) -> tuple[Mapping[str, Any], bytes]:
    """Return the JSON and the payload, after comparing sizes and checksum."""
    (length,) = struct.unpack_from(">I", data, len(_MAGIC))
    if length > _MAX_TEXT:
        raise ValueError(f"{length} bytes of text")
    begin = len(_MAGIC) + 4
    facts = json.loads(data[begin : begin + length])
    size = int(facts["payload"]["size"])
    if not 0 <= size <= 2 * MAX_GAPS:
        raise ValueError(f"a payload of {size} bytes")
    payload = zlib.decompressobj().decompress(data[begin + length :], size + 1)
    if len(payload) != size or hashlib.sha256(payload).hexdigest() != facts["payload"]["sha256"]:
        raise ValueError("its checksum does not fit")
    return facts, payload


def _recipe(facts: Mapping[str, Any], payload: bytes, layout: Layout) -> Recipe:
    (count,) = struct.unpack_from(">Q", payload)
    if count > len(payload) // 16:
        raise ValueError(f"{count} gaps")
    numbers = struct.unpack_from(f">{2 * count + 1}Q", payload, 8)
    gaps = tuple(Segment(*numbers[n : n + 2]) for n in range(0, 2 * count, 2))
    begin, tiles = 8 * (2 * count + 2), numbers[-1]
    content = _given_back(payload[begin + tiles :], [Borrowed(*part) for part in facts["borrowed"]], layout)
    if sum(gap.length for gap in gaps) != len(content):
        raise ValueError("gaps of other lengths than stated")
    data = facts["data"]
    start, end = int(data["start"]), int(data["end"])
    return Recipe(
        mode=str(facts["mode"]),
        name=str(facts["name"]),
        size=int(facts["size"]),
        sha256=str(facts["sha256"]),
        data=Segment(start, end - start),
        data_sha256=str(data["sha256"]),
        bits=payload[begin : begin + tiles],
        gaps=gaps,
        content=content,
        is_deidentified=facts.get("deidentified") is True,
    )


def _given_back(content: bytes, borrowed: Sequence[Borrowed], layout: Layout) -> bytes:
    """Put the values of tags back among the bytes of the gaps."""
    directories = layout.every()
    parts, taken, length = [], 0, 0
    for part in borrowed:
        tag = directories[part.directory].tag(part.tag)
        if tag is None or len(tag.data) != part.length or part.place < length:
            raise ValueError(f"tag {part.tag} of directory {part.directory} is another one")
        own = content[taken : taken + part.place - length]
        parts += [own, tag.data]
        taken, length = taken + len(own), part.place + part.length
    return b"".join([*parts, content[taken:]])
