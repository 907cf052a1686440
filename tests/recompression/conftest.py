"""TIFF files as scanners and converters write them, made by a writer of the tests' own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

SIDE, TILE = 208, 96
GRID = -(-SIDE // TILE)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8, 18: 8}
LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


def picture(seed: int, side: int = SIDE) -> np.ndarray:
    """Return (side, side, 3) uint8: soft colours with noise, and glass in a corner."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    base = np.stack([200 - 80 * y, 120 + 60 * x, 190 - 40 * x * y], -1)
    base += rng.normal(0, 9, (side, side, 1))
    base[: side // 3, : side // 3] = 243
    return np.clip(base, 0, 255).astype(np.uint8)


def cut(pixels: np.ndarray, rows: int, cols: int) -> list[np.ndarray]:
    """Cut into tiles, those at the edges padded."""
    height, width = pixels.shape[:2]
    pad = [(0, -height % rows), (0, -width % cols)] + [(0, 0)] * (pixels.ndim - 2)
    whole = np.pad(pixels, pad, mode="edge")
    return [
        np.ascontiguousarray(whole[y : y + rows, x : x + cols])
        for y in range(0, height, rows)
        for x in range(0, width, cols)
    ]


def parts(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Return (marker, bytes) of a JPEG's parts; the scan and all behind it are one."""
    found, at = [], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], jpeg[at:end]))
        at = end
    return [*found, (0xDA, jpeg[at:])]


def without(jpeg: bytes, *markers: int) -> bytes:
    """Return a JPEG without some of its parts."""
    return jpeg[:2] + b"".join(data for marker, data in parts(jpeg) if marker not in markers)


def tables_of(jpeg: bytes) -> bytes:
    """Return what would be shared: a stream of tables only."""
    return (
        b"\xff\xd8" + b"".join(data for marker, data in parts(jpeg) if marker in (0xDB, 0xC4)) + b"\xff\xd9"
    )


def jpeg(tile: np.ndarray, colors: str = "RGB", steps: str = "444", level: int = 40) -> bytes:
    """Encode; RGB gets an Adobe marker, YCbCr a JFIF one."""
    grey = tile.ndim == 2
    return bytes(
        imagecodecs.jpeg8_encode(
            tile,
            level=level,
            colorspace="MINISBLACK" if grey else "RGB",
            outcolorspace="MINISBLACK" if grey else colors.upper(),
            subsampling=None if grey else steps,
        )
    )


@dataclass(frozen=True)
class MadePage:
    """A directory that a test writes: ``tags`` of (type, values), the bytes of its tiles or strips."""

    tags: dict[int, tuple[int, Any]]
    tiles: Sequence[bytes]
    tiled: bool = True
    below: dict[int, Sequence[MadePage]] = field(default_factory=dict)


def made_page(
    tiles: Sequence[bytes],
    *,
    compression: int,
    photometric: int,
    samples: int = 3,
    tables: bytes = b"",
    **more,
) -> MadePage:
    """A page of tiles; options are ``description``, ``tags``, ``tiled``, ``below``, ``shape``, ``cut``."""
    rows, cols = more.get("shape", (SIDE, SIDE))
    height, width = more.get("cut", (TILE, TILE))
    tiled = more.get("tiled", True)
    tags: dict[int, tuple[int, Any]] = {
        254: (4, (0,)),
        256: (4, (cols,)),
        257: (4, (rows,)),
        258: (3, (8,) * samples),
        259: (3, (compression,)),
        262: (3, (photometric,)),
        277: (3, (samples,)),
        284: (3, (1,)),
    }
    tags |= {322: (3, (width,)), 323: (3, (height,))} if tiled else {278: (3, (height,))}
    if tables:
        tags[347] = (7, tables)
    if more.get("description"):
        tags[270] = (2, more["description"].encode() + b"\0")
    return MadePage(tags | more.get("tags", {}), list(tiles), tiled, more.get("below", {}))


def write_made(
    path: Path, pages: Sequence[MadePage], *, order: str = "<", big: bool = False, trailer: bytes = b""
) -> Path:
    """Write pages: tiles first, with padding between them, equal ones of a page once; then directories."""
    link = "Q" if big else "I"
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(f"{order}HHH", 43, 8, 0) if big else struct.pack(f"{order}H", 42))
    data = bytearray(head + bytes(struct.calcsize(link)))

    def put(content: bytes) -> int:
        data.extend(b"\0" * (-len(data) % 8))
        data.extend(content)
        return len(data) - len(content)

    def put_page(page: MadePage) -> tuple[int, int]:
        places: dict[bytes, int] = {}
        for tile in page.tiles:
            if tile and tile not in places:
                places[tile] = put(tile)
        offsets = tuple(places.get(tile, 0) for tile in page.tiles)
        tags = dict(page.tags)
        tags[324 if page.tiled else 273] = (16 if big else 4, offsets)
        tags[325 if page.tiled else 279] = (4, tuple(len(tile) for tile in page.tiles))
        for code, pages in page.below.items():
            tags[code] = (18 if big else 13, tuple(put_page(below)[0] for below in pages))
        entries = b""
        for code, (kind, values) in sorted(tags.items()):
            raw = (
                values
                if isinstance(values, bytes)
                else struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)
            )
            size = 8 if big else 4
            value = raw.ljust(size, b"\0") if len(raw) <= size else struct.pack(order + link, put(raw))
            count = len(raw) // SIZES[kind]
            entries += struct.pack(f"{order}HH{link}", code, kind, count) + value
        at = put(
            struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + bytes(struct.calcsize(link))
        )
        return at, len(data) - struct.calcsize(link)

    link_at = len(head)
    for page in pages:
        at, following = put_page(page)
        struct.pack_into(order + link, data, link_at, at)
        link_at = following
    path.write_bytes(bytes(data) + trailer)
    return path


def shared(tiles: list[bytes], *also: int) -> tuple[list[bytes], bytes]:
    """Take tables (and other markers) out of streams; return these and the shared tables."""
    return [without(tile, 0xDB, 0xC4, *also) for tile in tiles], tables_of(tiles[0])


HEAD = "Aperio Image Library v11.2.1 \r\n"
APERIO = f"{HEAD}208x208 [0,0 208x208] (96x96) JPEG/RGB Q=40|AppMag = 20|MPP = 0.4990"


def aperio_page(**more: Any) -> MadePage:
    """RGB without an Adobe marker, shared tables: as in an SVS."""
    tiles, tables = shared([jpeg(tile) for tile in cut(picture(1), TILE, TILE)], 0xEE)
    return made_page(tiles, compression=7, photometric=2, tables=tables, description=APERIO, **more)


def chroma_page(steps: str = "420", **more: Any) -> MadePage:
    """YCbCr of subsampled chroma, shared tables, no marker of colours."""
    tiles, tables = shared([jpeg(t, "YCbCr", steps) for t in cut(picture(2), TILE, TILE)], 0xE0, 0xEE)
    factors = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[steps]
    tags = {530: (3, factors)}
    return made_page(tiles, compression=7, photometric=6, tables=tables, **({"tags": tags} | more))


def own_tables_page() -> MadePage:
    """RGB with an Adobe marker and tables in each tile, and shared tables of another quality beside them."""
    tiles = [jpeg(tile) for tile in cut(picture(3), TILE, TILE)]
    other = tables_of(jpeg(cut(picture(3), TILE, TILE)[0], level=40))
    return made_page(tiles, compression=7, photometric=2, tables=other)


def grey_page() -> MadePage:
    tiles, tables = shared([jpeg(tile) for tile in cut(picture(4)[..., 1], TILE, TILE)], 0xE0)
    return made_page(tiles, compression=7, photometric=1, samples=1, tables=tables)


def strips_page() -> MadePage:
    """A small picture in strips of 16 rows, as the macro of an SVS."""
    strips, tables = shared([jpeg(strip) for strip in cut(picture(5), 16, SIDE)], 0xEE)
    options = {
        "tiled": False,
        "cut": (16, SIDE),
        "description": f"{HEAD}macro 208x208",
        "tags": {254: (4, (9,))},
    }
    return made_page(strips, compression=7, photometric=2, tables=tables, **options)


def thumbnail_page() -> MadePage:
    page = strips_page()
    return replace(page, tags=page.tags | {270: (2, f"{HEAD}208x208 -> 208x208 - |\0".encode())})


def label_page() -> MadePage:
    strips = [zlib.compress(strip.tobytes()) for strip in cut(picture(6), 16, SIDE)]
    options = {
        "tiled": False,
        "cut": (16, SIDE),
        "description": f"{HEAD}label 208x208",
        "tags": {254: (4, (1,))},
    }
    return made_page(strips, compression=8, photometric=2, **options)


def jpeg2000_page() -> MadePage:
    tiles = [
        bytes(imagecodecs.jpeg2k_encode(t, codecformat="j2k", level=0)) for t in cut(picture(7), TILE, TILE)
    ]
    return made_page(tiles, compression=33005, photometric=2, description=APERIO)


def sparse_page() -> MadePage:
    page = aperio_page()
    return replace(page, tiles=[b"" if n in (2, 4) else tile for n, tile in enumerate(page.tiles)])


def mixed_page() -> MadePage:
    """A tile with tables of its own, a progressive one, one cut off, one that is none, one twice."""
    page = aperio_page()
    tiles = list(page.tiles)
    source = cut(picture(1), TILE, TILE)
    tiles[1] = without(jpeg(source[1]), 0xEE)
    tiles[3] = progressive(source[3])
    tiles[4] = tiles[4][: len(tiles[4]) // 2]
    tiles[5] = b"no JPEG at all" * 9
    tiles[7] = tiles[8]
    return replace(page, tiles=tiles)


def progressive(tile: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(tile).save(stream, "JPEG", quality=40, progressive=True, keep_rgb=True)
    return without(stream.getvalue(), 0xEE)


GALLERY: dict[str, Callable[[], list[MadePage]]] = {
    "aperio": lambda: [aperio_page(), thumbnail_page(), label_page(), strips_page()],
    "chroma 4:2:0": lambda: [chroma_page("420")],
    "chroma 4:2:2": lambda: [chroma_page("422")],
    "chroma 4:4:4": lambda: [chroma_page("444")],
    "own tables": lambda: [own_tables_page()],
    "grey": lambda: [grey_page()],
    "JPEG 2000": lambda: [jpeg2000_page()],
    "sparse": lambda: [sparse_page()],
    "sub-directories": lambda: [
        aperio_page(below={330: [chroma_page("420"), grey_page()]}, tags={65001: (7, bytes(range(200)))}),
        strips_page(),
    ],
    "profile": lambda: [aperio_page(tags={34675: (7, bytes(range(256)) * 9)}), chroma_page()],
}
"""Whole files, all of whose tiles can be decoded."""

FORMS = {
    "classic": ("<", False),
    "big": ("<", True),
    "big endian": (">", False),
    "big, big endian": (">", True),
}


def damaged_page(kinds: Sequence[str]) -> MadePage:
    """An Aperio page whose nine tiles are damaged or odd in one way each."""
    page = aperio_page()
    source, tiles = cut(picture(1), TILE, TILE), list(page.tiles)
    changes: dict[str, Callable[[int], bytes]] = {
        "as it is": lambda n: tiles[n],
        "missing": lambda _: b"",
        "cut": lambda n: tiles[n][: len(tiles[n]) // 3],
        "junk": lambda n: bytes(range(n, n + 40)),
        "twice": lambda _: tiles[0],
        "own tables": lambda n: jpeg(source[n]),
        "zeros behind": lambda n: tiles[n] + bytes(9),
    }
    return replace(page, tiles=[changes[kind](n) for n, kind in enumerate(kinds)])


@pytest.fixture(scope="session")
def make_damaged() -> Callable[[Sequence[str]], MadePage]:
    return damaged_page


@pytest.fixture(params=GALLERY)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each file of the gallery."""
    return write_made(tmp_path / "made.svs", GALLERY[request.param]())


@pytest.fixture(scope="session")
def write_pages() -> Callable[..., Path]:
    """``write_pages(path, pages, order="<", big=False, trailer=b"")``."""
    return write_made


@pytest.fixture(scope="session")
def make_page() -> Callable[..., MadePage]:
    return made_page


@pytest.fixture
def gallery() -> dict[str, Callable[[], list[MadePage]]]:
    return GALLERY | {"mixed": lambda: [mixed_page()]}


@pytest.fixture
def aperio(tmp_path: Path) -> Path:
    """A slide with a level, a macro in strips and a label."""
    return write_made(tmp_path / "aperio.svs", GALLERY["aperio"]())
