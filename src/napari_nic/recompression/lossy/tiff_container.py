"""TIFF files of encoded tiles: a plain pyramid, one as Aperio's, and OME-TIFF.

All are little-endian BigTIFF. Tiles come first, in the order in which they were made; pictures beside the
slide and all directories stand behind them. JPEG tiles bring their own tables.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import imagecodecs

from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression.directories import write_directories
from napari_nic.recompression.layout import (
    BITS,
    CHROMA_STEPS,
    COMPRESSION,
    IFD8,
    LENGTH,
    LONG,
    LONG8,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    STRIP_OFFSETS,
    STRIP_SIZES,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_SIZES,
    TILE_WIDTH,
    WIDTH,
    Directory,
    Layout,
    Tag,
    TiffFormat,
)
from napari_nic.recompression.lossy.codecs import RGB, SUBSAMPLINGS, YCBCR
from napari_nic.recompression.lossy.containers import ResultPlan
from napari_nic.recompression.lossy.descriptions import (
    SOFTWARE,
    aperio_associated,
    aperio_description,
    ome_xml,
    plain_description,
)
from napari_nic.recompression.lossy.journal import Placed
from napari_nic.recompression.lossy.records import Record
from napari_nic.slides import RgbArray
from napari_nic.slides.readers.learned_tiles import NETWORK_TAG

FORM = TiffFormat("<", is_big=True)
KIND, DESCRIPTION, ROWS_PER_STRIP = 254, 270, 278
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, SOFTWARE_TAG = 282, 283, 296, 305
SUB_DIRECTORIES, SAMPLE_FORMAT, ICC_PROFILE = 330, 339, 34675

_ASCII, _SHORT, _RATIONAL, _UNDEFINED = 2, 3, 5, 7
_NONE, _LZW, _JPEG, _DEFLATE = 1, 5, 7, 8
_CENTIMETRE, _NO_UNIT = 3, 1
_REDUCED, _APERIO_LABEL, _APERIO_MACRO = 1, 1, 9
_PICTURE_QUALITY = 95
_CHUNK = 2**23

Tags = dict[int, Tag]


class PlainTiff:
    """A tiled pyramid without a dialect."""

    suffixes = CONTAINER_SUFFIXES["tiff"]
    fills_with_white = False

    def __init__(self, path: Path, plan: ResultPlan) -> None:
        self.path, self.plan = path, plan
        self._end = FORM.header_size
        self._used: dict[tuple[int, int], set[int]] = {}

    def begin(self, found: Sequence[Placed]) -> list[Placed]:
        """Open what an earlier run left; return those of its tiles that are whole, and forget the rest."""
        self._stream = self.path.open("r+b" if self.path.exists() else "w+b")
        kept = []
        for placed in found:
            if placed.length and zlib.crc32(self.read(placed)) != placed.crc:
                break
            kept.append(placed)
        self._end = max([FORM.header_size, *(placed.offset + placed.length for placed in kept)])
        self._stream.truncate(self._end)
        self._stream.seek(0)
        self._stream.write(bytes(FORM.header_size))
        self._stream.seek(self._end)
        return kept

    def put(self, level: int, index: int, data: bytes) -> tuple[int, int]:  # noqa: ARG002 - the order tells
        """Store a tile; return its place and length."""
        at = self._end
        self._stream.write(data)
        self._end += len(data)
        return at, len(data)

    def read(self, placed: Placed) -> bytes:
        """Return the bytes of a tile as they are stored."""
        self._stream.seek(placed.offset)
        data = self._stream.read(placed.length)
        self._stream.seek(0, 2)
        return data

    def sync(self) -> None:
        """Hand all that was put to the system."""
        self._stream.flush()

    def extent(self) -> tuple[int, int]:
        """Return where the bytes of tiles begin and end."""
        return FORM.header_size, self._end

    def finish(self, placed: Sequence[Placed], record: Record) -> None:
        """Write the pictures beside the slide, then all directories."""
        stored: list[list[Placed]] = [[] for _ in self.plan.levels]
        for one in sorted(placed, key=lambda tile: (tile.level, tile.index)):
            stored[one.level].append(one)
        chain = list(self._chain([self._level(number, tiles) for number, tiles in enumerate(stored)]))
        chain[0] = chain[0].with_tags({65330: record.to_tag(), **self._network()})
        self._stream.seek(0, 2)
        write_directories(self._stream, Layout(FORM, tuple(chain)), self.path)
        self._stream.flush()

    def _network(self) -> Tags:
        """Return the tag of the network that tiles need."""
        network = self.plan.codec.network
        data = b"" if network is None else network.to_bytes()
        return {NETWORK_TAG: Tag(NETWORK_TAG, _UNDEFINED, len(data), data)} if data else {}

    def close(self) -> None:
        """Let the file go, finished or not."""
        stream = getattr(self, "_stream", None)
        if stream is not None:
            stream.close()

    def _chain(self, levels: list[Tags]) -> list[Directory]:
        """Return all pages in the file's order."""
        levels[0] |= _text(DESCRIPTION, plain_description(self.plan.facts))
        beside = [
            self._picture(pixels, name, name == "label")
            for name, pixels in self.plan.facts.associated.items()
        ]
        return [_directory(tags) for tags in (*levels, *beside)]

    def _level(self, number: int, placed: Sequence[Placed]) -> Tags:
        """Return the tags of a level."""
        level, codec = self.plan.levels[number], self.plan.codec
        offsets = tuple(one.offset if one.length else 0 for one in placed)
        sizes = tuple(one.length for one in placed)
        tags = _common(level.shape, codec.compression, codec.photometric, _REDUCED if number else 0)
        tags |= self._resolution(number) | self._profile()
        for code, kind, values in (
            (TILE_WIDTH, LONG, (level.tile[1],)),
            (TILE_LENGTH, LONG, (level.tile[0],)),
            (TILE_OFFSETS, LONG8, offsets),
            (TILE_SIZES, LONG, sizes),
        ):
            tags[code] = Tag.of(code, kind, values, FORM.order)
        if codec.photometric == YCBCR:
            tags |= _chroma(self.plan.settings.subsampling)
        return tags

    def _resolution(self, number: int) -> Tags:
        """Return pixels per centimetre of a level, where the size of a pixel is known."""
        pixel, full, level = self.plan.facts.pixel_size, self.plan.levels[0], self.plan.levels[number]
        unit = _NO_UNIT if pixel is None else _CENTIMETRE
        tags = {RESOLUTION_UNIT: Tag.of(RESOLUTION_UNIT, _SHORT, (unit,), FORM.order)}
        if pixel is not None:
            tags[RESOLUTION_X] = _per_centimetre(RESOLUTION_X, pixel.x * full.width / level.width)
            tags[RESOLUTION_Y] = _per_centimetre(RESOLUTION_Y, pixel.y * full.height / level.height)
        return tags

    def _profile(self) -> Tags:
        profile = self.plan.facts.icc_profile
        return {ICC_PROFILE: Tag(ICC_PROFILE, _UNDEFINED, len(profile), profile)} if profile else {}

    def _picture(self, pixels: RgbArray, description: str, is_text: bool, kind: int = 0) -> Tags:
        """Store a picture beside the slide in one strip; one of text without loss.

        Two of one size and kind would be taken for one stack: the second is packed another way.
        """
        preferred = (_DEFLATE, _LZW, _NONE) if is_text else (_JPEG, _DEFLATE, _LZW, _NONE)
        used = self._used.setdefault((pixels.shape[0], pixels.shape[1]), set())
        compression = next((code for code in preferred if code not in used), preferred[0])
        used.add(compression)
        data, photometric = _packed(pixels, compression), YCBCR if compression == _JPEG else RGB
        self._stream.seek(0, 2)
        at = self._stream.tell()
        self._stream.write(data)
        tags = _common(pixels.shape[:2], compression, photometric, kind) | _text(DESCRIPTION, description)
        for code, number in (
            (STRIP_OFFSETS, at),
            (STRIP_SIZES, len(data)),
            (ROWS_PER_STRIP, pixels.shape[0]),
        ):
            tags[code] = Tag.of(code, LONG8 if code == STRIP_OFFSETS else LONG, (number,), FORM.order)
        return tags


class AperioTiff(PlainTiff):
    """A pyramid that programs take for Aperio's: the thumbnail second, label and macro last."""

    suffixes = CONTAINER_SUFFIXES["svs"]
    _kinds: ClassVar[Mapping[str, int]] = {"label": _APERIO_LABEL, "macro": _APERIO_MACRO}

    def _chain(self, levels: list[Tags]) -> list[Directory]:
        plan = self.plan
        for number, tags in enumerate(levels):
            tags |= _text(
                DESCRIPTION, aperio_description(plan.facts, plan.levels, number, plan.codec, plan.settings)
            )
        levels[1:] = [tags | _number_tag(KIND, 0) for tags in levels[1:]]
        beside = {
            name: self._picture(
                pixels,
                aperio_associated(name, pixels.shape, plan.levels[0]),
                name == "label",
                self._kinds.get(name, 0),
            )
            for name, pixels in plan.facts.associated.items()
        }
        first = [beside.pop(name) for name in ("thumbnail",) if name in beside]
        return [_directory(tags) for tags in (levels[0], *first, *levels[1:], *beside.values())]


class OmeTiff(PlainTiff):
    """OME-TIFF: coarser levels below the first page, other pictures as images of their own."""

    suffixes = CONTAINER_SUFFIXES["ome-tiff"]

    def _chain(self, levels: list[Tags]) -> list[Directory]:
        plan = self.plan
        first = levels[0] | _text(DESCRIPTION, ome_xml(plan.facts, plan.levels[0]))
        below = tuple((_directory(tags),) for tags in levels[1:])
        if below:
            first[SUB_DIRECTORIES] = Tag.of(SUB_DIRECTORIES, IFD8, (0,) * len(below), FORM.order)
        beside = [
            self._picture(pixels, name, name == "label") for name, pixels in plan.facts.associated.items()
        ]
        main = Directory(_directory(first).tags, {SUB_DIRECTORIES: below} if below else {})
        return [main, *(_directory(tags) for tags in beside)]


def _common(shape: Sequence[int], compression: int, photometric: int, kind: int) -> Tags:
    """Return the tags that every page has."""
    tags = {
        code: Tag.of(code, LONG, (value,), FORM.order)
        for code, value in ((KIND, kind), (WIDTH, shape[1]), (LENGTH, shape[0]))
    }
    for code, values in (
        (BITS, (8, 8, 8)),
        (COMPRESSION, (compression,)),
        (PHOTOMETRIC, (photometric,)),
        (SAMPLES, (3,)),
        (PLANAR, (1,)),
        (SAMPLE_FORMAT, (1, 1, 1)),  # the default, which FAST does not know
    ):
        tags[code] = Tag.of(code, _SHORT, values, FORM.order)
    return tags | _text(SOFTWARE_TAG, SOFTWARE)


def _chroma(subsampling: str) -> Tags:
    """Return the tag of subsampled chroma; none of full chroma, which readers then take of the streams.

    Bio-Formats converts YCbCr to RGB twice where this tag says that nothing is subsampled. libtiff asks the
    first tile where it is absent; all others ask each stream.
    """
    steps = SUBSAMPLINGS[subsampling]
    return {CHROMA_STEPS: Tag.of(CHROMA_STEPS, _SHORT, steps, FORM.order)} if steps != (1, 1) else {}


def _packed(pixels: RgbArray, compression: int) -> bytes:
    """Pack a whole picture."""
    if compression == _JPEG:
        return bytes(
            imagecodecs.jpeg8_encode(pixels, level=_PICTURE_QUALITY, subsampling="444", optimize=True)
        )
    raw = pixels.tobytes()
    if compression == _DEFLATE:
        return zlib.compress(raw, 9)
    return bytes(imagecodecs.lzw_encode(raw)) if compression == _LZW else raw


def _number_tag(code: int, value: int) -> Tags:
    return {code: Tag.of(code, LONG, (value,), FORM.order)}


def _text(code: int, text: str) -> Tags:
    data = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
    return {code: Tag(code, _ASCII, len(data), data)}


def _per_centimetre(code: int, um: float) -> Tag:
    value = Fraction(10_000 / um).limit_denominator(100_000)
    return Tag(code, _RATIONAL, 1, struct.pack("<II", value.numerator, value.denominator))


def _directory(tags: Tags) -> Directory:
    return Directory(tuple(tag for _, tag in sorted(tags.items())))
