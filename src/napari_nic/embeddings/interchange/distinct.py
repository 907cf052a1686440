"""Rows that are there twice: of one patch if they are equal, refused if they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.embeddings.interchange.placing import are_distinct, parts
from napari_nic.embeddings.interchange.table import Rows
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked


def distinct_rows(
    features: Rows, corners: np.ndarray, source: Path, token: CancellationToken
) -> np.ndarray | None:
    """Indices of the rows, in order, without those that repeat another one; None where that is all.

    Parameters
    ----------
    features : Rows
        (N, C).
    corners : ndarray of numbers, (N, 2)
    source : Path
    token : CancellationToken
        Asked at each place that is there twice.

    Raises
    ------
    StoreError
        If two patches of one place have different features.
    """
    if _are_surely_distinct(corners):
        return None
    order = np.lexsort((corners[:, 1], corners[:, 0]))  # stable: of equals the first stays first
    ordered = corners[order]
    repeats = np.zeros(len(corners), bool)
    repeats[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    kept = np.ones(len(corners), bool)
    first = -1
    for position in checked(np.flatnonzero(repeats), token):
        row = int(order[position])
        first = int(order[position - 1]) if not repeats[position - 1] else first
        if not np.array_equal(features[row : row + 1], features[first : first + 1], equal_nan=True):
            y, x = corners[row]
            raise StoreError(
                "two patches share a place, with different features",
                path=source,
                found=f"rows {min(first, row)} and {max(first, row)} at ({x:g}, {y:g})",
                hint="the file may hold several slides, or augmented patches: export one of each place",
            )
        kept[row] = False
    return np.flatnonzero(kept)


def _are_surely_distinct(corners: np.ndarray) -> bool:
    """Whether places are surely all different: quick to tell where they are whole numbers."""
    if corners.dtype.kind not in "iu":
        whole = (bool((np.rint(corners[part]) == corners[part]).all()) for part in parts(len(corners)))
        if not all(whole):
            return False
    return are_distinct(corners)
