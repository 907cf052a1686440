"""One tile from the slide to its bytes: read, glass painted, encoded, decoded again, checked."""

from __future__ import annotations

import threading
import time
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from napari_nic.errors import StoreError
from napari_nic.recompression.glass import Frame, GlassOptions, KeptArea
from napari_nic.recompression.lossy.checking import TileCheck, WrittenTile
from napari_nic.recompression.lossy.codecs import CodecSettings, PixelCodec
from napari_nic.recompression.lossy.picture import SourcePicture, padded
from napari_nic.slides import RgbArray

WHITE = (255, 255, 255)


class Place(NamedTuple):
    """A tile of the result: level, row and column in its grid, and its number there, row by row."""

    level: int
    row: int
    col: int
    number: int


@dataclass(frozen=True)
class EncodedTile:
    """What became of a tile; the fields are those of :class:`~...journal.Placed`.

    Attributes
    ----------
    place : Place
    data : bytes
        Empty of a tile of one colour, which is stored once.
    kind : str
    color : (int, int, int)
        Of a tile of one colour.
    shown : int
    attempt : int
    why : str
    passed : bool
    """

    place: Place
    data: bytes
    kind: str = "tile"
    color: tuple[int, int, int] = WHITE
    shown: int = 0
    attempt: int = 0
    why: str = ""
    passed: bool = True


@dataclass(frozen=True)
class RemovedGlass:
    """What of a slide is glass.

    Attributes
    ----------
    kept : KeptArea
    frames : tuple of Frame
        Of the result's levels.
    method : str
        How the tissue was found.
    options : GlassOptions
    """

    kept: KeptArea
    frames: tuple[Frame, ...]
    method: str
    options: GlassOptions


class TileEncoder:
    """Encodes tiles; :meth:`encode` may be called by several threads at once.

    Parameters
    ----------
    picture : SourcePicture
    codec : PixelCodec
    settings : CodecSettings
    check : callable
    glass : RemovedGlass, optional
    must_pass : bool
        Whether a tile that does not pass with the best quality is an error; else it is kept, and counted.

    Attributes
    ----------
    encode_seconds, decode_seconds : float
        Of all tiles so far.
    """

    def __init__(
        self,
        picture: SourcePicture,
        codec: PixelCodec,
        settings: CodecSettings,
        check: TileCheck,
        glass: RemovedGlass | None,
        *,
        must_pass: bool = False,
    ) -> None:
        self._picture, self._codec, self._settings = picture, codec, settings
        self._check, self._glass, self._must_pass = check, glass, must_pass
        self._lock = threading.Lock()
        self.encode_seconds = self.decode_seconds = 0.0

    def encode(self, place: Place) -> EncodedTile:
        """Return the bytes of a tile.

        Raises
        ------
        DamagedSlideError
            If the slide's tile cannot be decoded.
        StoreError
            If the codec cannot make it as good as the check demands, and it must.
        """
        kept = None
        if self._glass is not None:
            kept = self._glass.kept.of_tile(self._glass.frames[place.level], place.number)
            if not kept.any():
                return EncodedTile(place, b"", "glass")
        pixels = self._picture.read(place.level, place.row, place.col)
        if pixels is None:
            return EncodedTile(place, b"", "missing", self._picture.slide.background)
        kind = "tile"
        if kept is not None:
            glass = ~kept[: pixels.shape[0], : pixels.shape[1]]
            if glass.any():
                pixels, kind = np.where(glass[..., None], np.uint8(255), pixels), "painted"
        return self._encoded(place, pixels, kind)

    def even(self, color: tuple[int, int, int], tile: tuple[int, int]) -> bytes:
        """Return a tile of one colour, as exact as the codec can: it is stored once."""
        settings = self._settings
        while (better := self._codec.better(settings)) is not None:
            settings = better
        return self._codec.encode(np.full((*tile, 3), color, np.uint8), settings)

    def _encoded(self, place: Place, pixels: RgbArray, kind: str) -> EncodedTile:
        """Encode until the check is content."""
        whole = padded(pixels, self._picture.levels[place.level].tile)
        settings, attempt, why = self._settings, 0, ""
        while True:
            data, decoded = self._there_and_back(whole, settings)
            decoded = decoded[: pixels.shape[0], : pixels.shape[1]]
            tile = WrittenTile(place.level, place.row, place.col, pixels, data, decoded, attempt)
            verdict = self._check(tile)
            better = None if verdict.keeps else self._codec.better(settings)
            why = why or ("" if verdict.keeps else verdict.why)
            if better is not None:
                settings, attempt = better, attempt + 1
                continue
            if not verdict.keeps and self._must_pass:
                raise self._refused(place, verdict.why)
            shown = zlib.crc32(decoded.tobytes())
            return EncodedTile(place, data, kind, shown=shown, attempt=attempt, why=why, passed=verdict.keeps)

    def _there_and_back(self, pixels: RgbArray, settings: CodecSettings) -> tuple[bytes, RgbArray]:
        begin = time.perf_counter()
        data = self._codec.encode(pixels, settings)
        middle = time.perf_counter()
        decoded = self._codec.decode(data)
        end = time.perf_counter()
        with self._lock:
            self.encode_seconds += middle - begin
            self.decode_seconds += end - middle
        return data, decoded

    def _refused(self, place: Place, why: str) -> StoreError:
        full = self._settings.subsampling == "4:4:4"
        return StoreError(
            f"{self._codec.name} cannot make a tile as good as was asked for; nothing was written",
            path=self._picture.slide.path,
            found=f"{why}, at level {place.level}, row {place.row}, column {place.col}, at its best quality",
            hint="choose another codec, such as jpegxl, or a lower bound"
            if full
            else "choose --subsampling 4:4:4, another codec, or a lower bound",
        )


def frames_of(picture: SourcePicture) -> tuple[Frame, ...]:
    """Return the levels of the result as glass is told on them.

    Raises
    ------
    MissingPixelSizeError
        If nobody knows the slide's pixel size.
    """
    picture.slide.require_pixel_size()
    scales = [picture.scale_um(number) for number in range(len(picture.levels))]
    return tuple(
        Frame((level.height, level.width), level.tile, scale)
        for level, scale in zip(picture.levels, scales, strict=True)
        if scale is not None
    )


def first_and_last(picture: SourcePicture, level: int) -> frozenset[int]:
    """Return the numbers of a level's tiles that are always stored."""
    rows, cols = picture.levels[level].tile_grid
    return frozenset({0, rows * cols - 1})
