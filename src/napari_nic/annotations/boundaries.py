"""How far two boundaries lie apart: of outlines, exact, and of masks on a raster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked

STEP_UM = 1.0
"""Boundaries are compared at points no further apart than this."""

TOLERANCE_UM = 10.0
"""Boundaries that lie closer agree: about the width of a cell."""

_PERCENTILE = 0.95

_AT_ONCE = 65_536
"""So many distances are measured in one call, which nobody can interrupt."""


@dataclass(frozen=True, eq=False)
class BoundaryDistances:
    """Distances of two boundaries from each other, both ways.

    Attributes
    ----------
    distances : (ndarray of float64 (n,), ndarray of float64 (m,))
        From points of the first boundary to the nearest point of the second, and the other way round, um.
    lengths : (ndarray of float64 (n,), ndarray of float64 (m,))
        Length of boundary that each distance stands for, um (on a raster, 1 a pixel). Outlines have corners
        where their makers set them: without the lengths, a part with many corners would count more.

    Notes
    -----
    Both are empty where one of the areas is: then there is no distance, and the numbers below are NaN.
    """

    distances: tuple[np.ndarray, np.ndarray]
    lengths: tuple[np.ndarray, np.ndarray]

    @property
    def is_known(self) -> bool:
        """Whether there are two boundaries."""
        return all(len(one) > 0 for one in self.distances)

    @property
    def mean_um(self) -> float:
        """Average symmetric surface distance: of both ways together, weighted by length."""
        if not self.is_known:
            return float("nan")
        return float(np.average(np.concatenate(self.distances), weights=np.concatenate(self.lengths)))

    @property
    def p95_um(self) -> float:
        """95th percentile of the Hausdorff distance: the larger one of both ways (HD95)."""
        if not self.is_known:
            return float("nan")
        return max(_percentile(*way) for way in zip(self.distances, self.lengths, strict=True))

    @property
    def max_um(self) -> float:
        """Hausdorff distance: the largest of both ways."""
        return max(float(way.max()) for way in self.distances) if self.is_known else float("nan")

    def surface_dice(self, tolerance_um: float) -> float:
        """Share of both boundaries that lies within a tolerance of the other one; NaN without two.

        Normalised surface Dice, Nikolov et al. 2021 (J Med Internet Res 23:e26151), eq. 4.
        """
        if not self.is_known:
            return float("nan")
        within = sum(
            float(lengths[distances <= tolerance_um].sum())
            for distances, lengths in zip(self.distances, self.lengths, strict=True)
        )
        return within / sum(float(lengths.sum()) for lengths in self.lengths)


_NONE = BoundaryDistances((np.empty(0), np.empty(0)), (np.empty(0), np.empty(0)))


def outline_distances(
    first: shapely.Geometry,
    second: shapely.Geometry,
    *,
    step_um: float = STEP_UM,
    token: CancellationToken | None = None,
) -> BoundaryDistances:
    """Measure how far the boundaries of two areas lie apart, on the outlines themselves.

    Parameters
    ----------
    first, second : shapely geometry
        Polygon or MultiPolygon, in micrometres, (x, y). Holes have boundaries too.
    step_um : float
        Largest distance of the points at which it is measured. Each distance is exact.
    token : CancellationToken, optional
        Asked at each group of distances.
    """
    if first.is_empty or second.is_empty:
        return _NONE
    boundaries = first.boundary, second.boundary
    samples = [_samples(shapely.segmentize(boundary, step_um)) for boundary in boundaries]
    distances = (
        _to(boundaries[1], samples[0][0], token),
        _to(boundaries[0], samples[1][0], token),
    )
    return BoundaryDistances(distances, (samples[0][1], samples[1][1]))


def mask_distances(first: np.ndarray, second: np.ndarray, step_um: tuple[float, float]) -> BoundaryDistances:
    """Measure how far the boundaries of two masks lie apart, by distance transforms.

    Parameters
    ----------
    first, second : ndarray of bool, (rows, cols)
    step_um : (float, float)
        (y, x) size of a pixel, um; need not be square.

    Returns
    -------
    BoundaryDistances
        Between centres of boundary pixels: those that touch a pixel outside by a side, or the raster's edge.
        So no number is finer than a pixel.

    Raises
    ------
    InvalidParameterError
        If the masks have different shapes.
    """
    if first.shape != second.shape:
        raise InvalidParameterError("the masks have different shapes", found=f"{first.shape}, {second.shape}")
    if not first.any() or not second.any():
        return _NONE
    rims = [
        mask & ~ndimage.binary_erosion(mask) for mask in (np.asarray(first, bool), np.asarray(second, bool))
    ]
    fields = [ndimage.distance_transform_edt(~rim, sampling=step_um) for rim in rims]
    distances = fields[1][rims[0]], fields[0][rims[1]]
    return BoundaryDistances(distances, (np.ones(len(distances[0])), np.ones(len(distances[1]))))


def _samples(boundary: shapely.Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Points of a boundary, and the length of it that each stands for: half of the sides that meet there."""
    points, line = shapely.get_coordinates(shapely.get_parts(boundary), return_index=True)
    side = np.hypot(*np.diff(points, axis=0).T)
    side[line[1:] != line[:-1]] = 0
    length = np.zeros(len(points))
    length[:-1] += side / 2
    length[1:] += side / 2
    return points, length


def _to(boundary: shapely.Geometry, points: np.ndarray, token: CancellationToken | None) -> np.ndarray:
    """Distance of each point from the nearest of a boundary's sides."""
    corners, line = shapely.get_coordinates(shapely.get_parts(boundary), return_index=True)
    pairs = np.stack([corners[:-1], corners[1:]], axis=1)[line[:-1] == line[1:]]
    tree = shapely.STRtree(shapely.linestrings(pairs))
    asked = shapely.points(points)
    found = [
        tree.query_nearest(asked[start : start + _AT_ONCE], return_distance=True, all_matches=False)[1]
        for start in checked(range(0, len(asked), _AT_ONCE), token)
    ]
    return np.concatenate(found)


def _percentile(distances: np.ndarray, lengths: np.ndarray) -> float:
    """Smallest distance within which 95 % of the length lies."""
    order = np.argsort(distances)
    reached = np.cumsum(lengths[order])
    # A rounding below the last sum must not lead past the end.
    index = min(int(np.searchsorted(reached, _PERCENTILE * reached[-1])), len(order) - 1)
    return float(distances[order[index]])
