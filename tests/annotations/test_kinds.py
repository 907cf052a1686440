"""Ellipses are had back from their outlines; kinds stay true when a shape is edited."""

from __future__ import annotations

import math

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity

from napari_nic.annotations import Ellipse, ellipse_of, ellipse_outline, true_kind

RADII = st.floats(0.5, 20_000)
TURN = st.floats(-10, 10)
PLACE = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))


@given(centre=PLACE, a=RADII, share=st.floats(0.05, 1), turn=TURN, begin=st.integers(0, 127))
def test_an_ellipse_is_had_back_from_its_corners(centre, a, share, turn, begin):
    outline = ellipse_outline(centre, (a, a * share), turn)
    corners = list(outline.exterior.coords)[:-1]
    found = ellipse_of(shapely.Polygon(corners[begin:] + corners[:begin]))
    assert found is not None
    assert abs(found.angle) <= math.pi / 4 + 1e-6
    assert sorted(found.radii) == pytest.approx(sorted((a, a * share)), rel=1e-4)
    again = ellipse_outline(found.centre, found.radii, found.angle)
    assert shapely.symmetric_difference(outline, again).area <= 0.01 * outline.area  # 128 corners elsewhere


@given(a=RADII, share=st.floats(0.05, 1), turn=TURN, x=st.floats(0.2, 4), y=st.floats(0.2, 4))
def test_also_of_one_that_was_stretched(a, share, turn, x, y):
    stretched = affinity.scale(ellipse_outline((0, 0), (a, a * share), turn), x, y, origin=(0, 0))
    found = ellipse_of(stretched)
    assert found is not None
    area = math.pi * a * a * share * x * y
    assert found.radii[0] * found.radii[1] * math.pi == pytest.approx(area, rel=1e-6)
    rings = shapely.LineString(stretched.exterior.coords)
    fine = ellipse_outline(found.centre, found.radii, found.angle).exterior
    assert shapely.hausdorff_distance(rings, fine) <= 0.02 * max(found.radii)


def test_upright_ones_and_circles_are_told():
    assert ellipse_of(ellipse_outline((5, 6), (4, 3))) == Ellipse(
        pytest.approx((5, 6)), pytest.approx((4, 3)), 0.0
    )
    quarter = ellipse_of(ellipse_outline((5, 6), (4, 3), math.pi / 2))
    assert quarter is not None
    assert not quarter.is_turned
    assert quarter.radii == pytest.approx((3, 4))
    circle = ellipse_of(ellipse_outline((5, 6), (4, 4), 0.7))
    assert circle is not None
    assert circle.is_circle
    assert not circle.is_turned
    turned = ellipse_of(ellipse_outline((5, 6), (4, 3), 0.2))
    assert turned is not None
    assert turned.is_turned
    assert turned.angle == pytest.approx(0.2)


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(0, 0, 4, 4),
        shapely.Polygon([(0, 0), (4, 0), (2, 3)]),
        shapely.Point(0, 0),
        shapely.MultiPolygon([shapely.box(0, 0, 4, 4)]),
        shapely.Polygon(ellipse_outline((0, 0), (9, 9)).exterior, [shapely.box(-1, -1, 1, 1).exterior]),
        shapely.Polygon(),
        shapely.Polygon([(math.cos(t), math.sin(t) * 0) for t in range(20)]),
    ],
)
def test_what_is_none(shape):
    assert ellipse_of(shape) is None


def test_kinds_follow_what_becomes_of_a_shape():
    box, ring = shapely.box(0, 0, 4, 3), ellipse_outline((0, 0), (9, 4))
    arrow, bent = shapely.LineString([(0, 0), (3, 4)]), shapely.LineString([(0, 0), (3, 4), (9, 9)])
    assert true_kind("rectangle", box) == "rectangle"
    assert true_kind("rectangle", affinity.rotate(box, 20)) == "polygon"
    assert true_kind("ellipse", affinity.rotate(ring, 20)) == "ellipse"
    assert true_kind("ellipse", ring.difference(box)) == "polygon"
    assert true_kind("arrow", arrow) == "arrow"
    assert true_kind("arrow", bent) == "line"
    assert true_kind("arrow", shapely.MultiLineString([arrow, bent])) == "line"
    assert true_kind("spline", box) == "spline"
    assert true_kind("points", shapely.Point(1, 2)) == "points"
