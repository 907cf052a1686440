"""Lesions as the Camelyon16 challenge counts them: dilated, filled, and isolated cells told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from napari_nic.annotations import AnnotationSet, in_um, joined
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked


@dataclass(frozen=True)
class FrocRules:
    """How lesions and detections are counted; by default as in Camelyon16.

    Attributes
    ----------
    dilation_um : float
        Annotated areas are grown by this much in all, half of it on each side, so that areas closer than this
        become one lesion, and a detection just beside one still hits.
    least_um : float
        Lesions whose longest extent, after growing, is below this are isolated tumour cells: neither finding
        nor missing them counts.
    false_positives : tuple of float
        False positives a slide at which sensitivity is read; their mean is the score.

    Raises
    ------
    InvalidParameterError
        If a number is negative, or there are no rates.

    Notes
    -----
    Ehteshami Bejnordi et al. 2017 (JAMA 318:2199) and the challenge's evaluation program: 75 um "is the
    equivalent size of 5 tumor cells", 275 um are 200 um of a cluster grown by 75.
    """

    dilation_um: float = 75.0
    least_um: float = 275.0
    false_positives: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

    def __post_init__(self) -> None:
        rates = self.false_positives
        if self.dilation_um < 0 or self.least_um < 0 or not rates or min(rates) < 0:
            raise InvalidParameterError(
                "no such rules", expected="numbers from 0, one rate at least", found=f"{self}"
            )


@dataclass(frozen=True, eq=False)
class TrueLesion:
    """A lesion of the ground truth.

    Attributes
    ----------
    area : shapely Polygon
        Grown and without holes, in micrometres (x, y): a detection in it hits.
    extent_um : float
        Length of the major axis of the ellipse with the same second moments.
    is_isolated : bool
        Whether it counts as isolated tumour cells.
    """

    area: shapely.Polygon
    extent_um: float
    is_isolated: bool


def find_lesions(
    annotations: AnnotationSet,
    pixel: PixelSize,
    rules: FrocRules | None = None,
    labels: Sequence[str] | None = None,
    *,
    token: CancellationToken | None = None,
) -> tuple[TrueLesion, ...]:
    """Return the lesions of a slide's ground truth.

    Parameters
    ----------
    annotations : AnnotationSet
        Level-0 pixels.
    pixel : PixelSize
    rules : FrocRules, optional
    labels : sequence of str, optional
        Classes that are lesions; by default all areas are.
    token : CancellationToken, optional
    """
    rules = rules or FrocRules()
    area = in_um(joined(annotations.polygons(labels), token=token), pixel)
    grown = shapely.buffer(area, rules.dilation_um / 2) if rules.dilation_um else area
    # Filling may swallow what lies in a hole: the filled parts are joined once more.
    filled = shapely.union_all(shapely.polygons(shapely.get_exterior_ring(shapely.get_parts(grown))))
    found = []
    for part in checked(shapely.get_parts(filled), token):
        if not part.is_empty:
            extent = major_axis(part)
            found.append(TrueLesion(part, extent, extent < rules.least_um))
    return tuple(found)


def major_axis(polygon: shapely.Polygon) -> float:
    """Return the length of the major axis of the ellipse with a polygon's second moments; holes are filled.

    The same as scikit-image's ``axis_major_length`` of an endlessly fine raster.
    """
    points = shapely.get_coordinates(polygon.exterior) - shapely.get_coordinates(polygon.centroid)
    (x0, y0), (x1, y1) = points[:-1].T, points[1:].T
    cross = x0 * y1 - x1 * y0
    area = cross.sum() / 2
    mean = np.array([((x0 + x1) * cross).sum(), ((y0 + y1) * cross).sum()]) / (6 * area)
    xx = ((x0**2 + x0 * x1 + x1**2) * cross).sum() / 12
    yy = ((y0**2 + y0 * y1 + y1**2) * cross).sum() / 12
    xy = ((x0 * y1 + 2 * x0 * y0 + 2 * x1 * y1 + x1 * y0) * cross).sum() / 24
    covariance = np.array([[xx, xy], [xy, yy]]) / area - np.outer(mean, mean)
    return float(4 * np.sqrt(np.linalg.eigvalsh(covariance)[-1]))
