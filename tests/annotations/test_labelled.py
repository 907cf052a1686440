"""Cells that a shape labels, against shapely and the shares of patches."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import Annotation, AnnotationSet, labelled_cells, patch_share
from napari_nic.annotations import labelled as module
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken

SIDE = 640


def make_grid(stride: int = 16) -> PatchGrid:
    return PatchGrid.plan(
        [LevelGeometry(SIDE, SIDE)], PixelSize(0.5, 0.5, "test"), patch_size=16, stride=stride
    )


def labelled(geometry: shapely.Geometry, kind: str = "polygon", stride: int = 16, **options: float):
    cells = labelled_cells(Annotation("a", kind, geometry), make_grid(stride), **options)
    return set(map(tuple, cells.tolist()))


blobs = st.builds(
    lambda x, y, r, n: shapely.Point(x, y).buffer(r, quad_segs=n),
    st.floats(-40, SIDE + 40),
    st.floats(-40, SIDE + 40),
    st.floats(20, 200),
    st.integers(1, 5),
)


@settings(deadline=None, max_examples=40)
@given(blob=blobs, stride=st.sampled_from([16, 8, 24]), share=st.sampled_from([0.25, 0.5, 1.0]))
def test_an_area_labels_the_patches_that_it_covers_to_a_share(blob, stride, share):
    exact = patch_share(AnnotationSet((Annotation("a", "polygon", blob),)), make_grid(stride))
    sure = set(map(tuple, np.argwhere(exact > share + 1e-4).tolist()))
    maybe = set(map(tuple, np.argwhere(exact >= share - 1e-4).tolist()))
    found = labelled(blob, stride=stride, least_share=share)
    assert sure <= found
    assert found <= maybe or (not maybe and len(found) <= 1)


def test_an_area_smaller_than_half_a_patch_labels_the_one_that_it_covers_most():
    assert labelled(shapely.box(30, 33, 36, 40)) == {(2, 2)}
    assert labelled(shapely.box(1000, 1000, 1010, 1010)) == set()


def test_half_a_patch_is_enough():
    assert labelled(shapely.box(16, 16, 32, 24)) == {(1, 1)}
    assert labelled(shapely.box(8, 16, 24, 32)) == {(1, 0), (1, 1)}


def test_holes_are_not_labelled():
    ring = shapely.box(0, 0, 80, 80) - shapely.box(16, 16, 64, 64)
    found = labelled(ring)
    assert (0, 0) in found
    assert (2, 2) not in found
    assert len(found) == 16


@settings(deadline=None, max_examples=40)
@example(points=[(16.0, 20.0), (16.0, 60.0)])  # along a border
@example(points=[(20.0, 32.0), (90.0, 70.0)])  # begins on one
@given(
    points=st.lists(st.tuples(st.floats(-20, SIDE + 20), st.floats(-20, SIDE + 20)), min_size=2, max_size=6)
)
def test_a_line_labels_the_cells_that_it_touches(points):
    line = shapely.LineString(points)
    grid = make_grid()
    wanted = {
        (row, col)
        for row in range(grid.rows)
        for col in range(grid.cols)
        if line.intersects(shapely.box(col * 16, row * 16, col * 16 + 16, row * 16 + 16))
    }
    assert labelled(line, "line") == wanted


def test_points_label_the_cells_that_hold_them():
    points = shapely.MultiPoint([(0, 0), (15.9, 15.9), (16, 16), (-1, 5), (639.9, 639.9), (640, 5)])
    assert labelled(points, "points") == {(0, 0), (1, 1), (39, 39)}
    assert labelled(shapely.Point(40, 20), "point") == {(1, 2)}


def test_bands_of_rows_change_nothing(monkeypatch):
    blob = shapely.Point(300, 300).buffer(150)
    before = labelled(blob), labelled(blob.exterior, "line")
    monkeypatch.setattr(module, "BOXES_AT_ONCE", 50)
    assert (labelled(blob), labelled(blob.exterior, "line")) == before


def test_it_can_be_cancelled():
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        labelled_cells(Annotation("a", "polygon", shapely.box(0, 0, 90, 90)), make_grid(), token=token)


@pytest.mark.parametrize("share", [0, -1, 1.1])
def test_a_share_that_means_nothing_is_refused(share):
    with pytest.raises(InvalidParameterError, match="share of a patch"):
        labelled(shapely.box(0, 0, 90, 90), least_share=share)
