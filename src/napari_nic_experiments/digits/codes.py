"""Arrays of codes of pictures: gathered from the layout where that is exact, else rendered and encoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_nic.disk import replacing
from napari_nic.encoders import Encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models.inputs import apply_dihedral, frame
from napari_nic_experiments.digits.encoders import encode_patches
from napari_nic_experiments.digits.glyphs import GLYPH
from napari_nic_experiments.digits.images import DigitImages
from napari_nic_experiments.digits.layout import render

MEASURED_ROWS = 100
"""Rows of a picture that the spread of codes is measured on: all rows are alike."""


class CodeSource(Protocol):
    """Codes of a set of pictures."""

    @property
    def images(self) -> DigitImages:
        """The pictures."""

    @property
    def mask(self) -> np.ndarray:
        """Cells that are encoded, bool (rows, cols): all of them; the same array for all pictures."""

    @property
    def code_size(self) -> int:
        """Channels C."""

    def codes(self, index: int) -> np.ndarray:
        """Return the codes of a picture, float16 (rows, cols, C)."""


class GatheredCodes:
    """Codes for strides that are whole numbers of cells: every patch is a digit, or black.

    Each distinct digit is encoded once; the array of a picture is looked up.

    Parameters
    ----------
    images : DigitImages
    table : ndarray of float16, (n + 1, C)
        Codes of :attr:`Glyphs.table`.
    stride : int
        In pixels, a multiple of 9.
    """

    def __init__(self, images: DigitImages, table: np.ndarray, *, stride: int = GLYPH) -> None:
        if stride % GLYPH:
            raise InvalidParameterError(
                "patches cut digits in two",
                expected=f"a stride of {GLYPH}, {2 * GLYPH}, ... px",
                found=str(stride),
            )
        self.images, self._table, self._step = images, table, stride // GLYPH
        side = patches_along(images, stride)
        self.mask = np.ones((side, side), bool)

    @property
    def code_size(self) -> int:
        """Channels C."""
        return int(self._table.shape[1])

    def codes(self, index: int) -> np.ndarray:
        """Return the codes of a picture, float16 (rows, cols, C)."""
        return self._table[self.images[index].cells[:: self._step, :: self._step]]


class RenderedCodes:
    """Codes for any stride, made once from the painted picture and kept in a folder.

    Parameters
    ----------
    images : DigitImages
    encoder : Encoder
    folder : Path
        One ``.npy`` file a picture, written whole or not at all.
    stride : int
        In pixels.
    """

    def __init__(self, images: DigitImages, encoder: Encoder, folder: Path, *, stride: int) -> None:
        self.images, self._encoder, self._folder, self._stride = images, encoder, folder, stride
        side = patches_along(images, stride)
        self.mask = np.ones((side, side), bool)

    @property
    def code_size(self) -> int:
        """Channels C."""
        return self._encoder.spec.code_size

    def codes(self, index: int) -> np.ndarray:
        """Return the codes of a picture, float16 (rows, cols, C); encode it if that was not done yet."""
        file = self._folder / f"{self.images.seed}-{index}.npy"
        if not file.is_file():
            made = self._encode(index)
            with replacing(file) as temporary, temporary.open("wb") as out:
                np.save(out, made, allow_pickle=False)
            return made
        kept: np.ndarray = np.load(file, allow_pickle=False)
        return kept

    def _encode(self, index: int) -> np.ndarray:
        picture = render(self.images[index].cells, self.images.glyphs)
        windows = np.lib.stride_tricks.sliding_window_view(picture, (GLYPH, GLYPH))
        chosen = windows[:: self._stride, :: self._stride]
        codes = encode_patches(self._encoder, chosen.reshape(-1, GLYPH, GLYPH))
        return codes.reshape(*chosen.shape[:2], -1)


def patches_along(images: DigitImages, stride: int) -> int:
    """Count the patches along one side of a picture."""
    return (images.canvas.side_px - GLYPH) // stride + 1


@dataclass(frozen=True, eq=False)
class DigitSlide:
    """A picture as the slide-level training takes it; see :class:`~napari_nic.slide_models.TrainingSlide`.

    Attributes
    ----------
    source : CodeSource
    index : int
        Of the picture.
    """

    source: CodeSource
    index: int
    event: bool = True

    @property
    def name(self) -> str:
        """Seed of the set and number of the picture."""
        return f"{self.source.images.seed}-{self.index}"

    @property
    def label(self) -> float:
        """Class of the tilted rectangle."""
        return float(self.source.images.label(self.index))

    @property
    def mask(self) -> np.ndarray:
        """Encoded cells, bool (rows, cols)."""
        return self.source.mask

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return self.source.code_size

    def crop(self, top: int, left: int, side: int, transform: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Cut a square out, which may pass the edges, and transform it."""
        codes, mask = (
            frame(array, top, left, (side, side)) for array in (self.source.codes(self.index), self.mask)
        )
        return apply_dihedral(codes, transform), apply_dihedral(mask, transform)

    def strips(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield evenly spaced rows, at most :data:`MEASURED_ROWS`; in one more row codes are no different."""
        step = max(1, len(self.mask) // MEASURED_ROWS)
        yield self.source.codes(self.index)[::step], self.mask[::step]
