"""What an import keeps of a patch in memory: its place, and little more."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from napari_nic.embeddings import ImportHints
from napari_nic.embeddings.interchange.building import Building, _plan
from napari_nic.embeddings.interchange.table import ForeignCodes
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken

PATCHES, SIDE, STEP = 400 * 500, 500, 256


def places(order: str) -> np.ndarray:
    """(y, x) of patches row by row, shuffled, or in two pieces of different phases."""
    corners = np.stack(np.divmod(np.arange(PATCHES), SIDE), axis=1).astype(float) * STEP
    if order == "two phases":
        corners[PATCHES // 2 :] += (700, 90)
    elif order == "shuffled":
        corners = np.random.default_rng(0).permutation(corners)
    return corners


@pytest.mark.parametrize("order", ["rows", "shuffled", "two phases"])
def test_laying_patches_on_a_grid_takes_no_more_than_a_few_copies_of_their_places(order):
    corners = places(order)
    found = ForeignCodes(np.broadcast_to(np.float16(0), (PATCHES, 4)), corners, patch=STEP, patch_size=256)
    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
    how = Building({}, dict, overwrite=False, token=CancellationToken())
    tracemalloc.start()
    try:
        plan = _plan(found, Path("features.h5"), hints, how)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(plan.rows) == len(plan.laid.cells) == PATCHES
    assert kept < 27 * PATCHES  # rows of the file, cells, distances from them
    assert peak < 60 * PATCHES  # 200 in versions that copied all places at each step
