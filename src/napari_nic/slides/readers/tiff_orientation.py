"""Pictures that lie on their side or head in the file, and say so in their Orientation tag."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.slides.compose import compose_stored
from napari_nic.slides.model import Level, RgbArray, SlideSource, SourceInfo
from napari_nic.slides.readers.tiff_pixels import refusal

_TAG = 274
# value: (rows and columns change places, flip up-down, flip left-right), done in this order
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def orientation_of(pages: list[Any]) -> int:
    """Return the orientation, 1 to 8, that all levels share; 1 where none is stated.

    Raises
    ------
    UnsupportedPixelsError
        If levels differ.
    """
    found = {int(page.tags.valueof(_TAG, 1) or 1) for page in pages}
    found = {value if value in _TURNS else 1 for value in found}
    if len(found) > 1:
        listed = ", ".join(map(str, sorted(found)))
        raise refusal(f"its levels are turned in different ways (orientation {listed})")
    return found.pop()


class OrientedSource:
    """A source whose pictures are turned upright. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, source: SlideSource, orientation: int) -> None:
        self._source = source
        self._swaps, self._down, self._right = _TURNS[orientation]
        self._stored = source.info.levels
        self.info: SourceInfo = self._turned(source.info, orientation)

    def _turned(self, info: SourceInfo, orientation: int) -> SourceInfo:
        sizes = info.pixel_sizes
        if self._swaps:
            sizes = tuple(replace(claim, y=claim.x, x=claim.y) for claim in sizes)
        properties = dict(info.properties) | {"tiff.Orientation": str(orientation)}
        levels = tuple(self._level(level) for level in info.levels)
        return replace(info, levels=levels, pixel_sizes=sizes, properties=properties)

    def _level(self, level: Level) -> Level:
        if not self._swaps:
            return level
        tile = level.tile[1], level.tile[0]
        return Level(level.width, level.height, level.downsample_x, level.downsample_y, tile=tile)

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode the stored tiles that lie below an upright one, and turn them."""
        frame = self.info.levels[level].tile_region(row, col)
        stored = self._stored[level]
        y, x = frame.y, frame.x
        if self._down:
            y = self.info.levels[level].height - frame.bottom
        if self._right:
            x = self.info.levels[level].width - frame.right
        region = RegionPx(y, x, frame.height, frame.width)
        if self._swaps:
            region = RegionPx(x, y, frame.width, frame.height)

        read = partial(self._source.read_tile, level)
        pixels = compose_stored(stored, region, read, self.info.background)
        return None if pixels is None else self._turn(pixels)

    def _turn(self, pixels: RgbArray) -> RgbArray:
        if self._swaps:
            pixels = pixels.swapaxes(0, 1)
        if self._down:
            pixels = pixels[::-1]
        if self._right:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image, as it is stored."""
        return self._source.read_associated(name)

    def close(self) -> None:
        """Close the file."""
        self._source.close()
