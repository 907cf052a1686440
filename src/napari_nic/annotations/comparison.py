"""Two sets of annotations against each other, class by class: readers, or a reader and a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import shapely

from napari_nic.annotations.boundaries import STEP_UM, TOLERANCE_UM, BoundaryDistances, outline_distances
from napari_nic.annotations.merging import joined
from napari_nic.annotations.model import AnnotationSet
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked

UM2_PER_MM2 = 1e6

NAN = float("nan")


@dataclass(frozen=True)
class ClassComparison:
    """How well two sets agree on the areas of one class. The first one is the reference.

    Attributes
    ----------
    label : str
    n_first, n_second : int
        Areas of the class in each set.
    first_mm2, second_mm2, common_mm2 : float
        What they cover; overlapping areas of one set count once.
    dice, jaccard : float
        Of the covered areas, exact; NaN if neither set covers anything.
    sensitivity : float
        Share of the first set's area that the second one covers too; NaN if the first one covers nothing.
    precision : float
        Share of the second set's area that the first one covers too; NaN if the second one covers nothing.
    boundary_mean_um, boundary_p95_um, boundary_max_um : float
        Average symmetric surface distance, 95th percentile of the Hausdorff distance, and the Hausdorff
        distance itself, of points on each boundary from the nearest point of the other one; see
        :class:`~napari_nic.annotations.boundaries.BoundaryDistances`. NaN if one of the sets covers nothing.
    surface_dice : float
        Normalised surface Dice: share of both boundaries within `tolerance_um` of the other one; 0 if only
        one set covers something, NaN if neither does.
    tolerance_um : float
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
    sensitivity: float = NAN
    precision: float = NAN
    surface_dice: float = NAN
    tolerance_um: float = TOLERANCE_UM

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def compare_sets(
    first: AnnotationSet,
    second: AnnotationSet,
    pixel: PixelSize,
    *,
    labels: Sequence[str] | None = None,
    step_um: float = STEP_UM,
    tolerance_um: float = TOLERANCE_UM,
    token: CancellationToken | None = None,
) -> tuple[ClassComparison, ...]:
    """Compare the areas of two sets; lines and points cover nothing and are left out.

    Parameters
    ----------
    first, second : AnnotationSet
        Level-0 pixels of the same slide; the first one is the reference.
    pixel : PixelSize
        Of level 0; need not be square.
    labels : sequence of str, optional
        Classes; by default those that have areas in either set, in the order of their first area.
    step_um : float
        Largest distance of the points at which boundaries are compared, um.
    tolerance_um : float
        Of the normalised surface Dice.
    token : CancellationToken, optional
        Asked at each class, each group of areas that are merged, and each group of distances.

    Returns
    -------
    tuple of ClassComparison
        One for each class.
    """
    found = dict.fromkeys(a.label for one in (first, second) for a in one.annotations if a.is_area)
    results = []
    for label in checked(list(found if labels is None else labels), token):
        polygons = [one.polygons(label) for one in (first, second)]
        areas = [in_um(joined(own, token=token), pixel) for own in polygons]
        distances = outline_distances(areas[0], areas[1], step_um=step_um, token=token)
        sizes = float(areas[0].area), float(areas[1].area), float(shapely.intersection(*areas).area)
        numbers = len(polygons[0]), len(polygons[1])
        results.append(class_comparison(label, numbers, sizes, distances, tolerance_um))
    return tuple(results)


def class_comparison(
    label: str,
    numbers: tuple[int, int],
    sizes_um2: tuple[float, float, float],
    distances: BoundaryDistances,
    tolerance_um: float = TOLERANCE_UM,
) -> ClassComparison:
    """Make the record of a class from what was measured.

    Parameters
    ----------
    label : str
    numbers : (int, int)
        Areas in each set.
    sizes_um2 : (float, float, float)
        What the first covers, the second, and both.
    distances : BoundaryDistances
    tolerance_um : float
    """
    first, second, common = sizes_um2
    common = min(common, first, second)  # an intersection may be larger by a rounding
    union = first + second - common
    surface_dice = distances.surface_dice(tolerance_um)
    if not distances.is_known and union:
        surface_dice = 0.0
    return ClassComparison(
        label=label,
        n_first=numbers[0],
        n_second=numbers[1],
        first_mm2=first / UM2_PER_MM2,
        second_mm2=second / UM2_PER_MM2,
        common_mm2=common / UM2_PER_MM2,
        dice=ratio(2 * common, first + second),
        jaccard=ratio(common, union),
        boundary_mean_um=distances.mean_um,
        boundary_p95_um=distances.p95_um,
        boundary_max_um=distances.max_um,
        sensitivity=ratio(common, first),
        precision=ratio(common, second),
        surface_dice=surface_dice,
        tolerance_um=tolerance_um,
    )


def ratio(part: float, whole: float) -> float:
    """Divide; NaN where there is nothing to be a part of."""
    return part / whole if whole else NAN


def in_um(geometry: shapely.Geometry, pixel: PixelSize) -> shapely.Geometry:
    """Bring a geometry from level-0 pixels to micrometres."""
    scale = [pixel.x, pixel.y]
    return shapely.transform(geometry, lambda points: points * scale)
