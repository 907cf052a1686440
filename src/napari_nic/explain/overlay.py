"""What every explanation becomes: a raster over the slide with its meaning attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.explain.colormaps import SEQUENTIAL, color_table
from napari_nic.geometry import Placement
from napari_nic.notebook import card

OverlayKind = Literal[
    "pca", "channel", "prediction", "saliency", "difference", "similarity", "anomaly", "clusters", "probe"
]

RobustRange = tuple[float, float]
ROBUST: RobustRange = (1.0, 99.0)
"""Percentiles that bound colours, so that a few odd cells do not wash out the rest."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """A picture, a map of values or a map of classes, one element a cell, placed on the slide.

    Attributes
    ----------
    name : str
        What the layer and the legend are called.
    kind : OverlayKind
    data : ndarray
        Values float32 (rows, cols), numbers of classes uint8 (rows, cols), or a picture uint8
        (rows, cols, 3 or 4).
    mask : ndarray of bool, (rows, cols)
        Cells that mean something; the others are not shown.
    placement : Placement
        Where the raster lies, in micrometres from the slide's top left corner.
    unit : str
        Of the values; empty for none.
    limits : (float, float) or None
        Values at both ends of the colour map; None for a picture and for classes.
    colormap : str
        A name that napari and :func:`~napari_nic.explain.colormaps.color_table` know.
    legend : tuple of (str, (int, int, int))
        Classes and their colours, in the order of their numbers; empty where there are none.
    note : str
        One or two sentences: what it shows, how it was made, what both ends mean.
    ends : (str, str)
        What low and high values mean, in a word or two; empty where the numbers say it all.

    Raises
    ------
    InvalidParameterError
        If shapes disagree, a map of values has no limits, or a class no colour.
    """

    name: str
    kind: OverlayKind
    data: np.ndarray
    mask: np.ndarray
    placement: Placement
    unit: str = ""
    limits: tuple[float, float] | None = None
    colormap: str = SEQUENTIAL
    legend: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    note: str = ""
    ends: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        if self.data.shape[:2] != self.mask.shape or self.mask.dtype != np.bool_:
            raise InvalidParameterError(
                "the data and the mask of an overlay do not belong together",
                expected=f"a bool mask of {self.data.shape[:2]}",
                found=f"{self.mask.dtype} {self.mask.shape}",
            )
        if self.is_picture:
            if self.data.dtype != np.uint8 or self.data.shape[2] not in (3, 4):
                raise InvalidParameterError(
                    "a picture must be uint8 RGB or RGBA", found=f"{self.data.dtype} {self.data.shape}"
                )
        elif self.is_classes:
            if self.data.size and int(self.data.max()) >= len(self.legend):
                raise InvalidParameterError(
                    "a map of classes needs a colour for each",
                    expected=f"numbers below {len(self.legend)}",
                    found=str(int(self.data.max())),
                )
        elif self.data.ndim != 2 or self.limits is None or not self.limits[0] < self.limits[1]:
            raise InvalidParameterError(
                "a map of values needs two dimensions and rising limits",
                found=f"{self.data.shape}, {self.limits}",
            )

    def __repr__(self) -> str:
        rows, cols = self.mask.shape
        return f"<Overlay {self.name}: {self.kind}, {rows} x {cols} cells, {int(self.mask.sum()):,} shown>"

    def _repr_html_(self) -> str:
        """The picture and what it means, for notebooks."""
        rows, cols = self.mask.shape
        limits = "" if self.limits is None else f"{self.limits[0]:.3g} to {self.limits[1]:.3g} {self.unit}"
        facts = {
            "cells": f"{rows:,} x {cols:,}, {int(self.mask.sum()):,} shown",
            "colours": " to ".join(end for end in self.ends if end),
            "values": limits.strip(),
            "classes": ", ".join(name for name, _ in self.legend),
            "note": self.note,
        }
        return card(self.name, facts, self.to_rgba())

    @property
    def is_picture(self) -> bool:
        """Whether `data` holds colours and not values."""
        return self.data.ndim == 3

    @property
    def is_classes(self) -> bool:
        """Whether `data` holds numbers of classes."""
        return self.data.ndim == 2 and self.data.dtype == np.uint8

    @property
    def has_values(self) -> bool:
        """Whether `data` holds values, which have more and less."""
        return not (self.is_picture or self.is_classes)

    def value_at(self, row: int, col: int) -> float | None:
        """Return the value of a cell; None where there are no values, outside the raster and the mask."""
        rows, cols = self.mask.shape
        if not self.has_values or not (0 <= row < rows and 0 <= col < cols) or not self.mask[row, col]:
            return None
        return float(self.data[row, col])

    def to_rgba(self) -> np.ndarray:
        """Paint the overlay: ndarray of uint8, (rows, cols, 4), transparent outside the mask."""
        rgba = np.zeros((*self.mask.shape, 4), np.uint8)
        if self.is_classes:
            rgba[..., 3] = 255
            rgba[..., :3] = np.array([color for _, color in self.legend], np.uint8)[self.data]
        elif self.limits is None:
            rgba[..., 3] = 255
            rgba[..., : self.data.shape[2]] = self.data
        else:
            low, high = self.limits
            table = color_table(self.colormap)
            share = np.clip((np.nan_to_num(self.data) - low) / (high - low), 0, 1)
            rgba[..., :3] = table[np.rint(share * (len(table) - 1)).astype(np.intp)]
            rgba[..., 3] = 255
        rgba[~self.mask] = 0
        return rgba


def robust_limits(values: np.ndarray, percentiles: RobustRange = ROBUST) -> tuple[float, float]:
    """Bound values by percentiles; never an empty range.

    Parameters
    ----------
    values : ndarray
        The cells that count; any shape, may be empty.

    Returns
    -------
    (low, high)
        ``low < high`` always: a constant gets a range of 1 around it.
    """
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values.astype(np.float64), percentiles))
    if not high > low:
        return low - 0.5, low + 0.5
    return low, high


def symmetric_limits(values: np.ndarray, percentile: float = ROBUST[1]) -> tuple[float, float]:
    """Bound signed values by a percentile of their size, so that 0 is in the middle of the colours.

    Returns
    -------
    (-x, x)
        x is 1 where all values are 0 or none is there.
    """
    if values.size == 0:
        return -1.0, 1.0
    sizes = np.abs(values.astype(np.float64))
    bound = float(np.percentile(sizes, percentile)) or float(sizes.max()) or 1.0
    return -bound, bound
