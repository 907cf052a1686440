"""The grid that fits another program's patches: its stride, its origin, and its size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from napari_nic.embeddings.interchange.placing import MOST_LOST, Laid, commonest_distance, lay
from napari_nic.embeddings.interchange.table import ForeignCodes
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken

_MOST = 10**8
_DIVIDES = 0.02
_MOST_NEARER = 8
"""So many times nearer than a file states patches cannot lie, whatever its writer means by an overlap."""


def plan_grid(
    found: ForeignCodes,
    source: Path,
    pixel_size: PixelSize,
    slide_shape: tuple[int, int] | None,
    token: CancellationToken,
) -> tuple[PatchGrid, Laid, tuple[str, ...]]:
    """Find the grid of patches that another program cut.

    Parameters
    ----------
    found : ForeignCodes
    source : Path
    pixel_size : PixelSize
        Of level 0.
    slide_shape : (int, int), optional
        (height, width) of level 0.
    token : CancellationToken

    Returns
    -------
    grid : PatchGrid
    laid : Laid
        The patches on it.
    notes : tuple of str
        What was not stated and taken from the positions.

    Raises
    ------
    StoreError
        If neither the file nor the positions tell how far patches lie apart.
    """
    stride, notes = _stride(found, source)
    side = found.patch or stride
    if not (1 <= stride <= _MOST and 0.5 <= side <= _MOST):
        what = f"{side:g} px at a distance of {stride:g} px"
        raise StoreError("patches of a size that cannot be", path=source, found=what)
    laid = lay(found.corners, stride, token) if len(found.corners) else _empty()
    if laid.lost > MOST_LOST * len(laid.kept):
        stride, laid = _denser(found.corners, stride, laid, token)
        side = found.patch or stride
    if found.patch is None:
        notes = (
            *notes,
            f"the file does not state the side of its patches: {side:g} px, their distance, is taken",
        )
    if not len(found.corners):
        notes = ("it holds no patches: the slide counts as empty",)
        if found.features.shape[1] == 1:
            notes = (*notes, "how long its features would be is not said: 1 number is put in")
    rows, cols = _size(laid, stride, found.unit_px, slide_shape)
    grid = PatchGrid(
        rows=rows,
        cols=cols,
        level=0,
        patch_px=max(1, round(side)),
        stride_px=stride,
        patch_size=found.patch_size or max(1, round(side)),
        downsample=found.unit_px,
        pixel_size=pixel_size,
        origin_px=laid.origin,
    )
    return grid, laid, notes


def _denser(corners: np.ndarray, stride: int, laid: Laid, token: CancellationToken) -> tuple[int, Laid]:
    """Try the grid of which not every cell holds a patch: every second one, as on a checkerboard."""
    for part in _PARTS:
        if stride % part == 0:
            denser = lay(corners, stride // part, token)
            if not denser.lost and not denser.off_grid:
                return stride // part, denser
    return stride, laid


_PARTS = (2, 3, 4)


def _empty() -> Laid:
    return Laid.on(np.zeros((0, 2)), (0, 0), 1, phases=0)


def _stride(found: ForeignCodes, source: Path) -> tuple[int, tuple[str, ...]]:
    """Take the commonest distance, or the stated one where that divides it or no two are neighbours."""
    stated = found.stride or found.patch
    distance = commonest_distance(found.corners)
    if distance is None:
        if stated is None:
            raise StoreError(
                "neither the file nor the places of its patches tell how far they lie apart",
                path=source,
                expected="a side of the patches, or patches side by side",
                found=f"{len(found.corners)} patches",
                hint="give the file of the places that the patches were cut at (import --coords)",
            )
        what = "distance" if found.stride else "side"
        return max(1, round(stated)), (
            ()
            if not len(found.corners)
            else (f"no two patches are neighbours: {stated:g} px, their stated {what}, is the grid's",)
        )
    down, across = sorted(distance)
    if across % down:  # twice as far is one grid too, of which every second row is left out
        raise StoreError(
            "patches lie at another distance down than across",
            path=source,
            expected="one distance",
            found=f"{distance[0]} px down, {distance[1]} px across",
        )
    _check_not_too_near(found, down, source)
    if stated and 1 <= stated < down and abs(down / stated - round(down / stated)) < _DIVIDES:
        return max(1, round(down / round(down / stated))), ()
    return down, ()


def _check_not_too_near(found: ForeignCodes, distance: int, source: Path) -> None:
    # A distance that no patches have says nothing: it is damage, not another unit.
    if found.stride and distance * _MOST_NEARER < found.stride <= _MOST:
        raise StoreError(
            "the patches lie far closer to each other than the file states",
            path=source,
            expected=f"one every {found.stride:g} px or so",
            found=f"one every {distance} px",
            hint="places may be counts of cells, or pixels of another level: write level-0 pixels",
        )


def _size(
    laid: Laid, stride: int, unit_px: tuple[float, float], slide_shape: tuple[int, int] | None
) -> tuple[int, int]:
    """Rows and columns that hold all patches, and as many as the slide has whole ones."""
    least = laid.cells.max(axis=0, initial=0) + 1
    if slide_shape is None:
        return int(least[0]), int(least[1])
    whole = [
        math.floor((side / unit - start) / stride)
        for side, unit, start in zip(slide_shape, unit_px, laid.origin, strict=True)
    ]
    return max(int(least[0]), whole[0]), max(int(least[1]), whole[1])
