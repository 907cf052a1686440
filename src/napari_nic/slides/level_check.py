"""Whether the levels of a file show one picture: some of their pixels are held against the finer level's.

A writer that mixes up its pages makes a pyramid whose sizes are right and whose coarser levels are another
picture. Whoever works on such a level, or looks at it from afar, would never know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides.compose import compose
from napari_nic.slides.model import Level, RgbArray, SlideSource

WINDOW, LEAST_WINDOW, FINE_WINDOW = 64, 16, 512
"""Side of what is compared at a place: in pixels of the coarser level at most and at least, and at most in
pixels of the finer one where that leaves enough."""

COARSE_STEP = 4
"""Pixels by which places of detail within a tile are searched for."""

LEAST_SIDE = 32
"""Levels with a shorter side are thumbnails that nothing is measured on; a few pixels tell nothing."""

GUIDE_SIDE = 256
"""The coarsest level with sides of at least this many pixels says where there is something to see."""

PLACES = 8
"""Places that are compared: those of most detail among all that are looked at."""

LOOKED_AT, TILES, TILE_PIXELS = 64, 32, 2**23
"""Points and tiles of the guiding level that are looked at for detail, and pixels of its tiles, at most."""

DETAIL, ENOUGH = 4.0, 8.0
"""Grey levels by which a place must vary, else nothing can be told from it; and from which it tells so well
that no better ones are looked for."""

SHIFT = 4
"""Pixels of the coarser level by which conventions may differ, on where a pixel lies and how sizes are
rounded."""

ALIKE, ALIKE_FINE = 0.7, 0.1
"""Correlation from which two levels are taken for one picture, or that of their finest detail: of noise that
was thinned out, not averaged, no more is left."""

OTHER_COLOR = 16.0
"""Grey levels by which colours must differ on average."""

SWAPPED = 3.0
"""Grey levels that pixels must differ, and half of them at most once red and blue have changed places."""

_GOLDEN = 0.7548776662466927, 0.5698402909980532  # spreads points evenly, however many there are

Patch = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LevelCheck:
    """How two levels compare.

    Attributes
    ----------
    places : int
        Places of enough detail that were compared; where it is 0, nothing can be told.
    alike, alike_fine : float
        Correlation of their pixels and of their finest detail, at the best shift: of the sample (red,
        green or blue) that fits worst.
    color : float
        Grey levels between their average colours, of the sample that differs most; the median of the places
        of enough detail, or of all where there is none.
    is_swapped : bool
        Whether red and blue of one must change places to be like the other.
    """

    places: int
    alike: float = 1.0
    alike_fine: float = 1.0
    color: float = 0.0
    is_swapped: bool = False

    @property
    def problem(self) -> str:
        """Why they cannot be one picture; empty if they can."""
        if self.places and self.alike < ALIKE and self.alike_fine < ALIKE_FINE:
            return "its pixels show another picture than the finer level's"
        if self.color > OTHER_COLOR or self.is_swapped:
            return "its colours are others than the finer level's"
        return ""


def drop_other_pictures(source: SlideSource) -> SlideSource:
    """Leave out levels whose pixels show something else than the slide, and name them.

    A bounded number of tiles is read of each level: those that hold most to see in the coarsest one, and as
    many spread evenly, since that one may be the wrong one. What cannot be read, is missing or lies on even
    ground says nothing. Nothing is read of a file of one level.
    """
    levels = source.info.levels
    if len(levels) == 1 or source.info.is_read_whole:
        return source
    readers = [_LevelReader(source, index) for index in range(len(levels))]
    large = [reader for reader in readers if min(reader.level.shape) >= GUIDE_SIDE]
    rich = [place.point for place in large[-1].places(())] if large else []
    kept, notices = [0], []
    for index in range(1, len(levels)):
        problem = compare(readers[kept[-1]], readers[index], rich).problem
        if problem:
            height, width = levels[index].shape
            notices.append(f"level {index} of {width} x {height} px is left out: {problem}")
        else:
            kept.append(index)
    return source if len(kept) == len(levels) else _FewerLevels(source, kept, notices)


def check_level(source: SlideSource, finer: int, coarser: int) -> LevelCheck:
    """Compare two levels of a source by their indices."""
    return compare(_LevelReader(source, finer), _LevelReader(source, coarser), ())


class _FewerLevels:
    """An open slide without some of its levels. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, source: SlideSource, kept: Sequence[int], notices: Sequence[str]) -> None:
        self._source, self._kept = source, tuple(kept)
        info = source.info
        levels = tuple(info.levels[index] for index in kept)
        self.info = replace(info, levels=levels, notices=(*info.notices, *notices))

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one tile."""
        return self._source.read_tile(self._kept[level], row, col)

    def read_associated(self, name: str) -> RgbArray:
        """Decode an associated image."""
        return self._source.read_associated(name)

    def close(self) -> None:
        """Close the file."""
        self._source.close()


class _NothingThereError(Exception):
    """A tile is missing or damaged: nothing can be told from it."""


@dataclass(frozen=True)
class _Place:
    """A window of a level: its pixels, how much is to be seen in them, and its corner as shares."""

    region: RegionPx
    pixels: RgbArray
    detail: float
    point: tuple[float, float]


class _LevelReader:
    """Reads a little of one level, and keeps the tiles that it decoded."""

    def __init__(self, source: SlideSource, index: int) -> None:
        self.level: Level = source.info.levels[index]
        self._source, self._index = source, index
        self._tiles: dict[tuple[int, int], RgbArray | None] = {}
        self._most = max(1, min(TILES, TILE_PIXELS // (self.level.tile[0] * self.level.tile[1])))

    def places(self, rich: Sequence[tuple[float, float]], side: int = WINDOW) -> list[_Place]:
        """Return the places of most detail, of tiles that are given by a point and of others all over."""
        rows, cols = self.level.tile_grid
        points = (*rich, *_spread(2 * PLACES if rich else LOOKED_AT))
        tiles = dict.fromkeys((min(int(y * rows), rows - 1), min(int(x * cols), cols - 1)) for y, x in points)
        found: list[_Place] = []
        for tile in list(tiles)[: self._most]:
            found += self._places_of(*tile, side)
            if sum(place.detail >= ENOUGH for place in found) >= PLACES:
                break  # decoding is what a check costs
        return sorted(found, key=lambda place: -place.detail)[:PLACES]

    def _places_of(self, row: int, col: int, side: int) -> list[_Place]:
        """Return windows of one tile; more of them where there are few tiles."""
        if (row, col) not in self._tiles:
            self._tiles[row, col] = self._decode(row, col)
        pixels, level = self._tiles[row, col], self.level
        size = tuple(min(side, *lengths) for lengths in zip(level.tile, level.shape, strict=True))
        if pixels is None or pixels.shape[0] < size[0] or pixels.shape[1] < size[1]:
            return []
        frame, (rows, cols) = level.tile_region(row, col), level.tile_grid
        places = []
        for y, x in _windows(pixels, (size[0], size[1]), -(-PLACES // (rows * cols))):
            shown = pixels[y : y + size[0], x : x + size[1]]
            region = RegionPx(frame.y + y, frame.x + x, size[0], size[1])
            point = region.y / level.height, region.x / level.width
            places.append(_Place(region, shown, _detail(shown), point))
        return places

    def read(self, region: RegionPx) -> RgbArray:
        """Return a region that lies within the level."""

        def tile(row: int, col: int) -> RgbArray:
            pixels = self._tiles[row, col] if (row, col) in self._tiles else self._decode(row, col)
            if pixels is None:
                raise _NothingThereError
            return pixels

        return compose(self.level, region, tile, self._source.info.background)

    def _decode(self, row: int, col: int) -> RgbArray | None:
        try:
            return self._source.read_tile(self._index, row, col)
        except DamagedSlideError:
            return None  # it is told when it is looked at


def compare(finer: _LevelReader, coarser: _LevelReader, rich: Sequence[tuple[float, float]]) -> LevelCheck:
    """Compare two levels at the places of most detail."""
    down, across = _steps(finer.level, coarser.level)
    if min(coarser.level.shape) < LEAST_SIDE:
        return LevelCheck(0)
    side = int(max(LEAST_WINDOW, min(WINDOW, FINE_WINDOW // max(1.0, down, across))))
    pairs: list[tuple[Patch, Patch]] = []
    even: list[tuple[Patch, Patch]] = []
    for place in coarser.places(rich, side):
        below = _below(place.region, finer.level, (down, across))
        try:
            pixels = finer.read(below)
        except _NothingThereError:
            continue
        size = place.region.width, place.region.height
        fine = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        found = pairs if max(_detail(fine), place.detail) >= DETAIL else even
        found.append((fine.astype(np.float32), place.pixels.astype(np.float32)))
        if finer.level.tile[0] * finer.level.tile[1] * len(pairs + even) > TILE_PIXELS:
            break
    if not pairs:
        return LevelCheck(0, color=_color_distance(even))
    sharp = [(fine - cv2.blur(fine, (5, 5)), coarse - cv2.blur(coarse, (5, 5))) for fine, coarse in pairs]
    return LevelCheck(
        len(pairs),
        _correlation(pairs, DETAIL / 2),
        _correlation(sharp, 1.0),
        _color_distance(pairs),
        _is_swapped(pairs),
    )


def _is_swapped(pairs: Sequence[tuple[Patch, Patch]]) -> bool:
    smooth = [(cv2.blur(fine, (5, 5)), cv2.blur(coarse, (5, 5))) for fine, coarse in pairs]
    plain, swapped = (
        float(np.mean([np.abs(fine - coarse[..., ::step]).mean() for fine, coarse in smooth]))
        for step in (1, -1)
    )
    return plain > SWAPPED and swapped < plain / 2


def _color_distance(pairs: Sequence[tuple[Patch, Patch]]) -> float:
    """Return the grey levels between the average colours at the median place; 0 if there is none."""
    distances = [np.abs(fine.mean(axis=(0, 1)) - coarse.mean(axis=(0, 1))).max() for fine, coarse in pairs]
    return float(np.median(distances)) if distances else 0.0


def _steps(finer: Level, coarser: Level) -> tuple[float, float]:
    return coarser.downsample_y / finer.downsample_y, coarser.downsample_x / finer.downsample_x


def _below(window: RegionPx, finer: Level, steps: tuple[float, float]) -> RegionPx:
    """Return what a window of the coarser level shows, in pixels of the finer one."""
    down, across = steps
    y, x = round(window.y * down), round(window.x * across)
    bottom, right = round(window.bottom * down), round(window.right * across)
    height, width = min(bottom, finer.height) - y, min(right, finer.width) - x
    return RegionPx(y, x, max(1, height), max(1, width)).intersect(finer.region)


def _spread(count: int) -> Iterator[tuple[float, float]]:
    """Yield points of the unit square, the same ones every time; the first ones lie evenly too."""
    for number in range(count):
        yield (0.5 + number * _GOLDEN[0]) % 1, (0.5 + number * _GOLDEN[1]) % 1


def _windows(pixels: RgbArray, size: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """Return the corners of the windows of a tile that vary most; they do not overlap."""
    # Where a window lies best need not be known to the pixel: a smaller picture tells it, sooner.
    step = COARSE_STEP if min(size) >= COARSE_STEP * LEAST_WINDOW // 2 else 1
    height, width = size[0] // step, size[1] // step
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    shape = (grey.shape[1] // step, grey.shape[0] // step)
    small = cv2.resize(grey, shape, interpolation=cv2.INTER_AREA)
    varying = _variations(small.astype(np.float32), (height, width))
    corners = []
    for _ in range(count):
        y, x = (int(at) for at in np.unravel_index(int(np.argmax(varying)), varying.shape))
        if varying[y, x] < 0:
            break
        corners.append((min(y * step, grey.shape[0] - size[0]), min(x * step, grey.shape[1] - size[1])))
        varying[max(0, y - height + 1) : y + height, max(0, x - width + 1) : x + width] = -1.0
    return corners


def _detail(pixels: RgbArray) -> float:
    """Standard deviation of what is left of the pixels when single ones are evened out."""
    return float(cv2.meanStdDev(cv2.blur(pixels, (3, 3)))[1].max())


def _correlation(pairs: Sequence[tuple[Patch, Patch]], detail: float) -> float:
    """Return the correlation of the sample that fits worst, of those with detail; 0 where none has any."""
    samples = [[(fine[..., i], coarse[..., i]) for fine, coarse in pairs] for i in range(3)]
    found = [_correlation_of(sample) for sample in samples if _variation(sample) >= detail]
    return min(found, default=0.0)


def _variation(pairs: Sequence[tuple[Patch, Patch]]) -> float:
    """Return the standard deviation within the places, of the level that has more of it."""
    varying = (
        np.mean([cv2.meanStdDev(patch)[1] ** 2 for patch in level]) for level in zip(*pairs, strict=True)
    )
    return math.sqrt(max(map(float, varying)))


def _correlation_of(pairs: Sequence[tuple[Patch, Patch]]) -> float:
    """Return the correlation of all places together, each without its mean, at the one best shift."""
    together: Any = 0.0
    of_finer: Any = 0.0
    of_coarser = 0.0
    for fine, coarse in pairs:
        far = min(SHIFT, fine.shape[0] // 8), min(SHIFT, fine.shape[1] // 8)
        inner = coarse[far[0] : coarse.shape[0] - far[0], far[1] : coarse.shape[1] - far[1]]
        together = together + cv2.matchTemplate(fine, inner, cv2.TM_CCOEFF)
        of_finer = of_finer + _variations(fine, inner.shape)
        of_coarser += float(((inner - inner.mean()) ** 2).sum())
    product = of_finer * of_coarser
    # Of a blank one nothing is left but rounding.
    return float(np.max(np.where(product > 1.0, together / np.sqrt(np.maximum(1.0, product)), 0.0)))


def _variations(pixels: Patch, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the sum of squares about the mean of every window (rows, cols) of a picture of one sample."""
    (height, width), count = size, size[0] * size[1]
    sums = [
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
        for table in cv2.integral2(pixels)
    ]
    whole: npt.NDArray[np.float64] = sums[1] - sums[0] ** 2 / count
    return whole
