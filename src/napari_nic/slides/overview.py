"""One small picture of the whole slide, at a resolution of one's choice, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_nic.errors import DamagedSlideError, InvalidParameterError
from napari_nic.geometry import PixelSize, Placement, RegionPx
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.slides.compose import blank, compose_stored
from napari_nic.slides.model import Level, RgbArray
from napari_nic.slides.shrink import shrink

if TYPE_CHECKING:
    from napari_nic.slides.slide import Slide

STRIP_PIXELS = 2**23
"""Pixels of the finer level that one thread holds at a time, at most (24 MB)."""

PIECE_PIXELS = 2**18
"""What it holds where tiles can be averaged by themselves: so little stays in a core's cache."""

MAX_PIXELS = 20_000_000
"""Most pixels of a picture (60 MB). Beyond it, the picture is coarser than was asked for, so that memory is
bounded for a slide of any size: at 8 um/px that is glass of more than 35 x 35, or 25 x 50 mm."""

DEFAULT_WORKERS = 2


@dataclass(frozen=True)
class DamagedTile:
    """A tile that cannot be read.

    Attributes
    ----------
    region : RegionPx
        Where it lies, in pixels of the picture.
    error : DamagedSlideError
        Why.
    """

    region: RegionPx
    error: DamagedSlideError


@dataclass(frozen=True, eq=False)
class Overview:
    """A picture of the whole slide.

    Attributes
    ----------
    image : ndarray
        (rows, cols, 3) uint8 RGB.
    placement : Placement
        Where its pixels lie on the slide.
    level, factor : int
        The level it was averaged from, and the whole number of its pixels per side of one of the picture's.
    damaged : tuple of DamagedTile
        Tiles that cannot be read; they are in the background colour.
    """

    image: RgbArray
    placement: Placement
    level: int
    factor: int
    damaged: tuple[DamagedTile, ...] = ()


def read_overview(
    slide: Slide, mpp: float = 8.0, *, workers: int = DEFAULT_WORKERS, token: CancellationToken | None = None
) -> Overview:
    """Average the slide down to the coarsest whole factor that is still as fine as `mpp`.

    The file's coarsest level at least as fine as `mpp` is read; where that is much finer (a slide of one
    level), it is walked in strips of tiles that are averaged and let go one after the other, and the
    picture has at most :data:`MAX_PIXELS`, so that memory does not grow with the slide. The pixels go past
    the slide's cache. A tile that the file leaves out costs nothing; one that cannot be read is left in the
    background colour and listed.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    mpp : float
        Micrometres per pixel of the picture, at most, unless it would be too large; a slide coarser than
        that is returned as it is.
    workers : int
        Threads that decode.
    token : CancellationToken, optional
        Checked between tiles.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is not known.
    InvalidParameterError
        If `mpp` is not positive.
    DamagedSlideError
        If no tile at all can be read.
    CancelledError
        If `token` was cancelled.

    See Also
    --------
    iter_read_overview : the same as a generator, which tells how far it is.
    """
    return result_of(iter_read_overview(slide, mpp, workers=workers, token=token))


def iter_read_overview(
    slide: Slide, mpp: float = 8.0, *, workers: int = DEFAULT_WORKERS, token: CancellationToken | None = None
) -> Generator[Progress, None, Overview]:
    """Do what :func:`read_overview` does; yield after each strip, and return the picture."""
    pixel = slide.require_pixel_size()
    if not mpp > 0:
        raise InvalidParameterError("mpp must be positive", found=f"{mpp}")
    mpp = max(mpp, _least_mpp(slide, pixel))
    index = _coarsest_sufficient(slide, pixel, mpp)
    level = slide.levels[index]
    factor = max(1, math.floor(mpp / _level_mpp(level, pixel) + 1e-6))
    while _pixels(level, factor) > MAX_PIXELS:
        factor += 1
    own = CancellationToken(token)
    reader = _Reader(slide, index, own)
    image = blank(-(-level.height // factor), -(-level.width // factor), slide.background)

    def average(strip: RegionPx) -> None:
        for piece in _pieces(level, strip, factor):
            pixels = compose_stored(level, piece, reader.read, slide.background)
            if pixels is not None:
                image[_shrunk(piece, factor).slices] = shrink(pixels, factor)

    # Tiles that are larger than a strip may be are decoded one at a time.
    workers = workers if level.tile[0] * level.tile[1] <= STRIP_PIXELS else 1
    strips = _strips(level, factor)
    with ThreadPoolExecutor(workers, thread_name_prefix="overview") as pool:
        try:
            for done, _ in enumerate(pool.map(average, strips), 1):
                yield Progress(done, len(strips), "reading the whole slide", "strips")
        finally:
            own.cancel()  # when one strip failed, the others need not be read to their end
    step = (factor * level.downsample_y * pixel.y, factor * level.downsample_x * pixel.x)
    return Overview(image, Placement((0.0, 0.0), step), index, factor, reader.damaged_tiles(factor))


class _Reader:
    """Reads tiles of a level, and takes note of those that cannot be read; for several threads."""

    def __init__(self, slide: Slide, index: int, token: CancellationToken) -> None:
        self._slide, self._index, self._token = slide, index, token
        self._damaged: dict[tuple[int, int], DamagedSlideError] = {}

    def read(self, row: int, col: int) -> RgbArray | None:
        """Return a tile; None if the file leaves it out, or it cannot be read."""
        self._token.checkpoint()
        try:
            return self._slide.read_stored_tile(self._index, row, col)
        except DamagedSlideError as error:
            self._damaged[row, col] = error
        return None

    def damaged_tiles(self, factor: int) -> tuple[DamagedTile, ...]:
        """List the tiles that could not be read; raise if that is all of them."""
        level = self._slide.levels[self._index]
        rows, cols = level.tile_grid
        if len(self._damaged) == rows * cols:
            raise next(iter(self._damaged.values()))
        return tuple(
            DamagedTile(_shrunk(level.tile_region(*position), factor), error)
            for position, error in sorted(self._damaged.items())
        )


def _shrunk(region: RegionPx, factor: int) -> RegionPx:
    """Return the pixels of the picture that hold a part of a region."""
    y, x = region.y // factor, region.x // factor
    return RegionPx(y, x, -(-region.bottom // factor) - y, -(-region.right // factor) - x)


def _pixels(level: Level, factor: int) -> int:
    return -(-level.height // factor) * -(-level.width // factor)


def _least_mpp(slide: Slide, pixel: PixelSize) -> float:
    """Resolution below which the picture of the slide would be too large."""
    height, width = slide.levels[0].shape
    return pixel.mean * math.sqrt(height * width / MAX_PIXELS)


def _pieces(level: Level, strip: RegionPx, factor: int) -> Iterator[RegionPx]:
    """Cut a strip into what is averaged at once."""
    width = _piece_width(level, strip, factor)
    for x in range(0, level.width, width):
        yield RegionPx(strip.y, x, strip.height, width).intersect(level.region)


def _piece_width(level: Level, strip: RegionPx, factor: int) -> int:
    """Width of the pieces of a strip: within the memory bound, but no tile is decoded for many pieces."""
    whole = math.lcm(level.tile[1], factor)
    if strip.height * whole <= STRIP_PIXELS:
        return max(1, PIECE_PIXELS // (strip.height * whole)) * whole
    widest = max(STRIP_PIXELS // strip.height, level.tile[1])
    return max(1, -(-widest // factor)) * factor


def _strips(level: Level, factor: int) -> list[RegionPx]:
    """Cut a level into strips of whole tiles and whole factors, so that no tile is decoded for two."""
    height = math.lcm(level.tile[0], factor)
    if height * math.lcm(level.tile[1], factor) > STRIP_PIXELS:
        # No common multiple within the bound: tiles at the edges of pieces are decoded twice, and squares
        # have the shortest edges.
        square = math.isqrt(STRIP_PIXELS) // factor * factor
        lowest = -(-level.tile[0] // factor) * factor
        height = square if square > lowest and square * level.tile[1] <= STRIP_PIXELS else lowest
    return [
        RegionPx(y, 0, min(height, level.height - y), level.width) for y in range(0, level.height, height)
    ]


def _level_mpp(level: Level, pixel: PixelSize) -> float:
    return pixel.mean * math.sqrt(level.downsample_y * level.downsample_x)


def _coarsest_sufficient(slide: Slide, pixel: PixelSize, mpp: float) -> int:
    fine_enough = [i for i, level in enumerate(slide.levels) if _level_mpp(level, pixel) <= mpp]
    return fine_enough[-1] if fine_enough else 0
