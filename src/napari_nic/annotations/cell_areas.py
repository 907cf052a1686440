"""Cells as areas: from a mask over the grid back to outlines on the slide."""

from __future__ import annotations

import numpy as np
import shapely

from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

BAND_ROWS = 64
"""Rows of cells that are merged in one call, which takes milliseconds."""


def cell_area(
    mask: np.ndarray, grid: PatchGrid, *, token: CancellationToken | None = None
) -> shapely.Polygon | shapely.MultiPolygon:
    """Outline the squares of cells.

    Parameters
    ----------
    mask : ndarray of bool, (rows, cols)
        Of the grid's shape.
    grid : PatchGrid
        Squares are those of `grid.placement`, as :func:`~napari_nic.annotations.rasterise` has them.
    token : CancellationToken, optional
        Asked at each band of rows.

    Returns
    -------
    shapely Polygon or MultiPolygon
        In level-0 pixels, (x, y); valid, with corners only where the outline turns; empty if no cell is.
    """
    placement, pixel = grid.placement, grid.pixel_size
    bands = []
    for top in checked(range(0, grid.rows, BAND_ROWS), token):
        rows, cols = np.nonzero(mask[top : top + BAND_ROWS])
        squares = shapely.box(cols, rows + top, cols + 1, rows + top + 1)
        # Squares of a raster meet corner to corner: they are a coverage, which is merged without overlaying.
        bands.append(shapely.coverage_union_all(squares))
    parts = shapely.get_parts([band for band in bands if not band.is_empty])
    # Corners on straight sides go last: bands meet corner to corner too. Nothing moves, so nothing can cross.
    outline = shapely.simplify(shapely.coverage_union_all(parts), 0, preserve_topology=False)
    step = np.array(placement.step_um[::-1]) / (pixel.x, pixel.y)
    origin = np.array(placement.origin_um[::-1]) / (pixel.x, pixel.y)
    return shapely.transform(outline, lambda points: points * step + origin)
