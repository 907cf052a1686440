"""Class labels of a slide in tiles, each kept at the resolution it was painted at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.painting.history import Change, History, packed, unpacked
from napari_nic.painting.tiles import TILE, Tile, enlarged, halved, level_shapes, tiles_of

HELD = 512
"""So many tiles that are on disk already stay in memory: 128 MiB."""

_Before = dict[Tile, "np.ndarray | None"]


class TileFiles(Protocol):
    """Where tiles are kept."""

    def load(self, tile: Tile) -> np.ndarray:
        """Return the labels of a tile that is kept, (TILE, TILE) uint8."""
        ...

    def known(self) -> set[Tile]:
        """List the tiles that are kept."""
        ...


class PaintedLabels:
    """A pyramid of class numbers, of which only what was painted exists.

    A tile exists at the level it was painted at and at all coarser ones, which follow from it. Where there is
    no finer tile, a finer level shows the coarser one enlarged. So painting at low magnification costs
    a few tiles however large the slide is, and what was painted finely stays fine beside a coarse stroke. A
    stroke changes what is seen at its level: finer detail that is not seen there stays where the stroke
    leaves the pixel above it as it is.

    Parameters
    ----------
    shape : (int, int)
        (rows, cols) of level 0.
    files : TileFiles, optional
        Tiles that there are already; without it all is in memory.
    """

    def __init__(self, shape: tuple[int, int], files: TileFiles | None = None) -> None:
        self.shapes = level_shapes(shape)
        self._files = files
        self._lock = threading.RLock()
        self._known = set() if files is None else set(files.known())
        self._held: OrderedDict[Tile, np.ndarray] = OrderedDict()
        self._unsaved: dict[Tile, np.ndarray | None] = {}
        self._saving: dict[Tile, np.ndarray | None] = {}
        self._history = History()

    # -- looking -----------------------------------------------------------------------------------------

    @property
    def tiles(self) -> frozenset[Tile]:
        """The tiles that exist."""
        with self._lock:
            return frozenset(self._known)

    def read(self, level: int, region: RegionPx) -> np.ndarray:
        """Return the labels of a region of a level.

        Parameters
        ----------
        level : int
        region : RegionPx
            In pixels of the level; what lies beyond the slide is 0.

        Returns
        -------
        ndarray of uint8, (region.height, region.width)
        """
        self._require_level(level)
        found = np.zeros((region.height, region.width), np.uint8)
        with self._lock:
            for tile, inside, part in tiles_of(level, region):
                if tile.row >= 0 and tile.col >= 0:
                    found[part] = self.tile(tile)[inside]
        return found

    def tile(self, tile: Tile) -> np.ndarray:
        """Labels of a tile, its own or a coarser one's, (TILE, TILE) uint8; not to be written to."""
        with self._lock:
            own = self._own(tile)
            if own is not None:
                return own
            coarser = tile
            while coarser.level + 1 < len(self.shapes):
                coarser = coarser.parent
                own = self._own(coarser)
                if own is not None:
                    return _part_of(own, coarser, tile)
            return np.zeros((TILE, TILE), np.uint8)

    # -- painting ----------------------------------------------------------------------------------------

    def paint(self, level: int, region: RegionPx, labels: np.ndarray, title: str = "paint") -> Change | None:
        """Put labels into a region of a level, as one step; None if they were there already.

        Parameters
        ----------
        level : int
        region : RegionPx
            In pixels of the level; what lies beyond the slide is left out.
        labels : ndarray of uint8, (region.height, region.width)
        title : str
            For "Undo ...".
        """
        return self.paint_all(level, ((region, labels),), title)

    def paint_all(
        self, level: int, parts: Iterable[tuple[RegionPx, np.ndarray]], title: str = "paint"
    ) -> Change | None:
        """Put labels into regions, as one step; see :meth:`paint`."""
        self._require_level(level)
        before: _Before = {}
        boxes: list[RegionPx] = []
        with self._lock:
            for region, labels in parts:
                self._put_region(level, region, labels, before, boxes)
            if not before:
                return None
            self._pull_up({tile for tile in before if tile.level == level}, before)
            tiles = {tile: (packed(old), packed(self._own(tile))) for tile, old in before.items()}
            change = Change(title, _around(boxes), tiles)
            self._history.add(change)
            return change

    def _put_region(
        self, level: int, region: RegionPx, labels: np.ndarray, before: _Before, boxes: list[RegionPx]
    ) -> None:
        rows, cols = self.shapes[level]
        kept = region.intersect(RegionPx(0, 0, rows, cols))
        if kept.is_empty:
            return
        y, x = kept.y - region.y, kept.x - region.x
        labels = labels[y : y + kept.height, x : x + kept.width]
        for tile, inside, part in tiles_of(level, kept):
            old = self.tile(tile)
            if np.array_equal(old[inside], labels[part]):
                continue
            new = old.copy()
            new[inside] = labels[part]
            differs = old != new
            self._put(tile, new, before)
            self._push_down(tile, differs, new, before)
            boxes.append(_box(tile, differs))

    def _push_down(self, tile: Tile, differs: np.ndarray, labels: np.ndarray, before: _Before) -> None:
        """Paint over finer tiles that exist, where this one was changed."""
        if tile.level == 0:
            return
        for child in tile.children:
            quadrant = child.quadrant
            if child not in self._known or not differs[quadrant].any():
                continue
            wide = enlarged(differs[quadrant], 2)
            new = np.where(wide, enlarged(labels[quadrant], 2), self.tile(child))
            self._put(child, new, before)
            self._push_down(child, wide, new, before)

    def _pull_up(self, tiles: set[Tile], before: _Before) -> None:
        """Let coarser tiles follow."""
        while tiles and next(iter(tiles)).level + 1 < len(self.shapes):
            parents: set[Tile] = set()
            for tile in tiles:
                parent = tile.parent
                old, smaller = self.tile(parent), halved(self.tile(tile))
                if parent in self._known and np.array_equal(old[tile.quadrant], smaller):
                    continue
                new = old.copy()
                new[tile.quadrant] = smaller
                self._put(parent, new, before)
                parents.add(parent)
            tiles = parents

    # -- taking back -------------------------------------------------------------------------------------

    def undo(self) -> Change | None:
        """Take the last step back; None if there is none."""
        with self._lock:
            change = self._history.undo()
            if change is not None:
                self._restore({tile: old for tile, (old, _) in change.tiles.items()})
            return change

    def redo(self) -> Change | None:
        """Make the step anew that was taken back last; None if there is none."""
        with self._lock:
            change = self._history.redo()
            if change is not None:
                self._restore({tile: new for tile, (_, new) in change.tiles.items()})
            return change

    @property
    def titles(self) -> tuple[str, str]:
        """Titles of what would be undone and redone; empty where there is nothing."""
        return self._history.titles

    def _restore(self, tiles: Mapping[Tile, bytes | None]) -> None:
        for tile, content in tiles.items():
            labels = unpacked(content)
            if labels is None:
                self._known.discard(tile)
                self._held.pop(tile, None)
                self._unsaved[tile] = None
            else:
                self._put(tile, labels, {})

    # -- keeping -----------------------------------------------------------------------------------------

    @property
    def is_saved(self) -> bool:
        """Whether all tiles are on disk."""
        return not (self._unsaved or self._saving)

    def take_unsaved(self) -> dict[Tile, np.ndarray | None]:
        """Return what has changed since the last call, the finest tiles first; None where a tile is gone.

        Whoever takes it says with :meth:`saved` how that ended.
        """
        with self._lock:
            self._saving, self._unsaved = {**self._saving, **self._unsaved}, {}
            return dict(sorted(self._saving.items()))

    def saved(self, *, done: bool) -> None:
        """Tell that the tiles that were taken are on disk, or that they are still to be saved."""
        with self._lock:
            saving, self._saving = self._saving, {}
            if not done:
                self._unsaved = {**saving, **self._unsaved}
                return
            for tile, labels in saving.items():
                if labels is not None and tile not in self._unsaved:
                    self._hold(tile, labels)

    def follow(self, tile: Tile) -> bool:
        """Let coarser tiles follow from this one; whether they did not. It is no step of the history."""
        with self._lock:
            before: _Before = {}
            self._pull_up({tile}, before)
            return bool(before)

    # -- inner -------------------------------------------------------------------------------------------

    def _own(self, tile: Tile) -> np.ndarray | None:
        if tile not in self._known:
            return None
        for newer in (self._unsaved, self._saving):
            labels = newer.get(tile)
            if labels is not None:
                return labels
        held = self._held.get(tile)
        if held is None:
            assert self._files is not None  # noqa: S101 -- a tile that is in no memory is in a file
            held = self._files.load(tile)
        self._hold(tile, held)
        return held

    def _hold(self, tile: Tile, labels: np.ndarray) -> None:
        self._held[tile] = labels
        self._held.move_to_end(tile)
        if self._files is not None:
            while len(self._held) > HELD:
                self._held.popitem(last=False)

    def _put(self, tile: Tile, labels: np.ndarray, before: _Before) -> None:
        if tile not in before:
            before[tile] = self._own(tile)
        self._known.add(tile)
        self._unsaved[tile] = labels

    def _require_level(self, level: int) -> None:
        if not 0 <= level < len(self.shapes):
            raise InvalidParameterError(
                "there is no such level", expected=f"0 to {len(self.shapes) - 1}", found=f"{level}"
            )


def _part_of(labels: np.ndarray, coarser: Tile, tile: Tile) -> np.ndarray:
    """What a coarser tile shows where a finer one would be."""
    factor = 2 ** (coarser.level - tile.level)
    side = TILE // factor
    if side == 0:
        row, col = tile.row * TILE // factor % TILE, tile.col * TILE // factor % TILE
        return np.full((TILE, TILE), labels[row, col], np.uint8)
    top, left = tile.row % factor * side, tile.col % factor * side
    return enlarged(labels[top : top + side, left : left + side], factor)


def _box(tile: Tile, differs: np.ndarray) -> RegionPx:
    """Level-0 pixels of what differs in a tile."""
    rows, cols = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    factor = 2**tile.level
    top, left = (tile.row * TILE + int(rows[0])) * factor, (tile.col * TILE + int(cols[0])) * factor
    height, width = int(rows[-1] - rows[0] + 1) * factor, int(cols[-1] - cols[0] + 1) * factor
    return RegionPx(top, left, height, width)


def _around(boxes: list[RegionPx]) -> RegionPx:
    top, left = min(box.y for box in boxes), min(box.x for box in boxes)
    bottom, right = max(box.y + box.height for box in boxes), max(box.x + box.width for box in boxes)
    return RegionPx(top, left, bottom - top, right - left)
