"""Random patches of tiles in memory: for training, where every step may look somewhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.patches.model import ADJACENT_SHARE, PairBatch, PatchBatch
from napari_nic.patches.tiles import Tile

GLASS = 225
"""A pixel whose darkest channel is brighter than this is taken for glass."""

TRIES = 8
"""How often a patch of glass, or between two classes, is drawn again."""

INSIDE, OUTSIDE = 0.5, 0.01
"""A patch is of the outlined class above the first share of its pixels, and of the other below the second."""

MASK_CLASSES = ("outside", "inside")

_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))


class TileSet:
    """Draw square patches at random positions of tiles; see :class:`napari_nic.patches.PatchSource`.

    Parameters
    ----------
    tiles : sequence of Tile
        Each at least `size` on a side. Labels are the tiles' classes, or, where all of them have masks,
        whether the patch lies inside the outline.
    size : int
        Side of a patch.
    mpp : float
        Of the tiles, um/px.
    least_tissue : float
        Patches with a smaller share of pixels darker than glass are drawn again (a few times).

    Notes
    -----
    Tiles weigh by the square root of their area: large ones hold more to see, but not in proportion.
    """

    def __init__(self, tiles: Sequence[Tile], size: int, *, mpp: float, least_tissue: float = 0.2) -> None:
        small = [tile for tile in tiles if min(tile.image.shape[:2]) < size]
        if small or not tiles:
            raise InvalidParameterError(
                "a set of tiles has nothing to draw patches from",
                expected=f"at least one tile, and all of at least {size} px",
                found=f"{len(tiles)} tiles, {len(small)} of them smaller",
            )
        self.tiles = tuple(tiles)
        self.size = size
        self.mpp = mpp
        self._least_tissue = least_tissue
        self._masked = all(tile.mask is not None for tile in tiles)
        names = sorted({tile.class_name for tile in tiles if tile.class_name is not None})
        self._labelled = self._masked or all(tile.class_name is not None for tile in tiles)
        self.class_names = MASK_CLASSES if self._masked else tuple(names) if self._labelled else ()
        self._weights = np.sqrt([tile.image.shape[0] * tile.image.shape[1] for tile in tiles])

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Draw patches, of a labelled set with classes at equal chance."""
        if not self._labelled:
            chosen = self._choose(count, rng)
            return PatchBatch(np.stack([self._cut(tile, rng) for tile in chosen]))
        labels = rng.integers(len(self.class_names), size=count)
        drawn = [self._cut_of_class(int(label), rng) for label in labels]
        return PatchBatch(
            np.stack([image for image, _ in drawn]), np.array([label for _, label in drawn], np.int64)
        )

    def draw_pairs(self, count: int, rng: np.random.Generator) -> PairBatch:
        """Draw pairs: half of the same place; of the others 75 % side by side, 25 % of two groups."""
        same = rng.random(count) < 0.5
        adjacent = rng.random(count) < ADJACENT_SHARE
        first, second = [], []
        for is_same, is_adjacent in zip(same, adjacent, strict=True):
            tile = self._choose(1, rng)[0]
            y, x = self._place(tile, rng)
            first.append(self._at(tile, y, x))
            beside = self._beside(tile, y, x, rng) if is_adjacent else None
            if is_same:
                second.append(first[-1])
            elif beside is not None:
                second.append(beside)
            else:
                second.append(self._cut(self._of_other_group(tile, rng), rng))
        return PairBatch(np.stack(first), np.stack(second), same)

    def _choose(self, count: int, rng: np.random.Generator, allowed: np.ndarray | None = None) -> list[Tile]:
        weights = self._weights if allowed is None else self._weights * allowed
        chosen = rng.choice(len(self.tiles), count, p=weights / weights.sum())
        return [self.tiles[index] for index in chosen]

    def _of_other_group(self, tile: Tile, rng: np.random.Generator) -> Tile:
        allowed = np.array([other.group != tile.group for other in self.tiles])
        return self._choose(1, rng, allowed)[0] if allowed.any() else self._choose(1, rng)[0]

    def _cut_of_class(self, label: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return (patch, its label); the label is another one where no patch of the class is found."""
        if not self._masked:
            allowed = np.array([tile.class_name == self.class_names[label] for tile in self.tiles])
            return self._cut(self._choose(1, rng, allowed)[0], rng), label
        inside = np.array([bool(tile.mask.any()) for tile in self.tiles if tile.mask is not None])
        for _ in range(4 * TRIES):
            tile = self._choose(1, rng, inside if label and inside.any() else None)[0]
            y, x = self._place(tile, rng)
            share = self._mask_share(tile, y, x)
            if (share > INSIDE) if label else (share < OUTSIDE):
                return self._at(tile, y, x), label
        return self._at(tile, y, x), int(share > INSIDE)

    def _mask_share(self, tile: Tile, y: int, x: int) -> float:
        assert tile.mask is not None  # noqa: S101  # only called on sets where every tile has one
        return float(tile.mask[y : y + self.size, x : x + self.size].mean())

    def _beside(self, tile: Tile, y: int, x: int, rng: np.random.Generator) -> np.ndarray | None:
        height, width = tile.image.shape[:2]
        places = [(y + dy * self.size, x + dx * self.size) for dy, dx in _SIDES]
        fitting = [(v, u) for v, u in places if 0 <= v <= height - self.size and 0 <= u <= width - self.size]
        return self._at(tile, *fitting[rng.integers(len(fitting))]) if fitting else None

    def _cut(self, tile: Tile, rng: np.random.Generator) -> np.ndarray:
        return self._at(tile, *self._place(tile, rng))

    def _place(self, tile: Tile, rng: np.random.Generator) -> tuple[int, int]:
        height, width = tile.image.shape[:2]
        for _ in range(TRIES):
            y = int(rng.integers(0, height - self.size + 1))
            x = int(rng.integers(0, width - self.size + 1))
            if (self._at(tile, y, x)[::4, ::4].min(2) < GLASS).mean() >= self._least_tissue:
                break
        return y, x

    def _at(self, tile: Tile, y: int, x: int) -> np.ndarray:
        return tile.image[y : y + self.size, x : x + self.size]
