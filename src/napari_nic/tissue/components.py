"""Connected parts of a mask: drop small ones, fill small holes, grow from seeds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken, checked

BoolArray = npt.NDArray[np.bool_]

BAND_ROWS = 256
"""Rows worked on at a time, where planes of floats would cost too much memory."""


def drop_small(mask: BoolArray, min_pixels: float) -> BoolArray:
    """Keep the parts (8-connected) of at least `min_pixels` pixels."""
    labels, areas = _label(mask, connectivity=8)
    keep = areas >= min_pixels
    keep[0] = False
    kept: BoolArray = keep[labels]
    return kept


def fill_holes(mask: BoolArray, max_pixels: float) -> BoolArray:
    """Fill holes (4-connected, not touching the border) of at most `max_pixels` pixels."""
    labels, areas = _label(~mask, connectivity=4)
    fill = areas <= max_pixels
    fill[0] = False
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    fill[border] = False
    filled: BoolArray = mask | fill[labels]
    return filled


def grow_within(seeds: BoolArray, mask: BoolArray) -> BoolArray:
    """Return the parts (8-connected) of `mask` that hold a seed."""
    labels, areas = _label(mask, connectivity=8)
    keep = np.zeros(len(areas), np.bool_)
    keep[labels[seeds]] = True
    keep[0] = False
    grown: BoolArray = keep[labels]
    return grown


def drop_parts_below(
    mask: BoolArray,
    values: Callable[[slice], npt.NDArray[np.float32]],
    least: float,
    token: CancellationToken | None = None,
) -> BoolArray:
    """Keep the parts (8-connected) over which the mean of some values is at least `least`.

    Parameters
    ----------
    values : callable
        Gives the values of a band of rows, so that they need not be held whole.
    token : CancellationToken, optional
        Asked at each band.
    """
    labels, areas = _label(mask, connectivity=8)
    sums = np.zeros(len(areas))
    for top in checked(range(0, len(mask), BAND_ROWS), token):
        band = slice(top, top + BAND_ROWS)
        np.add.at(sums, labels[band][mask[band]], values(band)[mask[band]].astype(np.float64))
    keep = sums / np.maximum(areas, 1) >= least
    keep[0] = False
    kept: BoolArray = keep[labels]
    return kept


def _label(mask: BoolArray, *, connectivity: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return labels (0 off the mask) and the area of each label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    return np.asarray(labels), np.asarray(stats[:, cv2.CC_STAT_AREA])
