"""From tiles to patches: windows are composed, averaged down and cut, without interpolating positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from napari_nic.geometry import RegionPx
from napari_nic.grid import PatchGrid


@dataclass(frozen=True)
class Cut:
    """How patches are cut from pixels.

    Attributes
    ----------
    patch_px, stride_px : int
        Side and distance of patches, in the pixels they are cut from.
    input_size : int
        Side in pixels that patches are brought to.
    """

    patch_px: int
    stride_px: int
    input_size: int

    @classmethod
    def of(cls, grid: PatchGrid, input_size: int) -> Self:
        """Describe cutting from the pixels of the grid's level."""
        return cls(grid.patch_px, grid.stride_px, input_size)

    @property
    def factor(self) -> int:
        """Whole factor by which pixels may be averaged before they are cut, without a difference; or 1."""
        factor, remainder = divmod(self.patch_px, self.input_size)
        return factor if remainder == 0 and self.stride_px % factor == 0 else 1

    def shrunk(self, factor: int) -> Self:
        """Describe the same on pixels averaged by a factor that divides patch and stride."""
        return type(self)(self.patch_px // factor, self.stride_px // factor, self.input_size)


def tile_factor(cut: Cut, tile: tuple[int, int]) -> int:
    """Return the factor by which each tile may be averaged by itself; 1 where an average would span two."""
    return 1 if tile[0] % cut.factor or tile[1] % cut.factor else cut.factor


def shrink_tile(pixels: np.ndarray, factor: int, background: tuple[int, int, int]) -> np.ndarray:
    """Average a tile (rows, cols, 3) by a whole factor; one that the level's edge cuts is filled up first."""
    if factor == 1:
        return pixels
    bottom, right = -pixels.shape[0] % factor, -pixels.shape[1] % factor
    if bottom or right:
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=background)
    return _average(pixels, factor)


def shrink_region(region: RegionPx, factor: int) -> RegionPx:
    """Return where a region lies among averaged pixels; its corner must be at a multiple of `factor`."""
    return RegionPx(
        region.y // factor, region.x // factor, -(-region.height // factor), -(-region.width // factor)
    )


def compose_window(
    region: RegionPx,
    tiles: Iterable[tuple[int, int]],
    get_tile: Callable[[tuple[int, int]], np.ndarray],
    *,
    tile: tuple[int, int],
    level: RegionPx,
    background: tuple[int, int, int],
) -> np.ndarray:
    """Paste tiles into a window; what lies outside the level gets the background colour.

    Inside the level, pixels that no tile covers are left as the memory was: give all tiles that matter.

    Returns
    -------
    ndarray of uint8, (region.height, region.width, 3)
    """
    window = np.empty((region.height, region.width, 3), np.uint8)
    if region.intersect(level) != region:  # else tiles cover all that matters, and filling would cost as much
        window[:] = background
    for row, col in tiles:
        pixels = get_tile((row, col))
        y, x = row * tile[0] - region.y, col * tile[1] - region.x  # of the tile's corner in the window
        top, left = max(0, y), max(0, x)
        part = pixels[top - y : region.height - y, left - x : region.width - x]
        window[top : top + part.shape[0], left : left + part.shape[1]] = part
    return window


def cut_patches(window: np.ndarray, covered: np.ndarray, cut: Cut, *, out: np.ndarray) -> None:
    """Cut the covered patches of a strip and bring them to the encoder's input size by area averaging.

    Parameters
    ----------
    window : ndarray of uint8, (height, width, 3)
        The pixels of a :class:`~napari_nic.pipeline.plan.Strip`.
    covered : ndarray of bool, (rows, cols) of the strip
        Cells whose patches are wanted.
    cut : Cut
        Sizes in pixels of `window`.
    out : ndarray of uint8, (n_covered, input_size, input_size, 3)
        Takes the patches, cells in row-major order.

    Notes
    -----
    Where the factor is a whole number that divides the stride, the window is averaged once and then cut;
    this gives the same values as averaging each patch, because every average stays inside one patch.
    """
    factor = cut.factor
    if factor > 1:
        window, cut = _average(window, factor), cut.shrunk(factor)
    views = _windows(window, covered.shape, cut.patch_px, cut.stride_px)
    if cut.patch_px == cut.input_size:
        out[:] = views[covered]
        return
    # Area averaging is for shrinking only; a slide slightly too coarse is enlarged linearly.
    method = cv2.INTER_AREA if cut.patch_px > cut.input_size else cv2.INTER_LINEAR
    for index, (row, col) in enumerate(np.argwhere(covered)):
        patch = np.ascontiguousarray(views[row, col])
        cv2.resize(patch, (cut.input_size, cut.input_size), dst=out[index], interpolation=method)


def _average(pixels: np.ndarray, factor: int) -> np.ndarray:
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _windows(image: np.ndarray, shape: tuple[int, int], side: int, stride: int) -> np.ndarray:
    """Return a read-only view (rows, cols, side, side, 3) of all patches, overlapping ones too."""
    row_step, col_step, band_step = image.strides
    return as_strided(
        image,
        shape=(*shape, side, side, 3),
        strides=(row_step * stride, col_step * stride, row_step, col_step, band_step),
        writeable=False,
    )
