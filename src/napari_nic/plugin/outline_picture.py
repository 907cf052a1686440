"""A picture of very many outlines at every zoom, painted tile by tile where it is looked at."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import shapely

from napari_nic.annotations import RGB

if TYPE_CHECKING:
    import dask.array as da

TILE = 512
STEP = 2
COARSEST = 1024
"""The last level is no larger than this."""

_FRACTION_BITS = 4
_THICKNESS = 2


def outline_levels(
    geometries: Sequence[shapely.Geometry], colors: Sequence[RGB], size: tuple[int, int] | None
) -> list[da.Array]:
    """Return a pyramid of RGBA pictures, (rows, cols, 4) uint8 each, each half of the one before.

    Parameters
    ----------
    geometries : sequence of shapely geometries
        In level-0 pixels, (x, y).
    colors : sequence of (r, g, b)
        One a geometry.
    size : (int, int), optional
        (rows, cols) of level 0; by default what the geometries reach.
    """
    painter = _Painter(geometries, colors)
    if size is None:
        _, _, right, bottom = shapely.total_bounds(painter.geometries)
        size = (max(1, int(np.ceil(bottom))), max(1, int(np.ceil(right))))
    n_levels = 1
    while max(size) / STEP ** (n_levels - 1) > COARSEST:
        n_levels += 1
    whole = STEP ** (n_levels - 1)
    padded = [-(-side // whole) * whole for side in size]
    return [painter.level([side // STEP**n for side in padded], STEP**n) for n in range(n_levels)]


class _Painter:
    """Paints tiles; holds the geometries in a tree."""

    def __init__(self, geometries: Sequence[shapely.Geometry], colors: Sequence[RGB]) -> None:
        self.geometries = np.array(geometries, object)
        self._colors = np.array(colors, np.uint8).reshape(-1, 3)
        self._tree = shapely.STRtree(self.geometries)
        self._token = uuid.uuid4().hex

    def __dask_tokenize__(self) -> str:
        # Dask would read all geometries, several times, to name its tasks.
        return self._token

    def level(self, shape: Sequence[int], factor: int) -> da.Array:
        import dask.array as da

        blank = da.zeros((*shape, 4), chunks=(TILE, TILE, 4), dtype=np.uint8)
        return blank.map_blocks(self, factor=factor, dtype=np.uint8)

    def __call__(self, blank: np.ndarray, factor: int, block_info: Any = None) -> np.ndarray:
        """Paint one tile of the level that is `factor` times smaller."""
        picture = np.zeros(blank.shape, np.uint8)
        if not block_info:  # dask asks for the kind of the result
            return picture
        (top, bottom), (left, right) = block_info[None]["array-location"][:2]
        rim = _THICKNESS
        around = np.array([left - rim, top - rim, right + rim, bottom + rim]) * factor
        found = np.sort(self._tree.query(shapely.box(*around)))
        for color in np.unique(self._colors[found], axis=0):
            chosen = found[(self._colors[found] == color).all(axis=1)]
            lines = self._lines(chosen, (left, top), factor)
            paint = (*(int(part) for part in color), 255)
            cv2.polylines(picture, lines, False, paint, _THICKNESS, cv2.LINE_8, _FRACTION_BITS)
        return picture

    def _lines(self, chosen: np.ndarray, corner: tuple[int, int], factor: int) -> list[np.ndarray]:
        """Rings and lines in fixed-point pixels of a tile, whose pixels are counted by their centres."""
        parts = shapely.get_parts(self.geometries[chosen])
        areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
        rings = np.concatenate([shapely.get_rings(parts[areas]), parts[~areas]])
        points, owners = shapely.get_coordinates(rings, return_index=True)
        placed = (points / factor - np.array(corner) - 0.5) * 2**_FRACTION_BITS
        fixed = np.rint(np.clip(placed, -(2**24), 2**24)).astype(np.int32)
        return np.split(fixed, np.flatnonzero(np.diff(owners)) + 1) if len(fixed) else []
