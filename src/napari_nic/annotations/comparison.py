"""Two sets of annotations against each other, class by class: readers, or a reader and a prediction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations.merging import merged
from napari_nic.annotations.model import AnnotationSet
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked

STEP_UM = 1.0
"""Boundaries are compared at points no further apart than this."""

UM2_PER_MM2 = 1e6

_AT_ONCE = 65_536
"""So many distances are measured in one call, which nobody can interrupt."""


@dataclass(frozen=True)
class ClassComparison:
    """How well two sets agree on the areas of one class.

    Attributes
    ----------
    label : str
    n_first, n_second : int
        Areas of the class in each set.
    first_mm2, second_mm2, common_mm2 : float
        What they cover; overlapping areas of one set count once.
    dice, jaccard : float
        Of the covered areas, exact; NaN if neither set covers anything.
    boundary_mean_um, boundary_p95_um, boundary_max_um : float
        Distance from points on each boundary, a micrometre apart, to the nearest point of the other one, both
        ways together: their mean, their 95th percentile and the largest. NaN if one of the sets covers
        nothing.
    """

    label: str
    n_first: int
    n_second: int
    first_mm2: float
    second_mm2: float
    common_mm2: float
    dice: float
    jaccard: float
    boundary_mean_um: float
    boundary_p95_um: float
    boundary_max_um: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def compare_sets(
    first: AnnotationSet,
    second: AnnotationSet,
    pixel: PixelSize,
    *,
    step_um: float = STEP_UM,
    token: CancellationToken | None = None,
) -> tuple[ClassComparison, ...]:
    """Compare the areas of two sets; lines and points cover nothing and are left out.

    Parameters
    ----------
    first, second : AnnotationSet
        Level-0 pixels of the same slide.
    pixel : PixelSize
        Of level 0; need not be square.
    step_um : float
        Largest distance of the points at which boundaries are compared, um.
    token : CancellationToken, optional
        Asked at each class, each group of areas that are merged, and each group of distances.

    Returns
    -------
    tuple of ClassComparison
        One for each class that has areas in either set, in the order of their first area.
    """
    labels = dict.fromkeys(a.label for one in (first, second) for a in one.annotations if a.is_area)
    return tuple(
        _compare(label, (first, second), pixel, step_um, token) for label in checked(list(labels), token)
    )


def _compare(
    label: str,
    sets: tuple[AnnotationSet, AnnotationSet],
    pixel: PixelSize,
    step_um: float,
    token: CancellationToken | None,
) -> ClassComparison:
    polygons = [one.polygons(label) for one in sets]
    areas = [_in_um(merged(own, token=token), pixel) for own in polygons]
    first, second = (float(area.area) for area in areas)
    common = float(shapely.intersection(*areas).area)
    union = first + second - common
    distances = _distances(areas[0], areas[1], step_um, token)
    known = len(distances) > 0
    return ClassComparison(
        label=label,
        n_first=len(polygons[0]),
        n_second=len(polygons[1]),
        first_mm2=first / UM2_PER_MM2,
        second_mm2=second / UM2_PER_MM2,
        common_mm2=common / UM2_PER_MM2,
        dice=2 * common / (first + second) if union else float("nan"),
        jaccard=common / union if union else float("nan"),
        boundary_mean_um=float(distances.mean()) if known else float("nan"),
        boundary_p95_um=float(np.percentile(distances, 95)) if known else float("nan"),
        boundary_max_um=float(distances.max()) if known else float("nan"),
    )


def _in_um(geometry: shapely.Geometry, pixel: PixelSize) -> shapely.Geometry:
    return shapely.transform(geometry, lambda points: points * np.array([pixel.x, pixel.y]))


def _distances(
    first: shapely.Geometry, second: shapely.Geometry, step_um: float, token: CancellationToken | None
) -> np.ndarray:
    """Distances of both boundaries' points from the other boundary, um; none if there is but one."""
    if first.is_empty or second.is_empty:
        return np.empty(0)
    boundaries = [shapely.segmentize(area.boundary, step_um) for area in (first, second)]
    return np.concatenate(
        [_to(boundaries[1], boundaries[0], token), _to(boundaries[0], boundaries[1], token)]
    )


def _to(boundary: shapely.Geometry, other: shapely.Geometry, token: CancellationToken | None) -> np.ndarray:
    """Distance of each point of `other` from the nearest of `boundary`'s sides."""
    points, line = shapely.get_coordinates(shapely.get_parts(boundary), return_index=True)
    pairs = np.stack([points[:-1], points[1:]], axis=1)[line[:-1] == line[1:]]
    sides = shapely.linestrings(pairs)
    tree = shapely.STRtree(sides)
    asked = shapely.points(np.unique(shapely.get_coordinates(other), axis=0))
    found = [
        tree.query_nearest(asked[start : start + _AT_ONCE], return_distance=True, all_matches=False)[1]
        for start in checked(range(0, len(asked), _AT_ONCE), token)
    ]
    return np.concatenate(found)
