"""Which cells a shape labels: areas by the share of the patch, lines and points by what they touch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from napari_nic.annotations.model import Annotation
from napari_nic.annotations.raster import PixelsToCells
from napari_nic.errors import InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

HALF = 0.5
"""An area labels the patches that it covers at least to this share."""

BOXES_AT_ONCE = 65_536

_CLOSE = 1e-9
"""Shares are quotients of areas: half of a patch may come out a little less than a half."""


def labelled_cells(
    annotation: Annotation,
    grid: PatchGrid,
    *,
    least_share: float = HALF,
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Return the cells that one shape labels.

    Parameters
    ----------
    annotation : Annotation
    grid : PatchGrid
    least_share : float
        Of an area: share of a cell's patch that it covers at least. An area that covers no patch to this
        share labels the one that it covers most, so that nothing that was drawn is lost.
    token : CancellationToken, optional
        Asked at each band of rows.

    Returns
    -------
    ndarray of int32, (n, 2)
        (row, col), rising. None for what lies off the grid.

    Raises
    ------
    InvalidParameterError
        If the share is not above 0 and at most 1.
    """
    if not 0 < least_share <= 1:
        raise InvalidParameterError(
            "the share of a patch must be above 0 and at most 1", found=f"{least_share:g}"
        )
    in_cells = shapely.transform(annotation.geometry, PixelsToCells(grid))
    if annotation.is_area:
        return _covered(in_cells, grid, least_share, token)
    if shapely.get_dimensions(in_cells) == 0:
        return _holding(in_cells, grid)
    return _touched(in_cells, grid, token)


def _covered(
    area: shapely.Geometry, grid: PatchGrid, least_share: float, token: CancellationToken | None
) -> np.ndarray:
    shapely.prepare(area)
    found, most, best = [], 0.0, np.empty((0, 2), np.int32)
    for cells, boxes in _bands(area, grid, grid.patch_px / grid.stride_px, token):
        share = _share(area, boxes)
        found.append(cells[share >= least_share - _CLOSE])
        if share.max(initial=0) > most:
            most, best = float(share.max()), cells[[int(share.argmax())]]
    labelled = _joined(found)
    return labelled if len(labelled) else best


def _share(area: shapely.Geometry, boxes: np.ndarray) -> np.ndarray:
    share = shapely.covers(area, boxes).astype(float)
    edge = (share == 0) & shapely.intersects(area, boxes)
    share[edge] = shapely.area(shapely.intersection(area, boxes[edge])) / shapely.area(boxes[edge])
    return np.asarray(share)


def _touched(line: shapely.Geometry, grid: PatchGrid, token: CancellationToken | None) -> np.ndarray:
    shapely.prepare(line)
    return _joined(
        [cells[shapely.intersects(line, boxes)] for cells, boxes in _bands(line, grid, 1.0, token)]
    )


def _holding(points: shapely.Geometry, grid: PatchGrid) -> np.ndarray:
    """Cells whose squares [left, right) hold a point."""
    cells = np.unique(np.floor(shapely.get_coordinates(points)[:, ::-1]).astype(np.int64), axis=0)
    inside = ((cells >= 0) & (cells < grid.shape)).all(axis=1)
    return np.asarray(cells[inside].astype(np.int32))


def _bands(
    geometry: shapely.Geometry, grid: PatchGrid, side: float, token: CancellationToken | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the cells near a geometry and their squares of `side` cells, some rows at a time."""
    left, top, right, bottom = shapely.bounds(geometry)
    if not np.isfinite((left, top, right, bottom)).all():
        return
    reach = max(0.0, (side - 1) / 2)
    # What begins on the border of two cells touches both.
    first = np.maximum(np.ceil(np.array([top, left]) - reach) - 1, 0).astype(int)
    last = np.minimum(np.floor(np.array([bottom, right]) + reach) + 1, grid.shape).astype(int)
    width = max(0, int(last[1] - first[1]))
    if width == 0:
        return
    rows = max(1, BOXES_AT_ONCE // width)
    for row in checked(range(int(first[0]), int(last[0]), rows), token):
        below = min(row + rows, int(last[0]))
        cells = np.mgrid[row:below, first[1] : last[1]].reshape(2, -1).T.astype(np.int32)
        yield cells, _squares(cells, side)


def _squares(cells: np.ndarray, side: float) -> np.ndarray:
    top, left = (cells + (1 - side) / 2).T
    return np.asarray(shapely.box(left, top, left + side, top + side))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty((0, 2), np.int32), *parts])
