"""Sets of pictures that are drawn when they are asked for, always the same ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from napari_nic.errors import OutOfBoundsError
from napari_nic_experiments.digits.glyphs import CLASSES, Glyphs
from napari_nic_experiments.digits.layout import Canvas, DigitImage, draw_image


class DigitImages:
    """So many pictures with balanced labels: picture i has label ``i % 10``.

    Parameters
    ----------
    canvas : Canvas
    glyphs : Glyphs
        Pictures for testing are made of other digits than those for training.
    count : int
    seed : int
        Sets of another seed share no picture.

    Notes
    -----
    Only layouts that were asked for are kept, as long as they fit into :attr:`MEMORY_BYTES`; others are drawn
    anew each time, which takes a millisecond. So 50,000 pictures of 3,600 px need no disk.
    """

    MEMORY_BYTES: ClassVar[int] = 2**30
    _BYTES_A_CELL: ClassVar[int] = 4

    def __init__(self, canvas: Canvas, glyphs: Glyphs, count: int, *, seed: int) -> None:
        self.canvas, self.glyphs, self.count, self.seed = canvas, glyphs, count, seed
        self._kept: dict[int, DigitImage] = {}
        self._room = self.MEMORY_BYTES // (self._BYTES_A_CELL * canvas.cells**2)

    def __len__(self) -> int:
        return self.count

    def label(self, index: int) -> int:
        """Return the label of a picture without drawing it."""
        return index % CLASSES

    def __getitem__(self, index: int) -> DigitImage:
        """Return a picture.

        Raises
        ------
        OutOfBoundsError
            An IndexError, so that a set can be gone through.
        """
        if not 0 <= index < self.count:
            raise OutOfBoundsError("no such picture", expected=f"0 to {self.count - 1}", found=str(index))
        if index not in self._kept:
            rng = np.random.default_rng((self.seed, index))
            image = draw_image(self.canvas, self.glyphs, self.label(index), rng)
            if len(self._kept) >= self._room:
                return image
            self._kept[index] = image
        return self._kept[index]
