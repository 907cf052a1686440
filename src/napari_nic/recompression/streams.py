"""JPEG tiles of TIFF files as streams of their own: joined with the tables that they share, and taken apart.

Most slides keep quantisation and Huffman tables once a page (JPEGTables) and say only in the directory
whether the tiles are RGB or YCbCr. A stream that stands alone needs both. What is put in stands right behind
the start marker, so that taking it out gives the tile's bytes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from napari_nic.slides.readers.codestreams import read_jpeg_header

START, END = b"\xff\xd8", b"\xff\xd9"
DQT, DHT, SOS, DRI = 0xDB, 0xC4, 0xDA, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = frozenset({0xC0, 0xC1})

WITH_DQT, WITH_DHT, AS_RGB, AS_YCBCR = 1, 2, 4, 8
"""What was put into a stream: bits of one number."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_HARMLESS = frozenset({DQT, DHT, 0xFE, *range(0xE0, 0xF0)})


def markers(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of a stream's parts behind the start marker, up to its first scan's header.

    Raises
    ------
    ValueError
        If a part is cut off or something stands between parts.
    """
    at = 2 if data.startswith(START) else 0
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError(f"no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == END[1]:
            return
        if marker in _ALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise ValueError(f"a part that is cut off at byte {at}")
        yield marker, at, end
        if marker == SOS:
            return
        at = end


@lru_cache(maxsize=64)
def shared_parts(tables: bytes) -> dict[int, bytes]:
    """Return the parts of shared tables by marker: quantisation (DQT) and Huffman tables (DHT).

    Raises
    ------
    ValueError
        If they hold what changes the tiles in another way, or are damaged.
    """
    found = {DQT: b"", DHT: b""}
    for marker, start, end in markers(tables):
        if marker not in _HARMLESS:
            raise ValueError(f"shared tables with marker {marker:#x}")
        if marker in found:
            found[marker] += tables[start:end]
    return found


def lacks(tile: bytes, tables: bytes, colors: str | None) -> int:
    """Say what must be put into a tile for it to stand alone; a table that it has is never given twice.

    Parameters
    ----------
    tile, tables : bytes
        The tile, and the page's shared tables, if any.
    colors : {"RGB", "YCbCr"} or None
        What the directory says; None for tiles of one sample.

    Returns
    -------
    int
        Bits, see :data:`WITH_DQT`.

    Raises
    ------
    ValueError
        If the tile is no JPEG stream.
    """
    if not tile.startswith(START):
        raise ValueError("no JPEG stream")
    own = {marker for marker, _, _ in markers(tile)}
    if SOS not in own:
        raise ValueError("a JPEG stream without pixels")
    parts = shared_parts(tables)
    bits = WITH_DQT if DQT not in own and parts[DQT] else 0
    bits |= WITH_DHT if DHT not in own and parts[DHT] else 0
    if colors is not None and read_jpeg_header(tile).colors is None:
        meant = read_jpeg_header(tile, tables).colors or colors
        bits |= AS_RGB if meant == "RGB" else AS_YCBCR
    return bits


@lru_cache(maxsize=256)
def insertion(bits: int, tables: bytes) -> bytes:
    """Return the bytes that `bits` stand for, of a page with these tables."""
    parts = shared_parts(tables)
    marker = _ADOBE + (b"\x00" if bits & AS_RGB else b"\x01") if bits & (AS_RGB | AS_YCBCR) else b""
    return marker + (parts[DQT] if bits & WITH_DQT else b"") + (parts[DHT] if bits & WITH_DHT else b"")


def joined(tile: bytes, bits: int, tables: bytes) -> bytes:
    """Return a stream that stands alone."""
    return tile[:2] + insertion(bits, tables) + tile[2:]


def taken_apart(stream: bytes, bits: int, tables: bytes) -> bytes:
    """Return the tile that a stream was joined of.

    Raises
    ------
    ValueError
        If it was not.
    """
    put_in = insertion(bits, tables)
    if stream[2 : 2 + len(put_in)] != put_in:
        raise ValueError("the stream does not begin with the page's tables")
    return stream[:2] + stream[2 + len(put_in) :]


def spliced(tile: bytes, coded: bytes) -> bytes:
    """Give a tile the Huffman tables and the scan of another stream with the same coefficients.

    All other markers (colours, profiles, comments, quantisation) stay the tile's, in its order.

    Parameters
    ----------
    tile : bytes
        Sequential, of one scan.
    coded : bytes
        Likewise, without restart markers.
    """
    parts = list(markers(tile))
    kept = b"".join(tile[start:end] for marker, start, end in parts if marker not in (DHT, DRI, SOS))
    new = list(markers(coded))
    tables = b"".join(coded[start:end] for marker, start, end in new if marker == DHT)
    start, end = next((start, end) for marker, start, end in new if marker == SOS)
    # The library counts components, and the frame that stays may call them R, G and B.
    names = dict(zip(_components(coded, new), _components(tile, parts), strict=True))
    scan = bytearray(coded[start:end])
    for at in range(5, 5 + 2 * scan[4], 2):
        scan[at] = names[scan[at]]
    return tile[:2] + kept + tables + bytes(scan) + coded[end:]


def spliced_scans(tile: bytes, coded: bytes) -> bytes:
    """Give a tile the frame, the Huffman tables and all scans of another stream with the same coefficients.

    All other markers stay the tile's, in its order.

    Parameters
    ----------
    tile : bytes
        Sequential, of one scan.
    coded : bytes
        Progressive; its components have the tile's names.

    Raises
    ------
    ValueError
        If its components are called otherwise.
    """
    parts, new = list(markers(tile)), list(markers(coded))
    if _components(tile, parts) != _components(coded, new):
        raise ValueError("the components have other names")
    dropped = FRAMES | {DHT, DRI, SOS}
    kept = b"".join(tile[start:end] for marker, start, end in parts if marker not in dropped)
    first = b"".join(coded[start:end] for marker, start, end in new if marker in FRAMES | {DHT})
    return tile[:2] + kept + first + coded[next(start for marker, start, _ in new if marker == SOS) :]


def _components(stream: bytes, parts: list[tuple[int, int, int]]) -> bytes:
    """Return the names of a frame's components."""
    start, end = next((start, end) for marker, start, end in parts if marker in FRAMES)
    return stream[start + 10 : end : 3]


def is_sequential(stream: bytes) -> bool:
    """Whether a stream is Huffman-coded in one sequential scan of all its components."""
    frame = b""
    for marker, start, end in markers(stream):
        if marker in FRAMES:
            if marker not in SEQUENTIAL:
                return False
            frame = stream[start:end]
        elif marker == SOS:
            return len(frame) > 9 and stream[start + 4] == frame[9]
    return False
