"""Covered share of cells, against shapely's own areas cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import Annotation, AnnotationSet, covered_share, joined, rasterise
from napari_nic.annotations.merging import merged
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid


def _grid(rows=13, cols=17, stride=32):
    """Overlapping 40 px patches read at level 1 of an unequal scale, on pixels that are not square."""
    levels = [LevelGeometry(4 * rows * stride, 2 * cols * stride)]
    levels.append(LevelGeometry(rows * stride, cols * stride, 4.0, 2.0))
    grid = PatchGrid(rows, cols, 1, 40, stride, 40, (4.0, 2.0), PixelSize(0.25, 0.5))
    assert grid.shape == (rows, cols)
    return grid


def _cell_square(grid, row, col):
    """Square of a cell in level-0 pixels, from the patch that it is centred on."""
    (y, x), (down_y, down_x) = grid.patch_corner_px(row, col), grid.downsample
    centre_y, centre_x = y + grid.patch_px * down_y / 2, x + grid.patch_px * down_x / 2
    half_y, half_x = grid.stride_px * down_y / 2, grid.stride_px * down_x / 2
    return shapely.box(centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)


def _oracle(annotations, grid, labels=None):
    union = shapely.union_all(annotations.polygons(labels))
    share = np.zeros(grid.shape)
    for row, col in np.ndindex(grid.shape):
        square = _cell_square(grid, row, col)
        share[row, col] = union.intersection(square).area / square.area
    return share


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_share_equals_shapelys_area_in_every_cell(strategies, data):
    annotations = data.draw(strategies.sets(kinds=("polygon", "multi", "rectangle", "point", "line")))
    grid = _grid(stride=8)
    np.testing.assert_allclose(rasterise(annotations, grid), _oracle(annotations, grid), atol=1e-6)


def test_large_outline_with_a_hole_that_leaves_the_slide():
    outline = shapely.Point(400, 700).buffer(600, quad_segs=200)
    ring = outline.difference(shapely.Point(300, 700).buffer(150)).difference(shapely.box(500, 0, 520, 800))
    annotations = AnnotationSet((Annotation("a", "polygon", ring),))
    grid = _grid()
    share = rasterise(annotations, grid)
    assert share.dtype == np.float32
    assert (share == 1).sum() > 5
    np.testing.assert_allclose(share, _oracle(annotations, grid), atol=1e-6)


def test_overlapping_areas_count_once_and_labels_choose():
    boxes = [shapely.box(0, 0, 300, 300), shapely.box(100, 100, 400, 900), shapely.box(390, 0, 600, 90)]
    annotations = AnnotationSet(
        tuple(Annotation(label, "polygon", box) for label, box in zip("aba", boxes, strict=True))
    )
    grid = _grid()
    for labels in (None, "a", "b", ["a", "b"]):
        np.testing.assert_allclose(
            rasterise(annotations, grid, labels), _oracle(annotations, grid, labels), atol=1e-6
        )
    assert not rasterise(annotations, grid, "c").any()


def test_nothing_inside_covers_nothing():
    outside = AnnotationSet(
        (
            Annotation("a", "polygon", shapely.box(-500, -500, -10, -10)),
            Annotation("a", "polygon", shapely.box(1e6, 0, 1e6 + 50, 50)),
            Annotation("a", "point", shapely.Point(100, 100)),
        )
    )
    assert not rasterise(outside, _grid()).any()
    assert not rasterise(AnnotationSet(), _grid()).any()


def test_whole_slide_covers_everything():
    annotations = AnnotationSet((Annotation("a", "polygon", shapely.box(-1e5, -1e5, 1e5, 1e5)),))
    assert (rasterise(annotations, _grid()) == 1).all()


def test_many_small_shapes():
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 1, (3000, 2)) * [1000, 1600]
    annotations = AnnotationSet(
        tuple(Annotation("n", "polygon", shapely.Point(c).buffer(6, quad_segs=4)) for c in centres)
    )
    grid = _grid()
    np.testing.assert_allclose(rasterise(annotations, grid), _oracle(annotations, grid), atol=1e-5)


def test_unit_squares_of_a_raster():
    share = covered_share([shapely.box(0.5, 1, 2, 2.25)], (3, 4))
    np.testing.assert_allclose(share, [[0, 0, 0, 0], [0.5, 1, 0, 0], [0.125, 0.25, 0, 0]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_narrow_rasters(shape):
    rows, cols = shape
    np.testing.assert_allclose(covered_share([shapely.box(-1, -1, cols - 0.5, rows + 1)], shape)[0, -1], 0.5)


def test_joining_is_merging() -> None:
    """Areas that overlap, touch or contain each other, and others apart."""
    rng = np.random.default_rng(11)
    boxes = [shapely.box(x, y, x + 12, y + 9) for x, y in rng.integers(0, 200, (150, 2)).tolist()]
    ring = shapely.box(300, 0, 400, 100).difference(shapely.box(320, 20, 380, 80))
    areas = [
        *boxes,
        ring,
        shapely.box(340, 40, 360, 60),
        shapely.MultiPolygon([boxes[0], shapely.box(500, 0, 501, 1)]),
    ]
    found = joined(areas)
    assert found.is_valid
    assert found.equals(merged(areas))
    assert joined([]).is_empty
    assert joined(boxes[:1]).equals(boxes[0])
