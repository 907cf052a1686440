"""What an encoder sees of each annotated object: the mean code of its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from napari_nic.annotations import AnnotationSet
from napari_nic.embeddings import ResidentCodes
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.cells import cells_to_px

_AT_ONCE = 4096
"""So many objects are laid on the cells in one call, which nobody can interrupt."""


@dataclass(frozen=True, eq=False)
class ObjectCodes:
    """Codes of the objects of one slide.

    Attributes
    ----------
    codes : ndarray of float32, (n, C)
        Of each annotation of the set, in its order; NaN where no cell of it is encoded.
    n_cells : ndarray of int, (n,)
        Cells that each code is the mean of; 0 where there is none.
    centers_px : ndarray of float64, (n, 2)
        (x, y) of the objects' centroids, level-0 pixels.
    """

    codes: np.ndarray
    n_cells: np.ndarray
    centers_px: np.ndarray


def object_codes(
    annotations: AnnotationSet, resident: ResidentCodes, *, token: CancellationToken | None = None
) -> ObjectCodes:
    """Average the codes of the cells of each object.

    Parameters
    ----------
    annotations : AnnotationSet
        Level-0 pixels; areas, lines and points.
    resident : ResidentCodes
        Of the slide.
    token : CancellationToken, optional
        Asked at each group of objects.

    Notes
    -----
    Cells of an object are the encoded ones whose centre lies in it. An object without any (smaller than a
    cell, a line, a point) takes the cell under its centroid.
    """
    geometries = np.array([*(a.geometry for a in annotations.annotations), None], object)[:-1]
    centers = shapely.get_coordinates(shapely.centroid(geometries)).reshape(-1, 2)
    n_objects, width = len(geometries), resident.codes.shape[1]
    sums, counts = np.zeros((n_objects, width)), np.zeros(n_objects, int)
    origin, step = cells_to_px(resident.grid)
    tree = shapely.STRtree(shapely.points((resident.cells[:, ::-1] + 0.5) * step + origin))
    for start in checked(range(0, n_objects, _AT_ONCE), token):
        part = geometries[start : start + _AT_ONCE]
        shapely.prepare(part)
        owner, cell = tree.query(part, predicate="intersects")
        np.add.at(sums, owner + start, resident.codes[cell])
        counts += np.bincount(owner + start, minlength=n_objects)
    under = _cell_under(centers, resident, origin, step)
    alone = (counts == 0) & (under >= 0)
    sums[alone], counts[alone] = resident.codes[under[alone]], 1
    codes = np.full((n_objects, width), np.nan, np.float32)
    there = counts > 0
    codes[there] = sums[there] / counts[there, None]
    return ObjectCodes(codes, counts, centers)


def _cell_under(
    centers: np.ndarray, resident: ResidentCodes, origin: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Return the number of the code under each place, -1 where there is none."""
    col, row = np.floor((centers - origin) / step).astype(int).T
    rows, cols = resident.shape
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    found = np.full(len(centers), -1)
    found[inside] = resident.index[row[inside], col[inside]]
    return found
