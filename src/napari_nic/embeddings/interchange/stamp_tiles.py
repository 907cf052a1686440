"""Where STAMP 2 cut its tiles: whole pixels, which the micrometres that it writes only come near to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.errors import StoreError

_SUPERTILE_PX = 1024
"""Tiles are cut from squares of at most so many level-0 pixels."""

_SAME_MPP = 2e-5
"""Two statements of one um/px may differ by so much by their rounding. Files of the right slide fit to 1e-7;
another um/px, by which tiles are a pixel more or less, to 1e-4 or worse."""

_ROUNDING_UM = 1e-3
"""Places are float32."""

_NOISE = 1e-6
"""Of a um/px that was computed: where a tile is nearly a whole number of pixels, it decides on one more."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles in level-0 pixels.

    Attributes
    ----------
    corners : ndarray of float64, (N, 2)
        (y, x), whole multiples of `side`.
    side : int
        Of a tile.
    """

    corners: np.ndarray
    side: int


def place_tiles(corners_um: np.ndarray, tile_um: float, mpp: float, path: Path) -> Tiles:
    """Find the pixels at which tiles were cut.

    A tile is ``t = ceil(tile_um / mpp)`` pixels wide. ``n`` tiles make a square that lies at a multiple of
    ``n * t`` pixels; a tile of it is written as the square's place in micrometres, and ``tile_um`` for each
    tile before it there.

    Parameters
    ----------
    corners_um : ndarray of float64, (N, 2)
        (y, x) as the file states them, micrometres.
    tile_um : float
    mpp : float
        um/px of level 0 that STAMP took.
    path : Path
        For errors.

    Raises
    ------
    StoreError
        If they do not lie where STAMP would have cut them at this um/px.
    """
    if not np.isfinite(corners_um).all():
        return Tiles(corners_um, math.ceil(tile_um / mpp))  # refused with all other places of that kind
    best: Tiles | None = None
    least = math.inf
    for side, squares in _layouts(tile_um, mpp):
        corners, off = _placed(corners_um, side, squares, tile_um, mpp)
        excess = float((off - _SAME_MPP * np.abs(corners_um)).max(initial=0.0))
        if excess < least:
            best, least = Tiles(corners, side), excess
    if best is None or least > _ROUNDING_UM:
        raise StoreError(
            "the tiles do not lie where STAMP cuts them on a slide of this um/px",
            path=path,
            expected=f"tiles of {tile_um:g} um at {mpp:g} um/px, {math.ceil(tile_um / mpp)} px each",
            found=f"places up to {least:.2f} um from there",
            hint="give the slide that they were made from, or the um/px that STAMP was told (--mpp)",
        )
    return best


def _layouts(tile_um: float, mpp: float) -> Iterator[tuple[int, int]]:
    """Yield (pixels of a tile, tiles of a square): one, or two where rounding of the um/px decides."""
    tile, square = tile_um / mpp, _SUPERTILE_PX * mpp / tile_um
    sides = {math.ceil(tile * (1 + sign * _NOISE)) for sign in (-1, 0, 1)}
    counts = {max(1, math.floor(square * (1 + sign * _NOISE))) for sign in (-1, 0, 1)}
    for side in sorted(sides, key=lambda side: side != math.ceil(tile)):
        for count in sorted(counts, key=lambda count: count != max(1, math.floor(square))):
            yield side, count


def _placed(
    corners_um: np.ndarray, side: int, count: int, tile_um: float, mpp: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return corners in pixels, and how far each lies from what STAMP would have written, micrometres."""
    square_um = side * count * mpp
    square = np.floor((corners_um + tile_um / 2) / square_um)
    within = np.clip(np.rint((corners_um - square * square_um) / tile_um), 0, count - 1)
    off = np.abs(corners_um - (square * square_um + within * tile_um))
    return (square * count + within) * side, off
