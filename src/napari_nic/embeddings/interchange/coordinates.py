"""Small steps that several importers share: columns of places, common sides, tables of whole rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.errors import StoreError


def corners_yx(xy: np.ndarray, path: Path) -> np.ndarray:
    """Return float64 (y, x) of an array (N, 2 or more) that begins with (x, y).

    Raises
    ------
    StoreError
        If it has another shape or holds no numbers.
    """
    if xy.ndim != 2 or xy.shape[1] < 2 or xy.dtype.kind not in "fiu":
        raise StoreError(
            "the places are no table of (x, y)", path=path, found=f"{xy.dtype}, shape {xy.shape}"
        )
    return np.ascontiguousarray(xy[:, 1::-1], np.float64)


def common_side(sides: np.ndarray, path: Path) -> float | None:
    """Return the side that all patches share within a pixel, its commonest value; None of no patches.

    Parameters
    ----------
    sides : ndarray of float64, (N, 2)
        (height, width).
    path : Path

    Raises
    ------
    StoreError
        If patches are of several sizes: they are no codes of one grid.
    """
    if not len(sides):
        return None
    values, counts = np.unique(sides, return_counts=True)
    side = float(values[counts.argmax()])
    if not np.isfinite(sides).all() or np.abs(sides - side).max() > 1:
        raise StoreError(
            "the patches are of several sizes",
            path=path,
            expected="squares of one side",
            found=f"sides from {sides.min():g} to {sides.max():g} px",
            hint="import the patches of each size apart",
        )
    return side


def matched(ids: np.ndarray, wanted: np.ndarray, path: Path) -> np.ndarray:
    """Return where in `ids` each of `wanted` is: int64, as long as `wanted`.

    Parameters
    ----------
    ids, wanted : ndarray of numbers or text
        Numbers and texts of numbers count as equal.
    path : Path
        Named in errors.

    Raises
    ------
    StoreError
        If one is not there, or one is there twice in either.
    """
    if ids.dtype.kind != wanted.dtype.kind and "U" in (ids.dtype.kind, wanted.dtype.kind):
        ids, wanted = ids.astype(str), wanted.astype(str)
    order = np.argsort(ids, kind="stable")
    at = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)] if len(ids) else order
    if len(at) < len(wanted) or not np.array_equal(ids[at], wanted):
        missing = len(wanted) if len(at) < len(wanted) else int((ids[at] != wanted).sum())
        raise StoreError(
            "features of tiles whose places are not there",
            path=path,
            found=f"{missing:,} of {len(wanted):,} without",
            hint="the two are of two runs: make them again",
        )
    if len(np.unique(at)) < len(at) or len(np.unique(ids)) < len(ids):
        raise StoreError("two tiles have one number", path=path, hint="make features and tiles again")
    return at
