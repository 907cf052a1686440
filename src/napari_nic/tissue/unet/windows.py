"""Where on a slide the network looks: a level averaged by a whole factor, and windows over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_nic.geometry import Placement, RegionPx
from napari_nic.slides import RgbArray, Slide
from napari_nic.slides.shrink import shrink

WINDOW = 512
"""Side of what the network sees at once, px."""

OVERLAP = 0.1
"""Share of a window that lies over the next one (published)."""

PIECE_PIXELS = 2**22
"""Pixels of the level that are read at a time, where it is much finer than what the network sees."""

_ROUNDING = 1.01


@dataclass(frozen=True, eq=False)
class Grid:
    """A level of a slide, averaged.

    Attributes
    ----------
    slide : Slide
    level, factor : int
        The level that is read, and how many of its pixels make a side of one of the mask's.
    """

    slide: Slide
    level: int
    factor: int

    @classmethod
    def near(cls, slide: Slide, mpp: float) -> Grid:
        """Choose the coarsest level that is as fine as `mpp`, and the factor that comes nearest to it.

        Raises
        ------
        MissingPixelSizeError
            If the slide's pixel size is not known.
        """
        pixel = slide.require_pixel_size()
        own = [level.downsample_y * pixel.y for level in slide.levels]
        index = max((number for number, size in enumerate(own) if size <= mpp * _ROUNDING), default=0)
        return cls(slide, index, max(1, round(mpp / own[index])))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the mask."""
        level = self.slide.levels[self.level]
        return -(-level.height // self.factor), -(-level.width // self.factor)

    @property
    def placement(self) -> Placement:
        """Where the mask's elements lie, um."""
        level, pixel = self.slide.levels[self.level], self.slide.require_pixel_size()
        step = self.factor * level.downsample_y * pixel.y, self.factor * level.downsample_x * pixel.x
        return Placement((0.0, 0.0), step)

    def read(self, window: RegionPx) -> RgbArray:
        """Return the pixels of a window of the mask.

        Raises
        ------
        DamagedSlideError
            If a tile cannot be decoded.
        """
        factor, extent = self.factor, self.slide.levels[self.level].region
        rows = max(1, PIECE_PIXELS // (window.width * factor**2))
        pieces = []
        for top in range(window.y, window.bottom, rows):
            height = min(rows, window.bottom - top)
            wanted = RegionPx(top * factor, window.x * factor, height * factor, window.width * factor)
            pieces.append(shrink(self.slide.read_region(self.level, wanted.intersect(extent)), factor))
        return np.concatenate(pieces)


def starts(size: int, window: int, overlap: float = OVERLAP) -> list[int]:
    """First elements of windows along an axis; the last window ends where the axis does."""
    if size <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, size - window, step), size - window]


def weights(size: int, window: int, overlap: float = OVERLAP) -> npt.NDArray[np.float32]:
    """How much each element along a side of a window counts: it rises over what lies over the next window."""
    ramp = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)) / (window * overlap + 1)
    return np.minimum(ramp, 1).astype(np.float32)
