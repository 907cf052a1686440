"""Annotated areas as pictures of class numbers, at any resolution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import shapely

from napari_nic.annotations.model import AnnotationSet
from napari_nic.colors import RGB
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked

BAND_ROWS = 512
"""Rows that are drawn and held at once."""

MAX_CLASSES = 65_535
"""Class numbers that 16 bits hold."""


class ClassPicture(Protocol):
    """A picture of class numbers that is made band by band."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers, without sign."""
        ...

    @property
    def values(self) -> Mapping[str, int]:
        """Class to its number, from 1."""
        ...

    @property
    def colors(self) -> Mapping[str, RGB]:
        """Colours of the classes."""
        ...

    @property
    def scale(self) -> tuple[float, float]:
        """(y, x) level-0 pixels a picture's pixel is wide."""
        ...

    def halved(self) -> ClassPicture:
        """Return the same with pixels of twice the size."""
        ...

    def bands(self, token: CancellationToken | None = None) -> Iterator[np.ndarray]:
        """Yield it from above, :data:`BAND_ROWS` rows at a time."""
        ...


@dataclass(frozen=True)
class LabelImage:
    """The plan of a picture of class numbers.

    Attributes
    ----------
    shape : (int, int)
        (rows, cols).
    scale : (float, float)
        (y, x) level-0 pixels a picture's pixel is wide.
    values : mapping of str to int
        Class to its number, from 1; 0 is where no area is.
    annotations : AnnotationSet
        Level-0 pixels.
    """

    shape: tuple[int, int]
    scale: tuple[float, float]
    values: Mapping[str, int]
    annotations: AnnotationSet

    @property
    def dtype(self) -> np.dtype:
        """8 bits, or 16 for more than 255 classes."""
        return np.dtype(np.uint8 if len(self.values) < 256 else np.uint16)

    @property
    def colors(self) -> Mapping[str, RGB]:
        """Colours of the classes."""
        return self.annotations.colors

    def halved(self) -> LabelImage:
        """Return the plan of the same with pixels of twice the size."""
        rows, cols = self.shape
        scale = self.scale[0] * 2, self.scale[1] * 2
        return replace(self, shape=((rows + 1) // 2, (cols + 1) // 2), scale=scale)

    def bands(self, token: CancellationToken | None = None) -> Iterator[np.ndarray]:
        """Draw the picture from above, :data:`BAND_ROWS` rows at a time (the last one may have fewer).

        A pixel has the number of the area that its centre lies in; where several do, of the last one in the
        set. A centre exactly on an edge belongs to the area on its right or below.

        Parameters
        ----------
        token : CancellationToken, optional
            Asked at each band.
        """
        areas = [a for a in self.annotations.annotations if a.is_area and a.label in self.values]
        scale = np.array(self.scale[::-1])
        geometries = shapely.transform(
            np.array([*(a.geometry for a in areas), None], object)[:-1], lambda p: p / scale
        )
        numbers = np.array([self.values[a.label] for a in areas], self.dtype)
        tree = shapely.STRtree(geometries)
        rows, cols = self.shape
        for top in checked(range(0, rows, BAND_ROWS), token):
            bottom = min(top + BAND_ROWS, rows)
            band = np.zeros((bottom - top, cols), self.dtype)
            for index in np.sort(tree.query(shapely.box(0, top, cols, bottom))).tolist():
                fill(band, geometries[index], int(numbers[index]), top)
            yield band


def plan_label_image(
    annotations: AnnotationSet,
    shape: tuple[int, int],
    pixel: PixelSize,
    mpp: float,
    labels: Sequence[str] | None = None,
) -> LabelImage:
    """Plan a picture of a whole slide.

    Parameters
    ----------
    annotations : AnnotationSet
    shape : (int, int)
        (rows, cols) of level 0.
    pixel : PixelSize
        Of level 0.
    mpp : float
        Micrometres a pixel of the picture is wide and high.
    labels : sequence of str, optional
        Classes from number 1; by default all that have areas, in their order.

    Raises
    ------
    InvalidParameterError
        If no area is of the classes, or there are too many of them.
    """
    known = list(dict.fromkeys(a.label for a in annotations.annotations if a.is_area))
    chosen = list(known if labels is None else labels)
    missing = [label for label in chosen if label not in known]
    if missing or not chosen:
        raise InvalidParameterError(
            "no area has this class" if missing else "there are no areas to draw",
            expected=", ".join(known) or "areas",
            found=", ".join(missing) or "none",
        )
    if len(chosen) > MAX_CLASSES:
        raise InvalidParameterError("too many classes for a picture", found=f"{len(chosen):,}")
    scale = mpp / pixel.y, mpp / pixel.x
    size = tuple(max(1, math.ceil(length / factor)) for length, factor in zip(shape, scale, strict=True))
    values = {label: number for number, label in enumerate(chosen, 1)}
    return LabelImage((size[0], size[1]), scale, values, annotations)


def fill(band: np.ndarray, geometry: shapely.Geometry, value: int, top: int = 0) -> None:
    """Set the pixels of a band whose centres lie in an area, in place.

    Each row of centres crosses the outline an even number of times; the pixels between the first and the
    second crossing, the third and the fourth, and so on are inside.

    Parameters
    ----------
    band : ndarray, (rows, cols)
    geometry : shapely Polygon or MultiPolygon
        In pixels of the picture, (x, y).
    value : int
    top : int
        Row of the picture that the band begins with.
    """
    row, x = _crossings(geometry, top, top + band.shape[0])
    order = np.lexsort((x, row))
    row, x = row[order] - top, x[order]
    # Centre i + 0.5 is right of a crossing at x from i = ceil(x - 0.5) on.
    columns = np.clip(np.ceil(x - 0.5), 0, band.shape[1]).astype(int)
    for r, start, stop in zip(row[::2].tolist(), columns[::2].tolist(), columns[1::2].tolist(), strict=True):
        band[r, start:stop] = value


def _crossings(geometry: shapely.Geometry, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    """Row of each crossing of a side with a row of centres between `top` and `bottom`, and where, in x."""
    points, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(geometry)), return_index=True)
    same = ring[:-1] == ring[1:]
    start, end = points[:-1][same], points[1:][same]
    upper, lower = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # A side takes its upper end and not its lower one: a corner on a row counts once, a tip twice or never.
    first = np.clip(np.ceil(upper - 0.5), top, bottom).astype(int)
    last = np.clip(np.ceil(lower - 0.5), top, bottom).astype(int)
    count = last - first
    side = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[side]
    a, b = start[side], end[side]
    x = a[:, 0] + (row + 0.5 - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return row, x
