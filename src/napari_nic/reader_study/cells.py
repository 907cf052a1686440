"""Cells of a grid as outlines: what a model says of cells becomes areas like those that readers draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, cell_area
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

MAX_CELLS = 100_000_000
"""Of a raster: some hundred megabytes for each map of it."""


def cells_to_px(grid: PatchGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return origin and step (x, y) that lead from (column, row) to level-0 pixels."""
    placement = grid.placement
    pixel = np.array([grid.pixel_size.x, grid.pixel_size.y])
    return np.array(placement.origin_um[::-1]) / pixel, np.array(placement.step_um[::-1]) / pixel


def areas_of_classes(
    masks: Mapping[str, np.ndarray],
    grid: PatchGrid,
    *,
    source: str,
    name: str = "",
    token: CancellationToken | None = None,
) -> AnnotationSet:
    """Return the cells of each class as areas, one for each connected part.

    Parameters
    ----------
    masks : mapping of str to ndarray of bool, (rows, cols)
        Class to its cells.
    grid : PatchGrid
    source : str
        Of the set.
    name : str
        Of each area.
    token : CancellationToken, optional
    """
    found = []
    for label, mask in checked(list(masks.items()), token):
        parts = shapely.get_parts(cell_area(mask, grid, token=token))
        found += [Annotation(label, "polygon", part, name) for part in parts if not part.is_empty]
    return AnnotationSet(tuple(found), {}, source)


def square_grid(region: RegionPx, pixel: PixelSize, step_um: float) -> PatchGrid:
    """Lay square cells of a stated size over a part of a slide.

    Parameters
    ----------
    region : RegionPx
        Level-0 pixels; the first cell's corner lies on it, up to a cell further up and left (cells are
        counted from the slide's corner, so that two grids of one size have the same cells).
    pixel : PixelSize
        Of level 0.
    step_um : float
        Side of a cell.

    Raises
    ------
    InvalidParameterError
        If that were more cells than :data:`MAX_CELLS`.
    """
    down = step_um / pixel.y, step_um / pixel.x
    top, left = math.floor(region.y / down[0]), math.floor(region.x / down[1])
    rows = max(1, math.ceil(region.bottom / down[0]) - top)
    cols = max(1, math.ceil(region.right / down[1]) - left)
    if rows * cols > MAX_CELLS:
        raise InvalidParameterError(
            "too fine a raster for this slide",
            expected=f"at most {MAX_CELLS:,} cells",
            found=f"{rows:,} x {cols:,} of {step_um:g} um",
            hint="take larger ones",
        )
    return PatchGrid(rows, cols, 0, 1, 1, 1, down, pixel, (top, left))


def box_of(geometries: Sequence[shapely.Geometry]) -> RegionPx:
    """Return the whole pixels around geometries, of size 0 where there are none."""
    bounds = shapely.total_bounds(np.asarray([*geometries, None], object))
    if not np.isfinite(bounds).all():
        return RegionPx(0, 0, 0, 0)
    left, top = math.floor(bounds[0]), math.floor(bounds[1])
    return RegionPx(top, left, math.ceil(bounds[3]) - top, math.ceil(bounds[2]) - left)
