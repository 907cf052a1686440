"""A pyramid of pictures of outlines, drawn tile by tile where it is looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np

from napari_nic.jobs import CancellationToken
from napari_nic.outlines.drawing import Window, draw
from napari_nic.outlines.index import OutlineIndex
from napari_nic.outlines.values import dtype_for

TILE = 512
COARSEST = 256
"""Sides of the last level are no longer than this."""

REACH = 2
"""Pixels beside its box that an outline reaches in any level: half a line, or the blur of a crowd."""

MANY_BOXES = 100
"""After more changes at once all that is kept is drawn anew, when it is looked at."""

MAX_BYTES = 2**28
"""So much of drawn tiles is kept."""

Area = tuple[slice, slice]


class Tile(NamedTuple):
    """A tile of a pyramid: its level, row and column."""

    level: int
    row: int
    col: int


class OutlinePyramid:
    """Pictures of an index at every zoom, each half of the one before.

    Tiles are drawn when they are asked for and kept. May be used from several threads.

    Parameters
    ----------
    index : OutlineIndex
    size : (int, int), optional
        (height, width) of level 0; by default what the outlines reach.
    token : CancellationToken, optional
        Asked while the last level is drawn, which is at once.

    Attributes
    ----------
    index : OutlineIndex
        To be changed by :meth:`replace` and :meth:`set_shown` alone.
    dtype : numpy dtype
        Of the pictures; what their values mean stands in :mod:`~napari_nic.outlines.values`.
    shapes : tuple of (int, int)
        (height, width) of each level; a pixel of each is 2 x 2 of the one before.
    coarsest : ndarray
        The last level, always drawn; the same array is changed in place.
    """

    def __init__(
        self,
        index: OutlineIndex,
        size: tuple[int, int] | None = None,
        token: CancellationToken | None = None,
    ) -> None:
        self.index = index
        self.dtype = dtype_for(len(index.labels))
        right, bottom = index.extent()
        height, width = size or (max(1, int(np.ceil(bottom))), max(1, int(np.ceil(right))))
        n_levels = 2  # napari takes a single one for no pyramid
        while max(height, width) / 2 ** (n_levels - 1) > COARSEST:
            n_levels += 1
        whole = 2 ** (n_levels - 1)
        self.shapes = tuple(
            (-(-height // whole) * whole // 2**n, -(-width // whole) * whole // 2**n) for n in range(n_levels)
        )
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Tile, np.ndarray] = OrderedDict()
        self._stale: set[Tile] = set()
        self._changes = 0
        last = n_levels - 1
        self.coarsest = draw(index, self._window(last, self._all_of(last)), self.dtype, token)

    def __len__(self) -> int:
        return len(self.shapes)

    # -- looking -----------------------------------------------------------------------------------------

    def read(self, level: int, area: Area) -> np.ndarray:
        """Return a part of a level, drawn as a whole.

        Parameters
        ----------
        level : int
        area : (slice, slice)
            Rows and columns, with bounds and without a step.

        Returns
        -------
        ndarray
        """
        picture = np.zeros(_shape_of(area), self.dtype)
        if level == len(self) - 1:
            picture[...] = self.draw(self.whole)[area]
            return picture
        for tile in self.tiles_in(level, area):
            self._lay(picture, area, tile, self.draw(tile))
        return picture

    def peek(self, level: int, area: Area) -> tuple[np.ndarray, list[Tile]]:
        """Return a part of a level as far as it is drawn, at once, and the tiles that are to be drawn.

        In their places stands what they showed before a change, or else coarser levels.
        """
        picture = np.zeros(_shape_of(area), self.dtype)
        if level == len(self) - 1:
            picture[...] = self.coarsest[area]
            return picture, []
        missing = []
        for tile in self.tiles_in(level, area):
            with self._lock:
                drawn, is_stale = self._tiles.get(tile), tile in self._stale
            if drawn is None:
                self._lay(picture, area, tile, self._stand_in(tile))
            else:
                self._lay(picture, area, tile, drawn)
            if drawn is None or is_stale:
                missing.append(tile)
        with self._lock:
            missing += [self.whole] if self.whole in self._stale else []
        return picture, missing

    def draw(self, tile: Tile) -> np.ndarray:
        """Return a tile; drawn unless it is kept."""
        while True:
            with self._lock:
                drawn, changes = self._tiles.get(tile), self._changes
                drawn = self.coarsest if tile == self.whole else drawn
                if drawn is not None and tile not in self._stale:
                    if tile != self.whole:
                        self._tiles.move_to_end(tile)
                    return drawn
                index, dtype = self.index, self.dtype
            drawn = draw(index, self._window(tile.level, self.area_of(tile)), dtype)
            with self._lock:
                if changes == self._changes:  # else what was drawn may be half of before and half of after
                    self._keep(tile, drawn)
                    return drawn

    def tiles_in(self, level: int, area: Area) -> Iterator[Tile]:
        """Tiles that a part of a level lies on."""
        rows, cols = (range(part.start // TILE, -(-part.stop // TILE)) for part in area)
        return (Tile(level, row, col) for row, col in product(rows, cols))

    def area_of(self, tile: Tile) -> Area:
        """Rows and columns of a tile in its level."""
        height, width = self.shapes[tile.level]
        top, left = tile.row * TILE, tile.col * TILE
        return slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))

    # -- changes -----------------------------------------------------------------------------------------

    def replace(self, changes: Mapping[Hashable, tuple[Any, str] | None]) -> bool:
        """Change outlines, see :meth:`OutlineIndex.replace`; tiles that they touch are to be drawn anew.

        Returns
        -------
        bool
            Whether :attr:`dtype` is another one now, since there are more classes than fitted into it.
        """
        boxes = self.index.replace(changes)
        dtype = dtype_for(len(self.index.labels))
        if dtype != self.dtype:
            with self._lock:
                self._changes += 1
                self._tiles.clear()
                self._stale.clear()
                self.dtype = dtype
            last = len(self) - 1
            self.coarsest = draw(self.index, self._window(last, self._all_of(last)), dtype)
            return True
        self._touch(boxes)
        return False

    def turn_to(self, other: OutlinePyramid) -> bool:
        """Show what another pyramid of the same size shows; tiles stay until they are drawn anew.

        Returns
        -------
        bool
            Whether :attr:`dtype` is another one now, and :attr:`coarsest` another array.
        """
        with self._lock:
            self._changes += 1
            is_alike = self._is_alike(other)
            self.index = other.index
            self._stale = set(self._tiles)
            if not is_alike:
                self._tiles.clear()
                self._stale.clear()
            is_new, self.dtype = self.dtype != other.dtype, other.dtype
            if is_new:
                self.coarsest = other.coarsest
            else:
                self.coarsest[...] = other.coarsest
        return is_new

    def stand_in(self, other: OutlinePyramid) -> None:
        """Show tiles that another pyramid has drawn until those of this one are drawn.

        Those of the same outlines, which that one shows too, need not be drawn again.
        """
        with other._lock:
            tiles = OrderedDict(other._tiles) if self._is_alike(other) else OrderedDict()
            stale = other._stale if other.index is self.index else tiles.keys()
            drawn_before = {tile for tile in tiles if tile in stale}
        with self._lock:
            for tile, drawn in tiles.items():
                if tile not in self._tiles:
                    self._tiles[tile] = drawn
                    self._stale.update({tile} & drawn_before)

    def _is_alike(self, other: OutlinePyramid) -> bool:
        """Whether pixels of another pyramid lie in the same places and mean the same classes."""
        labels = zip(self.index.labels, other.index.labels, strict=False)
        same = all(ours == theirs for ours, theirs in labels)
        return same and (self.shapes, self.dtype) == (other.shapes, other.dtype)

    def set_shown(self, ids: Iterable[Hashable], shown: bool) -> None:
        """Hide outlines or show them again, see :meth:`OutlineIndex.set_shown`."""
        self._touch(self.index.set_shown(ids, shown))

    @property
    def whole(self) -> Tile:
        """All of the last level."""
        return Tile(len(self) - 1, 0, 0)

    def hide(self, labels: Iterable[str]) -> bool:
        """Draw nothing of these classes, and all of the others: none covers another one unseen.

        Returns
        -------
        bool
            Whether that is new. What is kept, :attr:`whole` too, is then drawn anew when it is looked at.
        """
        if not self.index.hide(labels):
            return False
        with self._lock:
            self._changes += 1
            self._stale.update(self._tiles)
            self._stale.add(self.whole)
        return True

    def _touch(self, boxes: np.ndarray) -> None:
        last, all_at_once = len(self) - 1, len(boxes) > MANY_BOXES
        with self._lock:
            self._changes += 1
            if all_at_once:
                self._stale.update(self._tiles)
            else:
                touched = {tile for box in boxes for tile in self._tiles_at(box)}
                self._stale.update(touched & self._tiles.keys())
        areas = [self._all_of(last)] if all_at_once else [self._touched(last, box) for box in boxes]
        for area in areas:
            self.coarsest[area] = draw(self.index, self._window(last, area), self.dtype)

    def _tiles_at(self, box: np.ndarray) -> Iterator[Tile]:
        for level in range(len(self) - 1):
            yield from self.tiles_in(level, self._touched(level, box))

    def _touched(self, level: int, box: np.ndarray) -> Area:
        """Rows and columns of a level in which a box of level-0 pixels may be seen."""
        height, width = self.shapes[level]
        left, top = (int(edge // 2**level) - REACH for edge in box[:2])
        right, bottom = (int(edge // 2**level) + 1 + REACH for edge in box[2:])
        rows = slice(min(max(top, 0), height), min(max(bottom, 0), height))
        return rows, slice(min(max(left, 0), width), min(max(right, 0), width))

    # -- inner -------------------------------------------------------------------------------------------

    def _keep(self, tile: Tile, drawn: np.ndarray) -> None:
        if tile == self.whole:
            self.coarsest[...] = drawn
            self._stale.discard(tile)
            return
        self._tiles[tile] = drawn
        self._tiles.move_to_end(tile)
        self._stale.discard(tile)
        most = max(1, MAX_BYTES // (TILE * TILE * self.dtype.itemsize))
        while len(self._tiles) > most:
            oldest, _ = self._tiles.popitem(last=False)
            self._stale.discard(oldest)

    def _lay(self, picture: np.ndarray, area: Area, tile: Tile, drawn: np.ndarray) -> None:
        """Put a tile into its place in a part of its level."""
        into, out = zip(*(_overlap(a, b) for a, b in zip(area, self.area_of(tile), strict=True)), strict=True)
        picture[into] = drawn[out]

    def _stand_in(self, tile: Tile) -> np.ndarray:
        """Enlarge what coarser levels show of a tile; the last one is always there."""
        rows, cols = self.area_of(tile)
        size = rows.stop - rows.start, cols.stop - cols.start
        for level in range(tile.level + 1, len(self)):
            factor = 2 ** (level - tile.level)
            part = tuple(
                slice(side.start // factor, max(side.start // factor + 1, side.stop // factor))
                for side in (rows, cols)
            )
            coarse = self._drawn_already(level, part)
            if coarse is not None:
                return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST))
        return np.zeros(size, self.dtype)

    def _drawn_already(self, level: int, area: tuple[slice, ...]) -> np.ndarray | None:
        if level == len(self) - 1:
            return self.coarsest[area]
        picture = np.zeros(_shape_of(area), self.dtype)
        for tile in self.tiles_in(level, (area[0], area[1])):
            with self._lock:
                drawn = self._tiles.get(tile)
            if drawn is None:
                return None
            self._lay(picture, (area[0], area[1]), tile, drawn)
        return picture

    def _all_of(self, level: int) -> Area:
        height, width = self.shapes[level]
        return slice(0, height), slice(0, width)

    def _window(self, level: int, area: Area) -> Window:
        height, width = _shape_of(area)
        return Window(area[0].start, area[1].start, height, width, 2**level)


def _shape_of(area: tuple[slice, ...]) -> tuple[int, int]:
    rows, cols = area
    return rows.stop - rows.start, cols.stop - cols.start


def _overlap(wanted: slice, have: slice) -> tuple[slice, slice]:
    """Where two ranges meet: in the first one's own numbers, and in the second one's."""
    start, stop = max(wanted.start, have.start), min(wanted.stop, have.stop)
    return slice(start - wanted.start, stop - wanted.start), slice(start - have.start, stop - have.start)
