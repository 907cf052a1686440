"""A part of a slide before and after a codec, and what the whole file would come to; nothing is written."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.glass import Frame, KeptArea
from napari_nic.recompression.quality.judging import Measures, measure
from napari_nic.recompression.reporting.contenders import Contender
from napari_nic.recompression.reporting.stored import size_of
from napari_nic.slides import RgbArray, Slide

MOST_TILES = 16
"""Of a preview, around the middle of what is seen."""

SAMPLE = 32
"""Tiles that are encoded to tell the size of the whole file."""

GLASS_BYTES = 16
"""What a tile of glass takes in the list of tiles; all share one picture."""

_WHITE = np.uint8(255)


@dataclass(frozen=True, eq=False)
class Preview:
    """A part of a level before and after.

    Attributes
    ----------
    level : int
    region : RegionPx
        Of the level: whole tiles of the slide.
    before, after : ndarray of uint8, (rows, cols, 3)
        As they are shown: with the slide's colour profile, where it has one.
    size : int
        Bytes of its tiles; 0 where they are packed without loss.
    measures : Measures
    """

    level: int
    region: RegionPx
    before: RgbArray = field(repr=False)
    after: RgbArray = field(repr=False)
    size: int
    measures: Measures

    @property
    def bits_per_pixel(self) -> float:
        """Bits of a pixel."""
        return 8 * self.size / (self.region.height * self.region.width)


def preview(
    slide: Slide,
    seen: RegionPx,
    level: int,
    through: Contender | None,
    kept: KeptArea | None = None,
    *,
    token: CancellationToken | None = None,
) -> Preview:
    """Encode and decode the tiles in the middle of what is seen.

    Parameters
    ----------
    slide : Slide
    seen : RegionPx
        Of level 0.
    level : int
        Whose tiles are shown.
    through : Contender, optional
        Without one pixels stay what they are.
    kept : KeptArea, optional
        What is no glass; the rest becomes white.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If nothing of the slide is seen.
    """
    places = _tiles_around(slide, seen, level)
    if not places:
        raise InvalidParameterError("nothing of the slide is seen")
    geometry = slide.levels[level]
    regions = {place: geometry.tile_region(*place) for place in places}
    whole = _around(list(regions.values()))
    before = np.empty((whole.height, whole.width, 3), np.uint8)
    after, size = before.copy(), 0
    for place, region in checked(regions.items(), token):
        y, x = region.y - whole.y, region.x - whole.x
        part = np.s_[y : y + region.height, x : x + region.width]
        tile = slide.read_tile(level, *place)
        before[part] = tile
        painted = _painted(slide, level, place, tile, kept)
        if through is None:
            after[part] = painted
            continue
        data = through.encode(np.ascontiguousarray(painted))
        after[part], size = through.decode(data), size + len(data)
    return Preview(level, whole, before, after, size, measure(before, after))


def _tiles_around(slide: Slide, seen: RegionPx, level: int) -> list[tuple[int, int]]:
    """Return tiles that are seen, those nearest to the middle, as a block of rows and columns."""
    geometry = slide.levels[level]
    spans: list[list[int]] = []
    for axis, (start, length) in enumerate(((seen.y, seen.height), (seen.x, seen.width))):
        step = (geometry.downsample_y, geometry.downsample_x)[axis] * geometry.tile[axis]
        count = geometry.tile_grid[axis]
        first, last = int(start // step), int((start + length - 1) // step)
        middle = (start + length / 2) / step
        every = [k for k in range(max(first, 0), min(last + 1, count)) if length > 0]
        order = np.argsort([abs(k + 0.5 - middle) for k in every], kind="stable")
        spans.append(sorted(every[k] for k in order[: int(MOST_TILES**0.5)]))
    rows, cols = spans
    return [(row, col) for row in rows for col in cols]


def _around(regions: list[RegionPx]) -> RegionPx:
    top, left = min(r.y for r in regions), min(r.x for r in regions)
    bottom, right = max(r.bottom for r in regions), max(r.right for r in regions)
    return RegionPx(top, left, bottom - top, right - left)


def frame_of(slide: Slide, level: int) -> Frame:
    """Return a level as glass is told on it."""
    geometry, pixel = slide.levels[level], slide.pixel_size or PixelSize(1.0, 1.0, "none")
    scale = pixel.y * geometry.downsample_y, pixel.x * geometry.downsample_x
    return Frame(geometry.shape, geometry.tile, scale)


def _painted(
    slide: Slide, level: int, place: tuple[int, int], tile: RgbArray, kept: KeptArea | None
) -> RgbArray:
    if kept is None:
        return tile
    frame = frame_of(slide, level)
    inside = kept.of_tile(frame, place[0] * frame.n_cols + place[1])[: tile.shape[0], : tile.shape[1]]
    return np.where(inside[..., None], tile, _WHITE)


@dataclass(frozen=True)
class SizeEstimate:
    """What a file would come to.

    Attributes
    ----------
    before, after : int
        Bytes.
    sampled, tiles : int
        Tiles that were encoded, and all there are.
    """

    before: int
    after: int
    sampled: int
    tiles: int

    @property
    def saved(self) -> float:
        """Share of the bytes; negative where it would grow."""
        return 1 - self.after / self.before if self.before else 0.0


def estimate_size(
    slide: Slide,
    through: Contender,
    kept: KeptArea | None = None,
    *,
    seed: int = 0,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SizeEstimate]:
    """Encode some tiles of all levels, drawn at random but the same ones every time.

    Parameters
    ----------
    slide : Slide
    through : Contender
    kept : KeptArea, optional
        Tiles without any of it take next to nothing.
    seed : int
    token : CancellationToken, optional
    """
    grids = [level.tile_grid for level in slide.levels]
    counts = [rows * cols for rows, cols in grids]
    total, bounds = sum(counts), np.cumsum([0, *counts])
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:SAMPLE])
    size = 0
    for done, number in enumerate(checked(chosen, token)):
        yield Progress(done, len(chosen), "estimating the size", "tiles")
        level = int(np.searchsorted(bounds, number, side="right")) - 1
        index = int(number - bounds[level])
        row, col = divmod(index, grids[level][1])
        if kept is not None and not kept.of_tile(frame_of(slide, level), index).any():
            size += GLASS_BYTES
            continue
        tile = slide.read_tile(level, row, col)
        size += len(through.encode(np.ascontiguousarray(_painted(slide, level, (row, col), tile, kept))))
    return SizeEstimate(size_of(slide.path), round(size * total / len(chosen)), len(chosen), total)
