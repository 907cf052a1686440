"""Three versions of objects: nothing that either side did is lost without a question."""

from __future__ import annotations

import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, merge

NAMES = ("a", "b", "c")


def item(name: str, at: int) -> AnnotationObject:
    return AnnotationObject(name, Annotation("tumor", "rectangle", shapely.box(at, 0, at + 1, 1), id=name))


def side(**places: int) -> dict[str, AnnotationObject]:
    return {name: item(name, at) for name, at in places.items()}


def test_what_one_side_did_is_taken():
    base = side(a=0, b=0, c=0)
    done = merge(base, side(a=1, b=0, c=0), side(a=0, b=2, d=5))
    assert [one.id for one in done.added] == ["d"]
    assert done.changed == (item("b", 2),)
    assert done.removed == ("c",)
    assert done.conflicts == ()
    assert done.describe() == "1 added, 1 changed, 1 removed"


def test_the_same_on_both_sides_is_no_conflict():
    assert merge(side(a=0, b=0), side(a=7), side(a=7)).is_nothing
    assert merge({}, side(n=3), side(n=3)).is_nothing


def test_conflicts_are_decided_as_the_user_says():
    base = side(a=0, b=0, c=0)
    done = merge(base, side(a=1, b=1), side(a=2, c=2))
    assert [(c.ours and c.ours.id, c.theirs and c.theirs.id) for c in done.conflicts] == [
        ("a", "a"),
        ("b", None),
        (None, "c"),
    ]
    assert done.resolved("ours") == ((), ())
    put, removed = done.resolved("theirs")
    assert put == (item("a", 2), item("c", 2))
    assert removed == ("b",)
    put, removed = done.resolved("both")
    assert [one.annotation.geometry.bounds[0] for one in put] == [2, 2]
    assert put[0].id not in base
    assert put[1].id == "c"
    assert removed == ()


def test_what_a_format_rounded_when_we_wrote_it_was_not_changed_by_us():
    ours = {"a": item("a", 0).with_geometry(shapely.box(0.2, 0, 1, 1))}
    rounded, theirs = side(a=0), side(a=4)
    assert merge(rounded, ours, theirs).conflicts
    done = merge(rounded, ours, theirs, ours_before=ours)
    assert (len(done.changed), done.conflicts) == (1, ())


versions = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, st.integers(0, 2))).map(
    lambda d: side(**d)
)


@given(versions, versions, versions)
def test_any_three_versions(base, ours, theirs):
    done = merge(base, ours, theirs)
    put, removed = done.resolved("ours")
    result = {**ours, **{one.id: one for one in put}}
    for identity in removed:
        del result[identity]
    for name in NAMES:
        was, here, there = base.get(name), ours.get(name), theirs.get(name)
        assert result.get(name) == (there if here == was else here)
    put, removed = done.resolved("theirs")
    result = {**ours, **{one.id: one for one in put}}
    for identity in removed:
        del result[identity]
    for name in NAMES:
        was, here, there = base.get(name), ours.get(name), theirs.get(name)
        assert result.get(name) == (here if there == was else there)
