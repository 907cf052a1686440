"""Painted labels as one picture of class numbers, for files of other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_nic.annotations import RGB
from napari_nic.annotations.label_image import BAND_ROWS
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, checked
from napari_nic.painting.labels import PaintedLabels


@dataclass(frozen=True)
class PaintedPicture:
    """A level of painted labels, as :func:`~napari_nic.annotations.label_files.write_label_image` takes it.

    Attributes
    ----------
    labels : PaintedLabels
    level : int
        Of which a pixel is 2**level level-0 pixels wide.
    values : mapping of str to int
        Class to its number.
    colors : mapping of str to (r, g, b)
        Of all these.
    """

    labels: PaintedLabels
    level: int
    values: Mapping[str, int]
    colors: Mapping[str, RGB]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.labels.shapes[self.level]

    @property
    def dtype(self) -> np.dtype:
        """8 bits."""
        return np.dtype(np.uint8)

    @property
    def scale(self) -> tuple[float, float]:
        """(y, x) level-0 pixels a picture's pixel is wide."""
        return 2.0**self.level, 2.0**self.level

    def halved(self) -> PaintedPicture:
        """Return the next coarser level."""
        return replace(self, level=self.level + 1)

    def bands(self, token: CancellationToken | None = None) -> Iterator[np.ndarray]:
        """Read it from above, :data:`BAND_ROWS` rows at a time.

        Parameters
        ----------
        token : CancellationToken, optional
            Asked at each band.
        """
        rows, cols = self.shape
        for top in checked(range(0, rows, BAND_ROWS), token):
            yield self.labels.read(self.level, RegionPx(top, 0, min(BAND_ROWS, rows - top), cols))
