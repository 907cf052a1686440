"""Patches for training encoders: cells of pictures, and single digits with their classes."""

from __future__ import annotations

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.patches import ADJACENT_SHARE, PairBatch, PatchBatch
from napari_nic_experiments.digits.glyphs import CLASSES, GLYPH, Glyphs
from napari_nic_experiments.digits.images import DigitImages

FILLED_SHARE = 2 / 3
"""A patch with something in it is drawn twice as often as an empty one (section 4.1.5 of the paper)."""

NOMINAL_MPP = 1.0
"""Digits have no micrometres; a pixel counts as one."""

_SAME_SHARE = 0.5
_SIDES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
_RGB = 3


def as_rgb(patches: np.ndarray) -> np.ndarray:
    """Make grey patches (n, 9, 9) the RGB patches (n, 9, 9, 3) that networks take."""
    return np.repeat(patches[..., None], _RGB, axis=-1)


class CanvasPatches:
    """Cells of pictures, without labels; see :class:`~napari_nic.patches.PatchSource`.

    Parameters
    ----------
    images : DigitImages
        At least two.
    """

    size = GLYPH
    mpp = NOMINAL_MPP
    class_names: tuple[str, ...] = ()

    def __init__(self, images: DigitImages) -> None:
        if len(images) < 2:
            raise InvalidParameterError(
                "pairs of patches need pictures to choose from", expected="at least 2", found=str(len(images))
            )
        self._table, self._empty = images.glyphs.table, images.glyphs.empty
        self._cells = np.stack([images[index].cells for index in range(len(images))])
        self._all_filled = images.canvas.digits == images.canvas.cells**2

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Draw cells, two filled ones for each empty one in expectation."""
        pictures = rng.integers(len(self._cells), size=count)
        return PatchBatch(self._cut(pictures, self._choose(pictures, rng)))

    def draw_pairs(self, count: int, rng: np.random.Generator) -> PairBatch:
        """Draw pairs: half of the same cell; of the others 75 % side by side, 25 % of two pictures."""
        first = rng.integers(len(self._cells), size=count)
        cells = self._choose(first, rng)
        same = rng.random(count) < _SAME_SHARE
        adjacent = rng.random(count) < ADJACENT_SHARE
        others = (first + rng.integers(1, len(self._cells), size=count)) % len(self._cells)
        second = np.where(same | adjacent, first, others)
        beside = np.where(adjacent[:, None], self._beside(cells, rng), self._choose(others, rng))
        partners = np.where(same[:, None], cells, beside)
        return PairBatch(self._cut(first, cells), self._cut(second, partners), same)

    def _choose(self, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose a cell of each picture, (n, 2): it is first drawn whether it shall be filled."""
        wanted = (rng.random(len(pictures)) < FILLED_SHARE) | self._all_filled
        cells = np.zeros((len(pictures), 2), np.int64)
        open_ones = np.arange(len(pictures))
        while len(open_ones):
            tried = rng.integers(self._cells.shape[1], size=(len(open_ones), 2))
            found = self._cells[pictures[open_ones], tried[:, 0], tried[:, 1]] != self._empty
            fits = found == wanted[open_ones]
            cells[open_ones[fits]] = tried[fits]
            open_ones = open_ones[~fits]
        return cells

    def _beside(self, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose a cell that shares an edge with each; one beyond the picture's edge is mirrored into it."""
        steps = _SIDES[rng.integers(len(_SIDES), size=len(cells))]
        moved = cells + steps
        outside = (moved < 0) | (moved >= self._cells.shape[1])
        return np.where(outside, cells - steps, moved)

    def _cut(self, pictures: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return as_rgb(self._table[self._cells[pictures, cells[:, 0], cells[:, 1]]])


class GlyphPatches:
    """Single digits with their classes, for the supervised encoder (the paper's oracle).

    Parameters
    ----------
    glyphs : Glyphs
    """

    size = GLYPH
    mpp = NOMINAL_MPP
    class_names = tuple(str(number) for number in range(CLASSES))

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs

    def draw(self, count: int, rng: np.random.Generator) -> PatchBatch:
        """Draw digits, each class at equal chance."""
        labels = rng.integers(CLASSES, size=count)
        return PatchBatch(as_rgb(self._glyphs.images[self._glyphs.pick(labels, rng)]), labels)

    def draw_pairs(self, count: int, rng: np.random.Generator) -> PairBatch:
        """Draw pairs, half of the same digit, the others of any two; nothing lies beside anything here."""
        same = rng.random(count) < _SAME_SHARE
        first, second = rng.integers(len(self._glyphs), size=(2, count))
        second = np.where(same, first, second)
        return PairBatch(as_rgb(self._glyphs.images[first]), as_rgb(self._glyphs.images[second]), same)
