"""Annotations on the grid of cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely

from napari_nic.annotations.merging import disjoint
from napari_nic.annotations.model import AnnotationSet
from napari_nic.geometry import Placement
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

FULL = 1 - 1e-9
"""A window covered to this share is taken as full; far below what float32 can tell."""


def rasterise(
    annotations: AnnotationSet,
    grid: PatchGrid,
    labels: str | Iterable[str] | None = None,
    *,
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Share of each cell's square that is covered by annotated areas.

    Parameters
    ----------
    annotations : AnnotationSet
    grid : PatchGrid
        Squares are those of `grid.placement`: stride by stride, centred on the patches.
    labels : str or iterable of str, optional
        Of one label, of several together, or of all.
    token : CancellationToken, optional
        Asked at each group of areas that are merged, and each time the windows are halved.

    Returns
    -------
    ndarray of float32, (rows, cols)
        0 to 1. Overlapping areas count once; what lies outside of the grid is clipped; lines and points
        cover nothing.
    """
    areas = annotations.polygons(labels)
    if not areas:
        return np.zeros(grid.shape, np.float32)
    in_cells = shapely.transform(disjoint(areas, token=token), PixelsToCells(grid))
    return covered_share(in_cells, grid.shape, token=token)


def patch_share(
    annotations: AnnotationSet, grid: PatchGrid, *, token: CancellationToken | None = None
) -> np.ndarray:
    """Share of each cell's **patch** that is covered by annotated areas, exact; see :func:`rasterise`.

    Where patches overlap, or leave gaps, the patch is another square than that of :func:`rasterise`.

    Returns
    -------
    ndarray of float32, (rows, cols)
    """
    areas = annotations.polygons()
    if grid.patch_px == grid.stride_px or not areas:
        return rasterise(annotations, grid, token=token)
    in_cells = shapely.transform(disjoint(areas, token=token), PixelsToCells(grid))
    share = np.zeros(grid.shape, np.float64)
    shapely.prepare(in_cells)
    tree, side = shapely.STRtree(in_cells), grid.patch_px / grid.stride_px
    for row in checked(range(grid.rows), token):
        left = np.arange(grid.cols) + (1 - side) / 2
        boxes = shapely.box(left, row + (1 - side) / 2, left + side, row + (1 + side) / 2)
        box, area = tree.query(boxes, predicate="intersects")
        whole = shapely.covers(in_cells[area], boxes[box])
        parts = np.full(len(box), side * side)
        parts[~whole] = shapely.area(shapely.intersection(in_cells[area[~whole]], boxes[box[~whole]]))
        np.add.at(share[row], box, parts)
    return np.clip(share / side**2, 0, 1).astype(np.float32)


def covered_share(
    geometries: Sequence[shapely.Geometry] | np.ndarray,
    shape: tuple[int, int],
    *,
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Exact share of each unit square that disjoint areas cover.

    Each geometry's window of the raster is halved again and again, together with the geometry, until it is
    empty, full, or one cell. So an outline of V corners costs about V log(cells), not V times the cells that
    it touches; every step is one vectorised call for all windows of all geometries.

    Parameters
    ----------
    geometries : sequence of shapely geometries
        Valid and disjoint (they may touch), in units of cells, (x, y) = (column, row).
    shape : (int, int)
        (rows, cols).
    token : CancellationToken, optional
        Asked each time the windows are halved.

    Returns
    -------
    ndarray of float32, (rows, cols)
    """
    share = np.zeros(shape, np.float64)
    windows, parts = _start(np.asarray(geometries, object), shape)
    while len(windows):
        if token is not None:
            token.checkpoint()
        area = shapely.area(parts)
        size = (windows[:, 2] - windows[:, 0]) * (windows[:, 3] - windows[:, 1])
        full, single = area >= size * FULL, size == 1
        np.add.at(share, tuple(windows[single, :2].T), area[single])
        for top, left, bottom, right in windows[full & ~single]:
            share[top:bottom, left:right] += 1
        split = ~full & ~single & (area > 0)
        windows, owners = _halves(windows[split])
        parts = shapely.intersection(parts[split][owners], _boxes(windows))
    return np.clip(share, 0, 1).astype(np.float32)


def _start(geometries: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return (windows, parts): for each geometry the cells that its bounds touch, clipped to the raster."""
    geometries = geometries[~shapely.is_empty(geometries)]
    left, top, right, bottom = shapely.bounds(geometries).T
    first = np.floor(np.stack([top, left], axis=1))
    last = np.maximum(np.ceil(np.stack([bottom, right], axis=1)), first + 1)
    clipped = np.concatenate([np.clip(first, 0, shape), np.clip(last, 0, shape)], axis=1)
    inside = (clipped[:, :2] < clipped[:, 2:]).all(axis=1)
    cut = ((first < 0) | (last > shape)).any(axis=1)[inside]
    windows, parts = clipped[inside].astype(int), geometries[inside]
    parts[cut] = shapely.intersection(parts[cut], _boxes(windows[cut]))
    return windows, parts


class PixelsToCells:
    """Maps level-0 pixels (x, y) to fractional (column, row)."""

    def __init__(self, grid: PatchGrid) -> None:
        placement: Placement = grid.placement
        pixel = np.array([grid.pixel_size.x, grid.pixel_size.y])
        self._origin = np.array(placement.origin_um[::-1]) / pixel
        self._step = np.array(placement.step_um[::-1]) / pixel

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points (n, 2)."""
        return np.asarray((points - self._origin) / self._step)


def _boxes(windows: np.ndarray) -> np.ndarray:
    top, left, bottom, right = windows.T
    return np.asarray(shapely.box(left, top, right, bottom))


def _halves(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut each window across its longer side; return the halves and the index of each one's window."""
    if len(windows) == 0:
        return windows, np.empty(0, int)
    top, left, bottom, right = windows.T
    upright = bottom - top >= right - left
    first, second = windows.copy(), windows.copy()
    row, col = (top + bottom) // 2, (left + right) // 2
    first[upright, 2] = second[upright, 0] = row[upright]
    first[~upright, 3] = second[~upright, 1] = col[~upright]
    return np.concatenate([first, second]), np.tile(np.arange(len(windows)), 2)
