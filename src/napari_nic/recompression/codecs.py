"""What is done to one tile in each lossless mode; every result is decoded and compared before it is used."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError
from napari_nic.extras import check_installed, require
from napari_nic.recompression.layout import (
    CHROMA_PLACE,
    CHROMA_STEPS,
    COMPRESSION,
    JPEG_TABLES,
    PHOTOMETRIC,
    Directory,
    Tag,
)
from napari_nic.recompression.source import Page
from napari_nic.recompression.streams import (
    WITH_DHT,
    is_sequential,
    joined,
    lacks,
    spliced,
    spliced_scans,
    taken_apart,
)
from napari_nic.recompression.whitening import whiten
from napari_nic.slides.readers.codestreams import one_jpeg_of, read_jpeg_header
from napari_nic.slides.readers.jpeg_short import takes_what_follows

JPEG_XL = 50002
AS_JPEG_XL = 16
"""Bit of a tile that was turned to JPEG XL, beside those of :mod:`napari_nic.recompression.streams`."""

SMALL_ALREADY = "small already"
"""Why a tile is copied."""

ONE_THREAD = 1
"""For libjxl: the caller's. With 0 each call would start a thread for every core, and end them again."""

_SHORT, _RGB = 3, 2
_WHITE_IS_ZERO = 0
_DECODE_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, MemoryError, EOFError)


@dataclass(frozen=True)
class Coded:
    """A tile as it is written.

    Attributes
    ----------
    data : bytes
    bits : int
        What restoring needs to know of it; 0 where it is stored as it was.
    copied : str
        Why its pixels were not packed anew; empty if they were.
    painted : bool
        Whether its glass was made white.
    """

    data: bytes
    bits: int = 0
    copied: str = ""
    painted: bool = False


class TileCodec(Protocol):
    """A lossless mode. Its methods may be called by several threads at once."""

    mode: str
    keeps_bytes: bool
    """Whether the tiles' own bytes can be had back."""

    def encode(self, page: Page, tile: bytes) -> Coded:
        """Pack one JPEG tile anew; what cannot be packed, or not rightly, is given back as it was."""

    def directory(self, page: Page) -> Directory:
        """Return the tags of a page whose tiles were packed anew."""


class Repack:
    """JPEG XL that holds the JPEG's coefficients and gives its very bytes back."""

    mode = "repack"
    keeps_bytes = True

    def encode(self, page: Page, tile: bytes) -> Coded:
        """Turn a JPEG tile to JPEG XL, and back to see whether it is the same."""
        try:
            bits = lacks(tile, page.tables, page.colors)
            stream = joined(tile, bits, page.tables)
            if taken_apart(stream, bits, page.tables) != tile:
                return Coded(tile, copied="tables that cannot be told apart")
        except ValueError:
            return Coded(tile, copied="damaged JPEG")
        try:
            packed = bytes(imagecodecs.jpegxl_encode_jpeg(stream, usecontainer=True, numthreads=ONE_THREAD))
            is_same = imagecodecs.jpegxl_decode_jpeg(packed, numthreads=ONE_THREAD) == stream
        except _DECODE_ERRORS:
            return Coded(stream, bits, "refused by JPEG XL")
        return Coded(packed, bits | AS_JPEG_XL) if is_same else Coded(stream, bits, "not the same afterwards")

    def directory(self, page: Page) -> Directory:
        """Return tags that say JPEG XL, whose decoders give RGB."""
        tags: dict[int, Tag | None] = {
            COMPRESSION: Tag.of(COMPRESSION, _SHORT, (JPEG_XL,), page.order),
            JPEG_TABLES: None,
            CHROMA_STEPS: None,
            CHROMA_PLACE: None,
        }
        if page.colors == "YCbCr":
            tags[PHOTOMETRIC] = Tag.of(PHOTOMETRIC, _SHORT, (_RGB,), page.order)
        return page.directory.with_tags(tags)


def unpacked(data: bytes, bits: int, tables: bytes) -> bytes:
    """Return the bytes of a tile of which :meth:`Repack.encode` made `data` and `bits`.

    Parameters
    ----------
    data : bytes
    bits : int
    tables : bytes
        The page's shared tables, before.

    Raises
    ------
    ValueError
        If they do not fit together.
    """
    if not bits:
        return data
    try:
        stream = imagecodecs.jpegxl_decode_jpeg(data, numthreads=ONE_THREAD) if bits & AS_JPEG_XL else data
    except _DECODE_ERRORS as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return taken_apart(bytes(stream), bits & ~AS_JPEG_XL, tables)


class Optimize:
    """The same coefficients with Huffman tables of the tile's own: a JPEG as before.

    Raises
    ------
    MissingDependencyError
        If the library jpeglib is not installed.
    """

    mode = "optimize"
    keeps_bytes = False

    def __init__(self) -> None:
        check_installed("jpeglib", "the mode optimize")
        self._jpeglib = _load_jpeglib()
        self._folder = tempfile.mkdtemp(prefix="napari-nic-", dir=_memory_folder())
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def encode(self, page: Page, tile: bytes) -> Coded:
        """Code a tile anew, and decode both to see whether the pixels are the same."""
        try:
            bits = lacks(tile, page.tables, page.colors)
            # libtiff keeps the tables that a tile brings, and would read one behind it wrongly that relies on
            # shared ones. So all tiles of a page bring their own, those that are copied too.
            whole = joined(tile, bits & WITH_DHT, page.tables)
            return self._coded(page, tile, joined(tile, bits, page.tables), whole)
        except ValueError:
            return Coded(tile, copied="damaged JPEG")

    def paint(self, page: Page, tile: bytes, kept: npt.NDArray[np.bool_]) -> Coded:
        """Make the glass of a tile white; kept pixels stay exactly what they are.

        Parameters
        ----------
        page : Page
        tile : bytes
        kept : ndarray of bool, (rows, cols)
            Of the tile's pixels.

        Returns
        -------
        Coded
            As of :meth:`encode` where it cannot be painted.
        """
        with contextlib.suppress(ValueError, OSError, *_DECODE_ERRORS):
            stream = joined(tile, lacks(tile, page.tables, page.colors), page.tables)
            before = _pixels(tile, page)
            if (
                is_sequential(stream)
                and before.shape[:2] == kept.shape
                and not _is_cut_off(tile, before, page)
            ):
                new = self._whitened(page, tile, stream, kept)
                if new is not None and np.array_equal(before[kept], _pixels(new, page)[kept]):
                    return Coded(new, painted=True)
        return self.encode(page, tile)

    def _whitened(self, page: Page, tile: bytes, stream: bytes, kept: npt.NDArray[np.bool_]) -> bytes | None:
        """Return a tile with white glass; None if none of it can be made white."""
        colors = read_jpeg_header(stream).colors if page.colors else None
        white_is_zero = page.value(PHOTOMETRIC, 1) == _WHITE_IS_ZERO
        is_changed = False

        def change(image: Any) -> None:
            nonlocal is_changed
            is_changed = whiten(image, kept, colors, white_is_zero=white_is_zero)

        new = self._recoded(tile, stream, change)
        return new if is_changed else None

    def _coded(self, page: Page, tile: bytes, stream: bytes, whole: bytes) -> Coded:
        """Choose between a tile with new tables and `whole`, the same with those that it had."""
        if not is_sequential(stream):
            return Coded(whole, copied="progressive JPEG")
        try:
            before = _pixels(tile, page)
            if _is_cut_off(tile, before, page):  # written anew it would seem whole
                return Coded(tile, copied="damaged JPEG")
            new = self._recoded(tile, stream)
            if len(new) >= len(whole):
                return Coded(whole, copied=SMALL_ALREADY)
            is_same = np.array_equal(before, _pixels(new, page))
        except (OSError, *_DECODE_ERRORS):
            return Coded(whole, copied="refused by libjpeg")
        return Coded(new) if is_same else Coded(whole, copied="not the same afterwards")

    def directory(self, page: Page) -> Directory:
        """Return the page's tags: tiles bring tables of their own, which replace the shared ones."""
        return page.directory

    def _recoded(self, tile: bytes, stream: bytes, change: Callable[[Any], None] | None = None) -> bytes:
        """Return a tile coded anew; `stream` is the same, standing alone; `change` alters coefficients."""
        return spliced(tile, self._rewritten(stream, change))

    def _rewritten(self, stream: bytes, change: Callable[[Any], None] | None = None) -> bytes:
        """Run a stream through the library, which knows files only; `change` may alter coefficients."""
        name = f"{self._folder}/{threading.get_ident()}"
        before, after = Path(f"{name}a.jpg"), Path(f"{name}b.jpg")
        before.write_bytes(stream)
        image = self._jpeglib.read_dct(str(before))
        if change is not None:
            change(image)
        image.write_dct(str(after), flags=["+OPTIMIZE_CODING"])
        return after.read_bytes()


class Progressive(Optimize):
    """The same coefficients in several scans, each with tables of its own: a progressive JPEG.

    Where that is no smaller (glass) the tile stays in one scan, as of :class:`Optimize`.

    Raises
    ------
    MissingDependencyError
        If the libraries jpeglib and mozjpeg-lossless-optimization are not installed.
    """

    mode = "progressive"

    def __init__(self) -> None:
        super().__init__()
        self._library = require("mozjpeg_lossless_optimization", "the mode progressive")

    def _recoded(self, tile: bytes, stream: bytes, change: Callable[[Any], None] | None = None) -> bytes:
        plain = super()._recoded(tile, stream, change)
        # The library knows no coefficients: what is changed was changed before.
        whole = stream if change is None else spliced(stream, self._rewritten(stream, change))
        scans = spliced_scans(tile, bytes(self._library.optimize(whole)))
        return min(plain, scans, key=len)


_loading = threading.Lock()


def _load_jpeglib() -> Any:
    with _loading:
        jpeglib = require("jpeglib", "the mode optimize")
        jpeglib.version.set("turbo210")  # the oldest ones read no arithmetic coding and know less of errors
    return jpeglib


def _memory_folder() -> str | None:
    """Where small files cost no disk; None for the system's own choice."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108 - unique folders


def _pixels(tile: bytes, page: Page) -> Any:
    """Decode a tile the way that readers of TIFF do: with the page's tables beside it."""
    return imagecodecs.jpeg8_decode(tile, tables=page.tables or None)


def _is_cut_off(tile: bytes, pixels: Any, page: Page) -> bool:
    """Whether a tile has no end marker, or fewer pixels before it than it should."""
    scan = read_jpeg_header(tile).scan
    if not one_jpeg_of(tile, scan)[1]:
        return True
    return takes_what_follows(tile, scan, pixels, lambda stream: _pixels(stream, page))


CODECS: dict[str, type[TileCodec]] = {codec.mode: codec for codec in (Repack, Optimize, Progressive)}
"""Lossless modes by name."""


def load_codec(mode: str) -> TileCodec:
    """Return the codec of a mode.

    Raises
    ------
    InvalidParameterError
        If there is none of this name.
    MissingDependencyError
        If its library is not installed.
    """
    with contextlib.suppress(KeyError):
        return CODECS[mode]()
    raise InvalidParameterError("no such mode", expected=" or ".join(CODECS), found=mode)
