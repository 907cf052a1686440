"""Two readings of one slide against each other, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import (
    STEP_UM,
    TOLERANCE_UM,
    AnnotationSet,
    ClassComparison,
    agreement,
    class_comparison,
    compare_sets,
    in_um,
    joined,
    mask_distances,
    rasterise,
)
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.cells import box_of, square_grid
from napari_nic.reader_study.readings import Reading

INSIDE = 0.5
"""A cell of a raster belongs to an area that covers at least this share of it."""

UM2_PER_MM2 = 1e6


@dataclass(frozen=True)
class CompareOptions:
    """How readings are compared.

    Attributes
    ----------
    labels : tuple of str, optional
        Classes; by default all that have areas in either reading.
    step_um : float
        Largest distance of the points at which boundaries are compared.
    tolerance_um : float
        Of the normalised surface Dice.
    raster_um : float, optional
        Compare on a raster of pixels of this size instead of the outlines themselves.

    Raises
    ------
    InvalidParameterError
        If a number is not positive (the tolerance may be 0).
    """

    labels: tuple[str, ...] | None = None
    step_um: float = STEP_UM
    tolerance_um: float = TOLERANCE_UM
    raster_um: float | None = None

    def __post_init__(self) -> None:
        sizes = self.step_um, 1.0 if self.raster_um is None else self.raster_um
        if not all(size > 0 for size in sizes) or not self.tolerance_um >= 0:
            raise InvalidParameterError("distances must be positive", found=f"{self}")


@dataclass(frozen=True)
class PairComparison:
    """One class of two readings of a slide.

    Attributes
    ----------
    slide, first, second : str
        Names of the slide and of both readings; the first one is the reference.
    areas : ClassComparison
    auc : float
        Pixel AUC of the second one's values (or, if it has none, of the first one's) against the other's
        areas: NaN where neither has values, both have, or the areas hold none or all of its cells.
    unseen_mm2 : float
        Of the areas of either, what lies where the other one says nothing (cells that a model did not see).
        It takes no part in the comparison.
    """

    slide: str
    first: str
    second: str
    areas: ClassComparison
    auc: float
    unseen_mm2: float

    @property
    def label(self) -> str:
        """The class."""
        return self.areas.label

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        names = {"slide": self.slide, "first": self.first, "second": self.second}
        auc = None if self.auc != self.auc else self.auc
        return names | self.areas.to_dict() | {"auc": auc, "unseen_mm2": self.unseen_mm2}


def compare_readings(
    slide: str,
    readings: Sequence[Reading],
    pixel: PixelSize,
    options: CompareOptions | None = None,
    *,
    token: CancellationToken | None = None,
) -> tuple[PairComparison, ...]:
    """Compare each pair of readings of a slide; of a pair, the one that is named earlier is the reference.

    Parameters
    ----------
    slide : str
    readings : sequence of Reading
    pixel : PixelSize
        Of level 0.
    options : CompareOptions, optional
    token : CancellationToken, optional
        Asked at each pair, class and group of outlines.
    """
    options = options or CompareOptions()
    found: list[PairComparison] = []
    for first, second in checked(list(combinations(readings, 2)), token):
        found += _compare(slide, (first, second), pixel, options, token)
    return tuple(found)


def _compare(
    slide: str,
    pair: tuple[Reading, Reading],
    pixel: PixelSize,
    options: CompareOptions,
    token: CancellationToken | None,
) -> list[PairComparison]:
    sets = tuple(clipped(own.annotations, other.seen, token) for own, other in (pair, pair[::-1]))
    labels = options.labels or tuple(
        dict.fromkeys(a.label for one in pair for a in one.annotations.annotations if a.is_area)
    )
    if options.raster_um is None:
        classes = compare_sets(
            sets[0],
            sets[1],
            pixel,
            labels=labels,
            step_um=options.step_um,
            tolerance_um=options.tolerance_um,
            token=token,
        )
    else:
        classes = _on_raster((sets[0], sets[1]), pixel, labels, options, token)
    return [
        PairComparison(
            slide,
            pair[0].name,
            pair[1].name,
            found,
            pixel_auc(pair, found.label, token),
            _unseen(pair, sets, found.label, pixel, token),
        )
        for found in classes
    ]


def clipped(
    annotations: AnnotationSet, region: shapely.Geometry | None, token: CancellationToken | None = None
) -> AnnotationSet:
    """Cut areas off at the edge of a region, level-0 pixels; None changes nothing."""
    if region is None:
        return annotations
    shapely.prepare(region)
    kept = []
    for annotation in checked(annotations.annotations, token):
        if not annotation.is_area or region.covers(annotation.geometry):
            kept.append(annotation)
            continue
        part = shapely.intersection(annotation.geometry, region)
        areas = [
            piece for piece in shapely.get_parts(part) if piece.geom_type == "Polygon" and piece.area > 0
        ]
        if areas:
            kept.append(replace(annotation, geometry=shapely.union_all(areas)))
    return replace(annotations, annotations=tuple(kept))


def _on_raster(
    sets: tuple[AnnotationSet, AnnotationSet],
    pixel: PixelSize,
    labels: Sequence[str],
    options: CompareOptions,
    token: CancellationToken | None,
) -> tuple[ClassComparison, ...]:
    """Compare what covers at least half of each pixel of a raster, counted from the slide's corner."""
    step = options.raster_um or 1.0
    grid = square_grid(box_of([*sets[0].polygons(labels), *sets[1].polygons(labels)]), pixel, step)
    found = []
    for label in checked(labels, token):
        masks = [rasterise(one, grid, label, token=token) >= INSIDE for one in sets]
        sizes = [float(mask.sum()) * step**2 for mask in (*masks, masks[0] & masks[1])]
        distances = mask_distances(masks[0], masks[1], (step, step))
        numbers = len(sets[0].polygons(label)), len(sets[1].polygons(label))
        found.append(
            class_comparison(label, numbers, (sizes[0], sizes[1], sizes[2]), distances, options.tolerance_um)
        )
    return tuple(found)


def pixel_auc(pair: tuple[Reading, Reading], label: str, token: CancellationToken | None = None) -> float:
    """Return the pixel AUC of the one reading that has values of a class against the other's areas."""
    maps = [one.maps.get(label) for one in pair]
    if (maps[0] is None) == (maps[1] is None):
        return float("nan")
    tested = 0 if maps[1] is None else 1
    values = maps[tested]
    if values is None:
        return float("nan")
    inside = rasterise(pair[1 - tested].annotations, values.grid, label, token=token) >= INSIDE
    if not inside[values.mask].any():
        return float("nan")
    return agreement(values.values, inside, values.mask).auc


def _unseen(
    pair: tuple[Reading, Reading],
    sets: Sequence[AnnotationSet],
    label: str,
    pixel: PixelSize,
    token: CancellationToken | None,
) -> float:
    left_out = 0.0
    for reading, seen, other in zip(pair, sets, pair[::-1], strict=True):
        if other.seen is not None:
            before, after = (
                in_um(joined(one.polygons(label), token=token), pixel).area
                for one in (reading.annotations, seen)
            )
            left_out += before - after
    return max(0.0, float(np.round(left_out, 6))) / UM2_PER_MM2
