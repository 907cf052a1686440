"""Put a region together from the tiles it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.slides.model import Level, Rgb, RgbArray


def compose(
    level: Level, region: RegionPx, read_tile: Callable[[int, int], RgbArray | None], background: Rgb
) -> RgbArray:
    """Return `region` of `level`, (height, width, 3); what no tile covers is `background`.

    Parameters
    ----------
    read_tile : callable
        (tile_row, tile_col) -> the tile's pixels, cropped at the level's edge; None if the file has none.
    """
    pixels = compose_stored(level, region, read_tile, background)
    return blank(region.height, region.width, background) if pixels is None else pixels


def compose_stored(
    level: Level, region: RegionPx, read_tile: Callable[[int, int], RgbArray | None], background: Rgb
) -> RgbArray | None:
    """Return the same; None where the file holds no tile: most of a sparse slide, which so costs nothing."""
    inside = region.intersect(level.region)
    pixels: RgbArray | None = None
    missing = []
    for row, col in _tiles_within(level, inside):
        tile = read_tile(row, col)
        if tile is None:
            missing.append((row, col))
            continue
        if pixels is None:
            pixels = np.empty((region.height, region.width, 3), np.uint8)
        frame = level.tile_region(row, col)
        part = frame.intersect(inside)
        pixels[_within(part, region)] = tile[_within(part, frame)]
    if pixels is None:
        return None
    empty = [level.tile_region(row, col).intersect(inside) for row, col in missing]
    for part in empty + _around(inside, region):
        pixels[_within(part, region)] = background
    return pixels


def blank(height: int, width: int, background: Rgb) -> RgbArray:
    """Return pixels (height, width, 3) in the background colour."""
    return np.full((height, width, 3), background, np.uint8)


def _tiles_within(level: Level, inside: RegionPx) -> Iterator[tuple[int, int]]:
    """Yield (row, col) of the tiles that a part of a level touches."""
    if inside.is_empty:
        return
    tile_height, tile_width = level.tile
    for row in range(inside.y // tile_height, (inside.bottom - 1) // tile_height + 1):
        for col in range(inside.x // tile_width, (inside.right - 1) // tile_width + 1):
            yield row, col


def _around(inside: RegionPx, region: RegionPx) -> list[RegionPx]:
    """Cut what of `region` lies outside `inside` into rectangles."""
    above, left = inside.y - region.y, inside.x - region.x
    parts = [
        RegionPx(region.y, region.x, above, region.width),
        RegionPx(inside.bottom, region.x, region.bottom - inside.bottom, region.width),
        RegionPx(inside.y, region.x, inside.height, left),
        RegionPx(inside.y, inside.right, inside.height, region.right - inside.right),
    ]
    return [part for part in parts if not part.is_empty]


def _within(part: RegionPx, frame: RegionPx) -> tuple[slice, slice]:
    """Slices of `part` in an array that shows `frame`."""
    return RegionPx(part.y - frame.y, part.x - frame.x, part.height, part.width).slices
