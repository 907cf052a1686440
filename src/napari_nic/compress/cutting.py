"""From tiles to patches: windows are composed, averaged down and cut, without interpolating positions."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from napari_nic.geometry import RegionPx
from napari_nic.grid import PatchGrid


def compose_window(
    region: RegionPx,
    tiles: list[tuple[int, int]],
    get_tile: Callable[[tuple[int, int]], np.ndarray],
    *,
    tile: tuple[int, int],
    level: RegionPx,
    background: tuple[int, int, int],
) -> np.ndarray:
    """Paste the tiles that a window touches; what lies outside the level gets the background colour.

    Returns
    -------
    ndarray of uint8, (region.height, region.width, 3)
    """
    window = np.empty((region.height, region.width, 3), np.uint8)
    if region.intersect(level) != region:  # else the tiles cover all of it, and filling would cost as much
        window[:] = background
    for row, col in tiles:
        pixels = get_tile((row, col))
        place = RegionPx(row * tile[0], col * tile[1], pixels.shape[0], pixels.shape[1])
        common = region.intersect(place)
        window[
            common.y - region.y : common.bottom - region.y, common.x - region.x : common.right - region.x
        ] = pixels[common.y - place.y : common.bottom - place.y, common.x - place.x : common.right - place.x]
    return window


def cut_patches(window: np.ndarray, covered: np.ndarray, grid: PatchGrid, input_size: int) -> np.ndarray:
    """Cut the covered patches of a strip and bring them to the encoder's input size by area averaging.

    Parameters
    ----------
    window : ndarray of uint8, (height, width, 3)
        The pixels of a :class:`~napari_nic.compress.plan.Strip`.
    covered : ndarray of bool, (rows, cols) of the strip
        Cells whose patches are wanted.
    grid : PatchGrid
    input_size : int
        Side of the encoder's input in pixels.

    Returns
    -------
    ndarray of uint8, (n_covered, input_size, input_size, 3), C-contiguous, cells in row-major order.

    Notes
    -----
    Where the factor is a whole number that divides the stride, the window is averaged once and then cut;
    this gives the same values as averaging each patch, because every average stays inside one patch.
    """
    factor, remainder = divmod(grid.patch_px, input_size)
    if remainder == 0 and grid.stride_px % factor == 0:
        small = window
        if factor > 1:
            size = (window.shape[1] // factor, window.shape[0] // factor)
            small = cv2.resize(window, size, interpolation=cv2.INTER_AREA)
        return _windows(small, covered.shape, input_size, grid.stride_px // factor)[covered]
    views = _windows(window, covered.shape, grid.patch_px, grid.stride_px)
    patches = np.empty((int(covered.sum()), input_size, input_size, 3), np.uint8)
    # Area averaging is for shrinking only; a slide slightly too coarse is enlarged linearly.
    method = cv2.INTER_AREA if grid.patch_px > input_size else cv2.INTER_LINEAR
    for index, (row, col) in enumerate(np.argwhere(covered)):
        patch = np.ascontiguousarray(views[row, col])
        cv2.resize(patch, (input_size, input_size), dst=patches[index], interpolation=method)
    return patches


def _windows(image: np.ndarray, shape: tuple[int, int], side: int, stride: int) -> np.ndarray:
    """Return a read-only view (rows, cols, side, side, 3) of all patches, overlapping ones too."""
    row_step, col_step, band_step = image.strides
    return as_strided(
        image,
        shape=(*shape, side, side, 3),
        strides=(row_step * stride, col_step * stride, row_step, col_step, band_step),
        writeable=False,
    )
