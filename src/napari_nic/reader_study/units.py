"""What readers agree on one by one: cells of a grid, or objects that all of them outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from napari_nic.annotations import AnnotationSet, rasterise
from napari_nic.errors import InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

NOTHING = "nothing"
"""The class of cells that a reader gave none."""

SAME_OBJECT = 0.5
"""Outlines that overlap by more than this Jaccard index are one object: with one outline, only one can."""


@dataclass(frozen=True, eq=False)
class Units:
    """Classes that readers gave to the units of one slide.

    Attributes
    ----------
    classes : ndarray of int, (n, R)
        Of each unit by each reader: number in the list of classes.
    left_out : int
        Units that do not count: cells that nobody annotated, objects that not every reader outlined.
    """

    classes: np.ndarray
    left_out: int


def cell_units(
    sets: Sequence[AnnotationSet],
    grid: PatchGrid,
    classes: Sequence[str],
    *,
    counted: np.ndarray | None = None,
    token: CancellationToken | None = None,
) -> Units:
    """Give each cell of a grid the class that covers most of it, reader by reader.

    Parameters
    ----------
    sets : sequence of AnnotationSet
        One for each reader.
    grid : PatchGrid
    classes : sequence of str
        :data:`NOTHING` among them stands for what no area covers. If it is not, only cells count to which
        every reader gave a class.
    counted : ndarray of bool, (rows, cols), optional
        Cells that count, for instance those with tissue; by default those that some reader annotated at
        least half of. The choice matters: with much empty glass all readers agree on nothing.
    token : CancellationToken, optional
    """
    found = np.stack([_cell_classes(one, grid, classes, token) for one in checked(sets, token)], axis=-1)
    nothing = classes.index(NOTHING) if NOTHING in classes else -1
    if counted is None:
        counted = (found != nothing).any(axis=-1)
    units = found[counted]
    kept = (units >= 0).all(axis=1)
    return Units(units[kept], int(counted.size - kept.sum()))


def _cell_classes(
    annotations: AnnotationSet, grid: PatchGrid, classes: Sequence[str], token: CancellationToken | None
) -> np.ndarray:
    """Return the class with the largest share of each cell, -1 for nothing where that is no class."""
    shares = np.stack(
        [
            np.zeros(grid.shape, np.float32)
            if label == NOTHING
            else rasterise(annotations, grid, label, token=token)
            for label in classes
        ]
    )
    rest = 1 - rasterise(annotations, grid, [c for c in classes if c != NOTHING], token=token)
    if NOTHING in classes:
        shares[classes.index(NOTHING)] = rest
        return np.asarray(shares.argmax(axis=0))
    return np.where(shares.max(axis=0) >= rest, shares.argmax(axis=0), -1)


def object_units(
    sets: Sequence[AnnotationSet], classes: Sequence[str], *, token: CancellationToken | None = None
) -> Units:
    """Match the areas of readers one by one, and give each its classes.

    Parameters
    ----------
    sets : sequence of AnnotationSet
        One for each reader. An object of the first reader counts if every other reader has an outline that
        overlaps it by a Jaccard index of more than :data:`SAME_OBJECT`.
    classes : sequence of str
        Areas of other classes are left out.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If the first reader has no areas of these classes.
    """
    areas = [[a for a in one.annotations if a.is_area and a.label in classes] for one in sets]
    if not areas[0]:
        raise InvalidParameterError(
            "there are no objects to compare",
            expected="areas of the first reader",
            found=f"none of {', '.join(classes)}",
        )
    number = {label: k for k, label in enumerate(classes)}
    found = np.full((len(areas[0]), len(sets)), -1)
    found[:, 0] = [number[a.label] for a in areas[0]]
    own = np.array([a.geometry for a in areas[0]], object)
    for reader, others in enumerate(checked(areas[1:], token), 1):
        if others:
            theirs = np.array([a.geometry for a in others], object)
            first, second = same_objects(own, theirs)
            found[first, reader] = np.array([number[a.label] for a in others])[second]
    kept = (found >= 0).all(axis=1)
    return Units(found[kept], int((~kept).sum()))


def same_objects(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (indices) of outlines of both that are one object, see :data:`SAME_OBJECT`."""
    a, b = shapely.STRtree(second).query(first, predicate="intersects")
    common = shapely.area(shapely.intersection(first[a], second[b]))
    union = shapely.area(first[a]) + shapely.area(second[b]) - common
    same = common > SAME_OBJECT * union
    return a[same], b[same]
