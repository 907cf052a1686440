"""Share of patches that outlines cover, against shapely patch by patch."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, patch_share
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

RING = shapely.Polygon(
    shapely.Point(500, 400).buffer(310).exterior, [shapely.box(400, 300, 640, 470).exterior.coords]
)
OTHER = shapely.Polygon([(600.5, 100.25), (1190, 90), (900.75, 780)])
"""Overlaps the first one."""


@pytest.mark.parametrize(("patch", "stride"), [(128, 128), (128, 64), (128, 96), (100, 150), (96, 7)])
def test_every_patch_is_exact(patch, stride):
    levels = (LevelGeometry(900, 1200, 1.0, 1.0),)
    grid = PatchGrid.plan(levels, PixelSize(0.5, 0.5, "test"), patch_size=patch, stride=stride, mpp=0.5)
    outlines = AnnotationSet((Annotation("", "polygon", RING), Annotation("", "polygon", OTHER)))
    share = patch_share(outlines, grid)
    assert share.shape == grid.shape
    tissue = shapely.union(RING, OTHER)
    rng = np.random.default_rng(0)
    for row, col in {(0, 0), *zip(*(rng.integers(0, n, 200).tolist() for n in grid.shape), strict=True)}:
        y, x = (at * grid.stride_px + start for at, start in zip((row, col), grid.origin_px, strict=True))
        square = shapely.box(x, y, x + grid.patch_px, y + grid.patch_px)
        assert share[row, col] == pytest.approx(tissue.intersection(square).area / square.area, abs=1e-6)


def test_nothing_covers_nothing():
    levels = (LevelGeometry(900, 1200, 1.0, 1.0),)
    grid = PatchGrid.plan(levels, PixelSize(0.5, 0.5, "test"), patch_size=64, stride=32, mpp=0.5)
    assert not patch_share(AnnotationSet(), grid).any()
