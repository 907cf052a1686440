"""Put a region together from the tiles it touches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.slides.model import Level, Rgb, RgbArray


def compose(
    level: Level, region: RegionPx, read_tile: Callable[[int, int], RgbArray], background: Rgb
) -> RgbArray:
    """Return `region` of `level`, (height, width, 3); what lies outside the level is `background`.

    Parameters
    ----------
    read_tile : callable
        (tile_row, tile_col) -> the tile's pixels, cropped at the level's edge.
    """
    inside = region.intersect(level.region)
    pixels = np.empty((region.height, region.width, 3), np.uint8)
    if inside != region:
        pixels[:] = background
    if inside.is_empty:
        return pixels
    tile_height, tile_width = level.tile
    for row in range(inside.y // tile_height, (inside.bottom - 1) // tile_height + 1):
        for col in range(inside.x // tile_width, (inside.right - 1) // tile_width + 1):
            frame = level.tile_region(row, col)
            part = frame.intersect(inside)
            tile = read_tile(row, col)
            pixels[_within(part, region)] = tile[_within(part, frame)]
    return pixels


def _within(part: RegionPx, frame: RegionPx) -> tuple[slice, slice]:
    """Slices of `part` in an array that shows `frame`."""
    return RegionPx(part.y - frame.y, part.x - frame.x, part.height, part.width).slices
