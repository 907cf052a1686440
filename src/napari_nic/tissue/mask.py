"""A mask on the slide, and how much of each patch of a grid it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.grid import PatchGrid
from napari_nic.notebook import card

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


_BAND_VALUES = 2**20  # of the mask that are looked at in float64 at a time


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Where there is tissue.

    Attributes
    ----------
    mask : ndarray
        (rows, cols) bool, True on tissue.
    placement : Placement
        Where its elements lie on the slide, um.
    method : str
        How it was made, for the store's record.
    """

    mask: BoolArray
    placement: Placement
    method: str

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_ or self.mask.size == 0:
            raise InvalidParameterError(
                "a tissue mask is a two-dimensional array of bool, not empty",
                found=f"{self.mask.dtype} of shape {self.mask.shape}",
            )

    def __repr__(self) -> str:
        rows, cols = self.mask.shape
        return f"<TissueMask {rows} x {cols}, {self.area_um2 / 1e6:.4g} mm2 of tissue, {self.method}>"

    def _repr_html_(self) -> str:
        """The mask and its area, for notebooks."""
        rows, cols = self.mask.shape
        facts = {
            "size": f"{rows:,} x {cols:,} elements of {self.placement.step_um[0]:.3g} um",
            "area": f"{self.area_um2 / 1e6:.4g} mm2",
            "method": self.method,
        }
        grey = np.where(self.mask, np.uint8(90), np.uint8(255))
        return card("Tissue", facts, np.repeat(grey[..., None], 3, axis=2))

    @classmethod
    def from_array(cls, mask: npt.ArrayLike, placement: Placement, method: str = "edited") -> TissueMask:
        """Take any (rows, cols) array, such as an edited labels layer; what is not 0 is tissue."""
        return cls(np.asarray(mask) != 0, placement, method)

    @property
    def area_um2(self) -> float:
        """Area of the tissue in square micrometres."""
        return float(np.count_nonzero(self.mask)) * self.placement.step_um[0] * self.placement.step_um[1]

    def fraction(self, grid: PatchGrid) -> npt.NDArray[np.float32]:
        """Return the share of each cell's **patch** that is tissue, (rows, cols) float32 in [0, 1].

        The share is exact for any placement of mask and grid: the integral of a mask of constant elements
        is bilinear between their corners, so interpolating the integral image makes no error. What of a
        patch lies outside the mask (over the slide's edge) counts as not tissue.
        """
        integral = cv2.integral(np.ascontiguousarray(self.mask).view(np.uint8))
        rows, cols = self._patch_edges(grid, 0), self._patch_edges(grid, 1)
        patch_area = (rows[1][0] - rows[0][0]) * (cols[1][0] - cols[0][0])
        share = np.empty(grid.shape, np.float32)
        height = max(1, _BAND_VALUES // integral.shape[1])
        for top in range(0, grid.rows, height):
            band = slice(top, top + height)
            strips = _interpolate(integral, rows[1][band]) - _interpolate(integral, rows[0][band])
            areas = _interpolate(strips.T, cols[1]) - _interpolate(strips.T, cols[0])
            share[band] = np.clip(areas.T / patch_area, 0, 1)
        return share

    def _patch_edges(self, grid: PatchGrid, axis: int) -> tuple[FloatArray, FloatArray]:
        """Return first and last edge of the patches along an axis, in elements of the mask."""
        um_per_px = grid.downsample[axis] * (grid.pixel_size.y, grid.pixel_size.x)[axis]
        origin, step = self.placement.origin_um[axis], self.placement.step_um[axis]
        corners_px = grid.origin_px[axis] + np.arange(grid.shape[axis], dtype=np.float64) * grid.stride_px
        first = corners_px * um_per_px - origin
        return first / step, (first + grid.patch_px * um_per_px) / step

    def cells(self, grid: PatchGrid, *, min_fraction: float = 0.25) -> BoolArray:
        """Return the cells to encode, (rows, cols) bool: those whose patch holds enough tissue.

        Parameters
        ----------
        min_fraction : float
            Least share of a patch that is tissue. 0 takes every cell whose patch touches tissue.

        Raises
        ------
        InvalidParameterError
            If `min_fraction` is not within 0 to 1.
        """
        if not 0 <= min_fraction <= 1:
            raise InvalidParameterError(
                "the least share of tissue is between 0 and 1", found=f"{min_fraction}"
            )
        share = self.fraction(grid)
        return (share > 0) & (share >= np.float32(min_fraction))


def _interpolate(integral: npt.NDArray[Any], at: FloatArray) -> FloatArray:
    """Read an integral image between its rows, (n + 1, m) -> (len(at), m); constant beyond both ends."""
    at = np.clip(at, 0, integral.shape[0] - 1)
    below = np.minimum(at.astype(np.intp), integral.shape[0] - 2)
    weight = (at - below)[:, None]
    return np.asarray(integral[below] * (1 - weight) + integral[below + 1] * weight)
