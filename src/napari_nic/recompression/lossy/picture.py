"""What is written of a slide: its levels cut into tiles, its pixels as they are stored, its facts.

Pixels come from the slide's reader in the file's own colours (no profile is applied; the profile is written
beside them). Levels are the file's own, and halvings below its coarsest one: any program can zoom out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.errors import UnsupportedPixelsError
from napari_nic.geometry import PixelSize
from napari_nic.slides import Level, RgbArray, Slide, open_slide

TILE = 256
"""Side of tiles where the slide's own cannot be kept."""

_LEAST, _MOST, _STEP = 64, 1024, 16
_POWER_KEYS = ("aperio.AppMag", "openslide.objective-power", "hamamatsu.SourceLens")


@dataclass(frozen=True)
class SlideFacts:
    """What is kept of a slide beside its pixels.

    Attributes
    ----------
    name : str
        Of the file; empty where it must not be told.
    pixel_size : PixelSize or None
    icc_profile : bytes or None
    description : str
        The text of a TIFF's first page; empty for other files.
    objective_power : float or None
        Magnification of the objective, where the file states it.
    background : (int, int, int)
        Colour of what the file leaves out.
    associated : mapping of str to ndarray of uint8, (rows, cols, 3)
        Label, macro, thumbnail.
    """

    name: str
    pixel_size: PixelSize | None
    icc_profile: bytes | None
    description: str
    objective_power: float | None
    background: tuple[int, int, int]
    associated: Mapping[str, RgbArray]


class SourcePicture:
    """An open slide as tiles to be encoded; safe to use from several threads. Close it.

    Parameters
    ----------
    path : Path
    mpp : float, optional
        um per level-0 pixel, where the slide does not say.
    tile : int or (int, int), optional
        Side of tiles, or (rows, cols), multiples of 16; the slide's own by default, if they can be kept.

    Attributes
    ----------
    slide : Slide
    levels : tuple of Level
        Of the result, finest first, all cut alike.
    own : int
        How many of these the file holds; the others are halved.

    Raises
    ------
    UnsupportedPixelsError
        If it is no bright-field picture in RGB.
    """

    def __init__(
        self, path: Path, *, mpp: float | None = None, tile: int | tuple[int, int] | None = None
    ) -> None:
        self.slide: Slide = open_slide(path, color="raw", mpp=mpp)
        try:
            _check_kind(self.slide)
        except UnsupportedPixelsError:
            self.slide.close()
            raise
        own, self._halvings = self.slide.levels, self.slide.halvings[-1]
        self.own = len(own)
        side = (tile, tile) if isinstance(tile, int) else tile or _tile_of(own[0])
        self.levels = tuple(
            Level(level.height, level.width, level.downsample_y, level.downsample_x, side)
            for level in (*own, *self._halvings.levels)
        )

    @property
    def tiles(self) -> int:
        """Number of tiles of all levels."""
        return sum(level.tile_grid[0] * level.tile_grid[1] for level in self.levels)

    def read(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode a tile, (rows, cols, 3) uint8, cropped at the level's edge; None if the file leaves it out.

        Raises
        ------
        DamagedSlideError
            If it cannot be decoded.
        """
        region = self.levels[level].tile_region(row, col)
        if level >= self.own:
            return self._halvings.read(level - self.own, region)
        if self.slide.levels[level].tile == self.levels[level].tile:
            return self.slide.read_stored_tile(level, row, col)
        return self.slide.read_stored_region(level, region)

    def scale_um(self, level: int) -> tuple[float, float] | None:
        """Return (y, x) micrometres of a pixel of a level; None if nobody knows."""
        pixel, (height, width) = self.slide.pixel_size, self.levels[0].shape
        if pixel is None:
            return None
        return pixel.y * height / self.levels[level].height, pixel.x * width / self.levels[level].width

    def facts(self) -> SlideFacts:
        """Read what is kept beside the pixels."""
        slide = self.slide
        power = next((_number(slide.properties[key]) for key in _POWER_KEYS if key in slide.properties), None)
        return SlideFacts(
            name=slide.path.name,
            pixel_size=slide.pixel_size,
            icc_profile=slide.icc_profile,
            description=slide.properties.get("tiff.ImageDescription", ""),
            objective_power=power,
            background=slide.background,
            associated={name: slide.read_associated(name) for name in slide.associated_images},
        )

    def close(self) -> None:
        """Close the slide."""
        self.slide.close()


def _check_kind(slide: Slide) -> None:
    if slide.is_fluorescence or slide.channels:
        raise UnsupportedPixelsError(
            "a slide of separate channels: mixed to RGB they could not be had apart again",
            path=slide.path,
            expected="a bright-field slide in RGB",
            hint="choose --mode repack or optimize, which keep all channels",
        )


def _tile_of(level: Level) -> tuple[int, int]:
    """Keep the slide's tiles where every reader can have them: as TIFF allows, neither tiny nor huge."""
    fits = all(_LEAST <= side <= _MOST and side % _STEP == 0 for side in level.tile)
    return level.tile if fits else (TILE, TILE)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1000 else None


def padded(pixels: RgbArray, tile: tuple[int, int]) -> RgbArray:
    """Fill a tile at the edge of a level up to its whole size, by its last row and column.

    An even colour would make a hard edge there, which costs bytes and rings into the picture.
    """
    missing = tile[0] - pixels.shape[0], tile[1] - pixels.shape[1]
    if missing == (0, 0):
        return np.ascontiguousarray(pixels)
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
