"""The same slide file without whatever may name somebody: tiles as they are stored, new directories.

::

    slide --> levels and thumbnail, harmless tags, no comments in JPEGs --> plain file --> packed anew

Of tags and texts what is listed here is kept, and all else left out, whatever it is called. The label goes,
and so does the macro, which shows the label. The plain file lies beside the result while that is made, and
its bytes are what the mode ``repack`` gives back: nothing of the slide's own header or directories is kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_nic.disk import remove_leftovers, temporary_sibling, writing_to
from napari_nic.errors import InvalidParameterError, StoreError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.directories import with_segments, write_directories
from napari_nic.recompression.layout import (
    BITS,
    COMPRESSION,
    JPEG_TABLES,
    LENGTH,
    LONG,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    STRIP_OFFSETS,
    STRIP_SIZES,
    WIDTH,
    Directory,
    Layout,
    Segment,
    Tag,
)
from napari_nic.recompression.source import JPEG_CODES, Page, TiffSource
from napari_nic.recompression.streams import SOS, START, markers
from napari_nic.slides import RgbArray, open_slide

HARMLESS_KEYS = (
    "AppMag",
    "MPP",
    "StripeWidth",
    "LineCameraSkew",
    "LineAreaXOffset",
    "LineAreaYOffset",
    "Focus Offset",
    "Exposure Time",
    "Exposure Scale",
    "DisplayColor",
    "OriginalWidth",
    "OriginalHeight",
    "Originalheight",
    "Filtered",
    "Gamma",
    "Left",
    "Top",
)
"""Of an Aperio description: optics and geometry. File name, user, date, bar code, identifiers are not."""

HARMLESS_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 286, 287}
    | {290, 291, 296, 301, 317, 318, 319, 320, 322, 323, 324, 325, 338, 339, 340, 341, 347}
    | {529, 530, 531, 532, 32997, 34675}
)
"""Sizes, how tiles are packed and cut, colours, and the colour profile."""

_KIND, _DESCRIPTION, _STRIP_ROWS = 254, 270, 278
_ASCII, _SHORT, _DEFLATE, _RGB, _REDUCED = 2, 3, 8, 2, 1
_APERIO = "Aperio Image Library"
_GEOMETRY = re.compile(
    r"\d+x\d+(?: \[\d+,\d+ \d+x\d+\])?(?: \(\d+x\d+\))?(?: -> \d+x\d+)?"
    r"(?: -|(?: [A-Z0-9]+/[A-Z]+)?(?: Q=\d+)?)"
)
_COMMENT, _JFIF, _PROFILE, _ADOBE = 0xFE, 0xE0, 0xE2, 0xEE
_PARTS = {_JFIF: b"JFIF\0", _PROFILE: b"ICC_PROFILE\0", _ADOBE: b"Adobe"}
_CHUNK, _BEFORE_LABEL = 2**23, 2

_LABEL_HEIGHT, _LABEL_WIDTH, _FONT = 400, 400, 48


@dataclass(frozen=True)
class Deidentification:
    """That names are left out, and what a new label says.

    Attributes
    ----------
    label_text : str
        Such as a study number; empty for no label.
    """

    label_text: str = ""


@contextmanager
def deidentified_file(out: Path) -> Iterator[Path]:
    """Yield a hidden name beside a result for the plain file, which is removed again."""
    with writing_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out)
        plain = temporary_sibling(out)
        try:
            yield plain
        finally:
            plain.unlink(missing_ok=True)


def write_deidentified(
    slide: Path, plain: Path, wanted: Deidentification, token: CancellationToken | None = None
) -> Generator[Progress, None, None]:
    """Write a slide without names; its tiles stay the bytes that they are, but for comments in them.

    Parameters
    ----------
    slide : Path
        A TIFF such as SVS.
    plain : Path
        The file to write.
    wanted : Deidentification
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If a new label is wanted, and would be taken for something else.
    UnreadableSlideError
        If its pages can only be told apart by texts of its maker, which may name somebody.
    StoreError
        If what was written is not the same slide.
    """
    with TiffSource(slide) as source:
        kept = _kept_pages(source)
        if wanted.label_text and len(kept) < _BEFORE_LABEL and _is_aperio(source.pages[0]):
            raise InvalidParameterError(
                "the slide has no thumbnail, and programs would take a new label for it",
                path=slide,
                hint="leave --label-text out, or choose --mode lossy",
            )
        with plain.open("wb") as stream:
            yield from _write(source, kept, wanted, stream, plain, token)
        source.check_unchanged()
    _check_same(slide, plain)


def _kept_pages(source: TiffSource) -> list[Page]:
    """Find levels and thumbnail among the pages.

    Raises
    ------
    UnreadableSlideError
        If a level is not found, or the pages need the texts of their maker.
    """
    is_aperio = _is_aperio(source.pages[0])
    if any(_is_markup(page) for page in source.pages):
        raise _refusal(source.path, "a description in XML, as OME-TIFF, Philips, Leica and Ventana have")
    with open_slide(source.path, reader="tiff") as opened:
        missing = [tuple(level.shape) for level in opened.levels]
        has_thumbnail = "thumbnail" in opened.associated_images
    kept, number = [], 0
    for place, directory in enumerate(source.layout.chain):
        page = source.pages[number]
        number += len(list(directory.every()))
        is_level = page.shape in missing and (page.is_tiled or not is_aperio) and bool(page.segments)
        is_thumbnail = place == 1 and has_thumbnail and is_aperio and _is_thumbnail(page)
        if is_level:
            missing.remove(page.shape)
        if is_level or is_thumbnail:
            kept.append(page)
    if missing:
        raise _refusal(source.path, f"a level of {missing[0][0]} x {missing[0][1]} px that no page is")
    return kept


def _write(
    source: TiffSource,
    kept: Sequence[Page],
    wanted: Deidentification,
    stream: BinaryIO,
    plain: Path,
    token: CancellationToken | None,
) -> Iterator[Progress]:
    form, is_aperio = source.layout.form, _is_aperio(source.pages[0])
    stream.write(bytes(form.header_size))
    every = sorted(
        {(s.offset, s.length, n) for n, page in enumerate(kept) for s in page.segments if s.length}
    )
    places: dict[tuple[int, Segment], Segment] = {}
    for done, (offset, length, number) in enumerate(checked(every, token)):
        begin = stream.tell()
        _copy(source, kept[number], Segment(offset, length), stream)
        places[number, Segment(offset, length)] = Segment(begin, stream.tell() - begin)
        yield Progress(done + 1, len(every), "leaving names out", "tiles")
    chain = [
        with_segments(
            Directory(_harmless_tags(page)),
            [places.get((number, segment), Segment(0, 0)) for segment in page.segments],
            form,
        )
        for number, page in enumerate(kept)
    ]
    if wanted.label_text:
        label = draw_label(wanted.label_text)
        chain.append(_label_page(label, stream, form.order, is_aperio=is_aperio))
    write_directories(stream, Layout(form, tuple(chain)), plain)


def _copy(source: TiffSource, page: Page, segment: Segment, stream: BinaryIO) -> None:
    if page.compression in JPEG_CODES and segment.length <= _CHUNK:
        stream.write(without_comments(source.read(segment.offset, segment.length)))
        return
    for at in range(segment.offset, segment.end, _CHUNK):
        stream.write(source.read(at, min(_CHUNK, segment.end - at)))


def without_comments(jpeg: bytes) -> bytes:
    """Return a JPEG stream without comments and what programs add, such as EXIF; colours stay what they are.

    A damaged one is given back as it is.
    """
    try:
        parts = list(markers(jpeg)) if jpeg.startswith(START) else []
    except ValueError:
        return jpeg
    kept = [
        jpeg[start:end]
        for marker, start, end in parts
        if marker == SOS or _is_needed(marker, jpeg[start + 4 : end])
    ]
    return jpeg if len(kept) == len(parts) else jpeg[:2] + b"".join(kept) + jpeg[parts[-1][2] :]


def _is_needed(marker: int, content: bytes) -> bool:
    is_added = marker == _COMMENT or marker & 0xF0 == _JFIF
    return not is_added or (marker in _PARTS and content.startswith(_PARTS[marker]))


def _harmless_tags(page: Page) -> tuple[Tag, ...]:
    tags = []
    for tag in page.directory.tags:
        if tag.code == _DESCRIPTION and _is_aperio(page):
            text = _aperio_text(_text(page), page.shape).encode("ascii") + b"\0"
            tags.append(Tag(_DESCRIPTION, _ASCII, len(text), text))
        elif tag.code == JPEG_TABLES:
            data = without_comments(tag.data)
            tags.append(replace(tag, count=len(data), data=data))
        elif tag.code in HARMLESS_TAGS:
            tags.append(tag)
    return tuple(tags)


def _aperio_text(description: str, shape: tuple[int, int]) -> str:
    """Return an Aperio description of size, optics and geometry."""
    rest = description.partition("\n")[2]
    size = _GEOMETRY.match(rest)
    fields = harmless_fields(description)
    said = "".join(f"|{key} = {value}" for key, value in fields)
    return f"{_APERIO}\r\n{size[0] if size else f'{shape[1]}x{shape[0]}'}{said}"


def harmless_fields(description: str) -> list[tuple[str, str]]:
    """Return optics and geometry of an Aperio description, as (name, number)."""
    items = (item.partition("=") for item in description.split("|")[1:])
    pairs = ((key.strip(), value.strip()) for key, _, value in items)
    return [(key, value) for key, value in pairs if key in HARMLESS_KEYS and _is_number(value)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()


def _text(page: Page) -> str:
    tag = page.directory.tag(_DESCRIPTION)
    return tag.data.split(b"\0")[0].decode("latin-1") if tag else ""


def _is_aperio(page: Page) -> bool:
    return _text(page).startswith("Aperio")


def _is_markup(page: Page) -> bool:
    return _text(page).lstrip("\ufeff\xef\xbb\xbf \t\r\n").startswith("<")


def _is_thumbnail(page: Page) -> bool:
    """Whether a page that is no level shows the scanned part, by how an Aperio marks label and macro."""
    named = _text(page).partition("\n")[2]
    return not page.is_tiled and page.value(_KIND, 0) == 0 and bool(_GEOMETRY.match(named))


def _label_page(label: RgbArray, stream: BinaryIO, order: str, *, is_aperio: bool) -> Directory:
    """Write the pixels of a label and return its directory."""
    rows, cols = label.shape[:2]
    data = zlib.compress(label.tobytes(), 9)
    place = Segment(stream.tell(), len(data))
    stream.write(data)
    text = (f"{_APERIO}\r\nlabel {cols}x{rows}" if is_aperio else "label").encode("ascii") + b"\0"
    shorts = {BITS: (8, 8, 8), COMPRESSION: (_DEFLATE,), PHOTOMETRIC: (_RGB,), SAMPLES: (3,), PLANAR: (1,)}
    longs = {_KIND: (_REDUCED,), WIDTH: (cols,), LENGTH: (rows,), _STRIP_ROWS: (rows,)}
    longs |= {STRIP_OFFSETS: (place.offset,), STRIP_SIZES: (place.length,)}
    tags = [Tag.of(code, _SHORT, values, order) for code, values in shorts.items()]
    tags += [Tag.of(code, LONG, values, order) for code, values in longs.items()]
    tags.append(Tag(_DESCRIPTION, _ASCII, len(text), text))
    return Directory(tuple(sorted(tags, key=lambda tag: tag.code)))


def draw_label(text: str) -> RgbArray:
    """Draw a text on a white label, (rows, cols, 3) uint8, smaller if it is long."""
    label = Image.new("RGB", (_LABEL_WIDTH, _LABEL_HEIGHT), "white")
    pen, size = ImageDraw.Draw(label), float(_FONT)
    while size > 8:
        font = ImageFont.load_default(size)
        box = pen.multiline_textbbox((0, 0), text, font=font)
        if box[2] <= _LABEL_WIDTH - 20 and box[3] <= _LABEL_HEIGHT - 20:
            break
        size *= 0.9
    pen.multiline_text((10, 10), text, fill="black", font=font)
    return np.asarray(label)


def check_elsewhere(slide: Path, out: Path) -> None:
    """Refuse to put a result in the place of the slide whose names it leaves out.

    Raises
    ------
    InvalidParameterError
        If it would: its label could still be found on the disk, and is nowhere else.
    """
    if out.exists() and out.samefile(slide):
        raise InvalidParameterError(
            "a slide is not replaced by one without its names: its label would lie on the disk unseen",
            path=out,
            hint="give --out; look at the result, then delete the slide as your place wants it done",
        )


def _check_same(slide: Path, plain: Path) -> None:
    with open_slide(slide, reader="tiff") as old, open_slide(plain, reader="tiff") as new:
        is_same = old.levels == new.levels and old.pixel_size == new.pixel_size
        if not is_same or set(new.associated_images) - {"thumbnail", "label"}:
            raise StoreError(
                "the slide would not be the same without its names; nothing was written",
                path=slide,
                found="other levels, pixel size or pictures",
                hint="choose --mode lossy, which writes it anew from pixels",
            )


def _refusal(path: Path, found: str) -> UnreadableSlideError:
    return UnreadableSlideError(
        "names cannot be left out of this file without writing its pixels anew",
        path=path,
        expected="an SVS, or a TIFF whose pages need no text of their maker",
        found=found,
        hint="choose --mode lossy, which writes it anew",
    )
