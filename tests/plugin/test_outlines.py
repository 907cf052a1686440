"""Areas with holes and parts survive being one loop of vertices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Point, Polygon, box

from napari_nic.plugin.outlines import from_loop, to_loop

sides = st.integers(1, 9)


@st.composite
def areas(draw: st.DrawFn) -> Polygon | MultiPolygon:
    """One to four boxes in a row, each with up to three holes."""
    parts = []
    for index in range(draw(st.integers(1, 4))):
        part = box(0, 0, 100, draw(st.integers(20, 60)))
        for hole in range(draw(st.integers(0, 3))):
            left = 5 + 30 * hole
            part = part.difference(box(left, 5, left + draw(sides), 5 + draw(sides)))
        parts.append(translate(part, 150 * index, draw(st.integers(-20, 20))))
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


@given(areas())
def test_round_trip(area):
    back = from_loop(to_loop(area))
    assert back.equals(area)
    assert back.geom_type == area.geom_type


def test_vertices_are_row_first():
    assert to_loop(box(1, 2, 30, 40)).max(axis=0).tolist() == [40, 30]


def test_plain_outline_is_not_closed_twice():
    assert len(to_loop(box(0, 0, 1, 1))) == 4


def test_crossing_outline_is_repaired():
    bow_tie = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float)
    area = from_loop(bow_tie)
    assert area.is_valid
    assert area.area == 50


def test_too_few_vertices_enclose_nothing():
    assert from_loop(np.array([(0, 0), (5, 5)], float)).is_empty


def test_hole_of_many_vertices():
    ring = Point(50, 50).buffer(40).difference(Point(50, 50).buffer(20))
    assert from_loop(to_loop(ring)).symmetric_difference(ring).area < 1e-9
