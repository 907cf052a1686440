"""STAPLE: the truth that explains several readers best, and how good each of them then is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_nic.annotations import cell_area, rasterise
from napari_nic.extras import require
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.cells import box_of, square_grid
from napari_nic.reader_study.consensus import Consensus, check_readers, colors_of, consensus_set
from napari_nic.reader_study.pairs import INSIDE
from napari_nic.reader_study.readings import Reading, labels_of

ITERATIONS = 1000

PROBABLE = 0.5
"""Pixels that belong to a class with at least this probability are its areas."""

RASTER_UM = 4.0
"""Side of a pixel by default."""


def staple(
    readings: Sequence[Reading],
    pixel: PixelSize,
    *,
    labels: Sequence[str] | None = None,
    raster_um: float = RASTER_UM,
    token: CancellationToken | None = None,
) -> Consensus:
    """Estimate the consensus of readers and their performance together, class by class.

    Parameters
    ----------
    readings : sequence of Reading
        Two or more.
    pixel : PixelSize
        Of level 0.
    labels : sequence of str, optional
        Classes; by default all that any reader has areas of.
    raster_um : float
        Side of a pixel of the raster on which it is computed: outlines of the consensus follow these.
    token : CancellationToken, optional
        Asked at each class and while outlines are laid on the raster; not within the library's iterations.

    Raises
    ------
    MissingDependencyError
        If SimpleITK is not installed.
    InvalidParameterError
        If there are fewer than two readers, or the raster is too fine.

    Notes
    -----
    Warfield, Zou and Wells 2004 (IEEE Trans Med Imaging 23:903), by SimpleITK. The prior is the mean share
    of the class in the box around all areas of all readers: STAPLE depends on how much background it sees,
    and that box is what is stated here. Where two classes are probable, the likelier one wins.
    """
    check_readers(readings)
    require("SimpleITK", "the consensus by STAPLE")
    chosen = list(labels or labels_of(readings))
    grid = square_grid(
        box_of([area for one in readings for area in one.annotations.polygons()]), pixel, raster_um
    )
    best = np.full(grid.shape, PROBABLE - 1e-12, np.float64)
    winner = np.zeros(grid.shape, np.uint16)
    performance = {}
    for number, label in enumerate(checked(chosen, token), 1):
        masks = [rasterise(one.annotations, grid, label, token=token) >= INSIDE for one in readings]
        if not any(mask.any() for mask in masks):
            continue
        probability, rates = _estimate(masks)
        better = probability > best
        best[better], winner[better] = probability[better], number
        performance[label] = tuple(
            (one.name, float(sensitivity), float(specificity))
            for one, (sensitivity, specificity) in zip(readings, rates, strict=True)
        )
    areas = {label: cell_area(winner == number, grid, token=token) for number, label in enumerate(chosen, 1)}
    names = ", ".join(one.name for one in readings)
    rule = f"STAPLE of {len(readings)} readers ({names}), raster of {raster_um:g} um"
    return Consensus(consensus_set(areas, rule, colors_of(readings)), rule, {}, performance)


def _estimate(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Return the probability of each pixel, and (sensitivity, specificity) of each reader."""
    sitk = require("SimpleITK", "the consensus by STAPLE")
    method = sitk.STAPLEImageFilter()
    method.SetForegroundValue(1)
    method.SetMaximumIterations(ITERATIONS)
    image = method.Execute([sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    probability = sitk.GetArrayFromImage(image)
    return probability, list(zip(method.GetSensitivity(), method.GetSpecificity(), strict=True))
