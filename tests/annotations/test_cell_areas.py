"""Cells as areas: there and back again."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.annotations import Annotation, AnnotationSet, cell_area, cell_areas, rasterise
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

ROWS, COLS = 19, 11


@pytest.fixture(autouse=True, scope="module")
def low_bands():
    """Several bands in a small grid."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_areas, "BAND_ROWS", 8)
        yield


def grid_of(stride: int) -> PatchGrid:
    level = LevelGeometry(ROWS * stride, COLS * stride)
    return PatchGrid.plan([level], PixelSize(0.5, 0.5), patch_size=32, stride=stride)


@given(st.integers(0, 10**6), st.sampled_from([0, 0.01, 0.5, 0.99, 1]), st.sampled_from([32, 16]))
def test_the_raster_of_an_outline_is_the_mask(seed, share, stride) -> None:
    assert ROWS > 2 * cell_areas.BAND_ROWS
    mask = np.random.default_rng(seed).random((ROWS, COLS)) < share
    grid = grid_of(stride)
    area = cell_area(mask, grid)
    assert area.is_valid
    annotations = AnnotationSet((Annotation("a", "polygon", area),) if mask.any() else ())
    np.testing.assert_allclose(rasterise(annotations, grid), mask, atol=1e-6)


def test_corners_are_only_where_the_outline_turns() -> None:
    mask = np.zeros((ROWS, COLS), bool)
    mask[1:18, 2:10] = True
    mask[6:10, 4:6] = False
    area = cell_area(mask, grid_of(32))
    assert area.equals(shapely.box(64, 32, 320, 576) - shapely.box(128, 192, 192, 320))
    assert len(area.exterior.coords) == len(area.interiors[0].coords) == 5
