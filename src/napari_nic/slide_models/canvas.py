"""A network's input that is made row by row: codes, standardised and framed with zeros, never held whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models.inputs import Standardiser, frame


@dataclass(frozen=True, eq=False)
class Canvas:
    """What a network sees of a slide.

    Float32 codes take twice the memory of the stored ones, and a frame around them as much again; a canvas
    makes only the rows that are asked for.

    Attributes
    ----------
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells; the others are background, 0.
    standardiser : Standardiser
    shape : (int, int)
        Height and width of the canvas in cells.
    inset : (int, int)
        Where cell [0, 0] lies on the canvas. Negative for a crop that begins inside the slide.
    scale : float
        Factor on the standardised codes: 0 is an empty slide, 1 the slide itself.

    Raises
    ------
    InvalidParameterError
        If the codes have another number of channels than the standardiser, or another shape than the mask.
    """

    codes: np.ndarray
    mask: np.ndarray
    standardiser: Standardiser
    shape: tuple[int, int]
    inset: tuple[int, int] = (0, 0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        channels = len(self.standardiser.mean)
        if self.codes.shape != (*self.mask.shape, channels):
            raise InvalidParameterError(
                "these codes do not fit the model",
                expected=f"(rows, cols, {channels}) with a mask of the same rows and columns",
                found=f"codes {self.codes.shape}, mask {self.mask.shape}",
            )

    def rows(self, first: int, last: int) -> np.ndarray:
        """Make the canvas's rows ``first`` up to (not including) ``last``.

        Returns
        -------
        ndarray of float32, (last - first, width, C)
            Standardised codes; 0 where the slide ends or is not encoded.
        """
        down, across = self.inset
        top, bottom = (min(max(at - down, 0), self.mask.shape[0]) for at in (first, last))
        left, right = (min(max(at - across, 0), self.mask.shape[1]) for at in (0, self.shape[1]))
        part = (slice(top, bottom), slice(left, right))
        values = self.standardiser.apply(self.codes[part], self.mask[part])
        if self.scale != 1:
            values *= np.float32(self.scale)
        return frame(values, first - down - top, -across - left, (last - first, self.shape[1]))
