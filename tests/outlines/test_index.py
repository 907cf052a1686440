"""What lies where, held to what shapely says of all outlines one by one."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPolygon, Point, box

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.outlines import OutlineIndex, index

numbers = st.integers(0, 60)


@st.composite
def shapes(draw):
    """A box or a line in a small field, so that they often meet."""
    x, y, width, height = (draw(numbers) for _ in range(4))
    if draw(st.booleans()):
        return LineString([(x, y), (x + width + 1, y + height)])
    return box(x, y, x + width + 1, y + height + 1)


def plain_hit(shown, x, y, reach):
    """Ids of all that a point may mean, best first, told without a tree; `shown` in the order of putting."""
    point, found = Point(x, y), []
    for age, (identity, shape) in enumerate(shown.items()):
        distance = shape.distance(point)
        if distance <= reach:
            rank = 0 if shape.area == 0 else 1 if distance == 0 else 2
            found.append((rank, shape.area if rank == 1 else distance, -age, identity))
    return min(found)[3] if found else None


def test_a_set_is_indexed_by_the_numbers_of_its_shapes():
    found = OutlineIndex.of(
        AnnotationSet(
            (
                Annotation("B", "polygon", box(0, 0, 1, 1)),
                Annotation("A", "line", LineString([(0, 0), (9, 9)])),
            )
        )
    )
    assert found.ids() == (0, 1)
    assert found.labels == ("B", "A")
    assert (found.label(1), found.geometry(1).length) == ("A", pytest.approx(9 * 2**0.5))
    assert found.counts() == {"B": 1, "A": 1}
    assert found.extent() == (9, 9)


def test_without_outlines_nothing_is_found():
    empty = OutlineIndex([], [])
    assert len(empty) == 0
    assert empty.at(1, 1, 5) is None
    assert len(empty.found(0, 0, 9, 9)) == 0
    assert empty.extent() == (0, 0)
    empty.replace({"a": (box(0, 0, 2, 2), "A")})
    assert empty.at(1, 1) == "a"


def test_the_smallest_area_that_holds_a_point_is_meant():
    region, nucleus, line = box(0, 0, 100, 100), box(40, 40, 50, 50), LineString([(0, 45), (100, 45)])
    both = OutlineIndex([nucleus, region], ["N", "R"], ["nucleus", "region"])
    assert [both.at(45, 45), both.at(60, 60), both.at(101, 50), both.at(101, 50, 2)] == [
        "nucleus",
        "region",
        None,
        "region",
    ]
    both.replace({"line": (line, "L")})
    assert [both.at(45, 46, 2), both.at(45, 48, 2)] == ["line", "nucleus"]


def test_a_hole_is_not_hit():
    ring = box(0, 0, 30, 30).difference(box(10, 10, 20, 20))
    two = MultiPolygon([box(50, 0, 60, 10), box(70, 0, 80, 10)])
    found = OutlineIndex([ring, two], ["A", "B"])
    assert [found.at(5, 5), found.at(15, 15), found.at(65, 5), found.at(75, 5)] == [0, None, None, 1]


@settings(deadline=None)
@example([], [(0, LineString([(0, 0), (1, 0)]))], set(), (0, 0), 0, 2)
@given(
    first=st.lists(shapes(), max_size=12),
    later=st.lists(st.tuples(st.integers(0, 15), st.none() | shapes()), max_size=12),
    hidden=st.sets(st.integers(0, 15)),
    point=st.tuples(numbers, numbers),
    reach=st.sampled_from([0, 1.5, 7]),
    most=st.sampled_from([2, 4096]),
)
def test_after_any_changes_the_same_is_found_as_by_looking_at_all(first, later, hidden, point, reach, most):
    known = dict(enumerate(first))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "MAX_CHANGED", most)
        made = OutlineIndex(first, ["A"] * len(first))
        for identity, shape in later:
            made.replace({identity: None if shape is None else (shape, "B")})
            known.pop(identity, None)
            if shape is not None:
                known[identity] = shape
        gone = hidden & set(known)
        made.set_shown(gone, False)
    shown = {identity: shape for identity, shape in known.items() if identity not in gone}
    assert set(made.ids()) == set(known)
    assert made.at(*point, reach) == plain_hit(shown, *point, reach)
    left, top = point
    area = box(left, top, left + 20, top + 20)
    # By numbers: GEOS says of a flat box on the border neither that it is covered nor that it is not.
    x0, y0, x1, y1 = area.bounds
    bounds = {identity: shape.bounds for identity, shape in shown.items()}
    touching = {n for n, b in bounds.items() if b[0] <= x1 and b[2] >= x0 and b[1] <= y1 and b[3] >= y0}
    within = {n for n, b in bounds.items() if x0 <= b[0] and b[2] <= x1 and y0 <= b[1] and b[3] <= y1}
    assert sorted(g.wkb for g in made.found(*area.bounds).geometries) == sorted(
        shown[n].wkb for n in touching
    )
    assert set(made.inside(*area.bounds)) == within


def test_changes_tell_where_they_are_seen():
    made = OutlineIndex([box(0, 0, 10, 10), box(50, 50, 60, 60)], ["A", "A"], ["a", "b"])
    boxes = made.replace({"a": (box(20, 20, 30, 30), "B"), "c": (box(1, 1, 2, 2), "C"), "b": None, "d": None})
    assert sorted(map(tuple, boxes)) == [(0, 0, 10, 10), (1, 1, 2, 2), (20, 20, 30, 30), (50, 50, 60, 60)]
    assert made.counts() == {"B": 1, "C": 1}
    assert "b" not in made
    assert made.label("a") == "B"


def test_hidden_outlines_are_found_nowhere_until_they_are_shown_again():
    made = OutlineIndex([box(0, 0, 10, 10), box(50, 50, 60, 60)], ["A", "A"], ["a", "b"])
    assert made.set_shown(["a"], False).tolist() == [[0, 0, 10, 10]]
    assert made.set_shown(["a"], False).tolist() == []
    assert made.at(5, 5) is None
    assert "a" in made
    assert made.set_shown(["a", "b"], True).tolist() == [[0, 0, 10, 10]]
    assert made.at(5, 5) == "a"


def test_what_was_replaced_is_let_go(monkeypatch):
    monkeypatch.setattr(index, "MAX_CHANGED", 10)
    made = OutlineIndex([box(n, 0, n + 1, 1) for n in range(5)], ["A"] * 5)
    made.set_shown([4], False)
    for n in range(40):
        made.replace({0: (Point(n, 50).buffer(3), "A")})
    assert len(made._geometries) < 20
    assert [made.at(39, 50), made.at(1.5, 0.5), made.at(4.5, 0.5)] == [0, 1, None]


def test_outlines_ids_and_labels_must_be_as_many():
    with pytest.raises(ValueError, match="as many"):
        OutlineIndex([box(0, 0, 1, 1)], ["A", "B"])


def test_many_points_are_told_at_once():
    """A hit test that looked at all outlines would take minutes here."""
    corners = np.random.default_rng(0).uniform(0, 60_000, (50_000, 2))
    made = OutlineIndex(shapely.box(*corners.T, *(corners + 20).T), ["N"] * len(corners))
    middle = corners[::50] + 10
    hits = [made.at(x, y) for x, y in middle]
    assert all(corners[hit][0] <= x <= corners[hit][0] + 20 for hit, (x, _) in zip(hits, middle, strict=True))
