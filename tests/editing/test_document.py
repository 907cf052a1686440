"""Edits of a document: applied, taken back, made anew, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, box

from napari_nic.annotations import UNCLASSIFIED, UNCLASSIFIED_COLOR, Annotation, AnnotationSet
from napari_nic.editing import (
    AnnotationObject,
    Document,
    DrawingClass,
    Edit,
    ObjectsRead,
    classes_of,
    object_of,
    objects_of,
)
from napari_nic.errors import LockedAnnotationError

RED = (255, 0, 0)


def square(label: str = "tumor", at: float = 0.0) -> AnnotationObject:
    return AnnotationObject.new(Annotation(label, "rectangle", box(at, 0, at + 10, 10)))


def test_what_is_put_is_there_and_marked() -> None:
    document = Document(author="Anna")
    item = square()
    edit = document.put("draw", item)
    assert document[item.id] == item
    assert document[item.id].edited.by == "Anna"
    assert document[item.id].edited.at.endswith("+00:00")
    assert edit.before == {item.id: None}
    assert [entry.name for entry in document.classes] == ["tumor"]


def test_undo_and_redo_lead_through_all_states() -> None:
    document = Document()
    first, second = square(), square("stroma", 20)
    document.put("draw", first)
    document.put("draw", second)
    document.put("change class", first.with_label("stroma"))
    document.remove("delete", first.id)
    assert document.undo_title == "delete"
    states = [document.objects()]
    while document.undo() is not None:
        states.append(document.objects())
    assert [len(state) for state in states] == [1, 2, 2, 1, 0]
    assert document.classes == ()
    for state in states[-2::-1]:
        assert document.redo() is not None
        assert document.objects() == state
    assert document.redo() is None
    assert document.objects() == (second,)


def test_what_comes_back_comes_to_its_old_place() -> None:
    items = [square(at=20.0 * n) for n in range(4)]
    document = Document(items)
    document.remove("delete", items[1].id)
    document.put("draw", square(at=200))
    document.undo()
    document.undo()
    assert [item.id for item in document.objects()] == [item.id for item in items]


def test_a_new_edit_ends_what_could_be_redone() -> None:
    document = Document()
    document.put("draw", square())
    document.undo()
    document.put("draw", square("stroma"))
    assert document.redo() is None
    assert document.redo_title == ""


def test_an_edit_that_changes_nothing_is_no_step() -> None:
    item = square()
    document = Document([item])
    document.put("move", item)
    document.set_classes("classes", document.classes)
    assert document.undo_title == ""
    assert document.revision == 0


def test_history_is_bounded() -> None:
    document = Document(history=3)
    for number in range(5):
        document.put("draw", square(at=20.0 * number))
    undone = 0
    while document.undo() is not None:
        undone += 1
    assert (undone, len(document)) == (3, 2)


def test_a_locked_object_is_not_edited_but_unlocked() -> None:
    item = replace(square(), locked=True)
    document = Document([item])
    with pytest.raises(LockedAnnotationError, match="unlock it first"):
        document.remove("delete", item.id)
    with pytest.raises(LockedAnnotationError):
        document.put("unlock", replace(item.with_label("stroma"), locked=False))
    assert document.objects() == (item,)
    document.put("unlock", replace(item, locked=False))
    document.remove("delete", item.id)
    assert len(document) == 0


def test_one_locked_object_refuses_the_whole_edit() -> None:
    locked, free = replace(square(), locked=True), square(at=30)
    document = Document([locked, free])
    with pytest.raises(LockedAnnotationError):
        document.remove("delete", free.id, locked.id)
    assert len(document) == 2


def test_objects_of_a_locked_class_are_not_edited() -> None:
    item = square()
    document = Document([item], [DrawingClass("tumor", RED, locked=True)])
    with pytest.raises(LockedAnnotationError, match="unlock class tumor first"):
        document.put("change class", item.with_label("stroma"))
    document.set_classes("unlock", [DrawingClass("tumor", RED)])
    document.put("change class", item.with_label("stroma"))
    assert document[item.id].label == "stroma"


def test_what_is_not_there_cannot_be_removed() -> None:
    document = Document([square()])
    with pytest.raises(KeyError):
        document.remove("delete", "nobody")
    assert document.revision == 0


def test_classes_with_objects_stay() -> None:
    document = Document([square()], [DrawingClass("stroma", RED)])
    document.set_classes("classes", [])
    assert [entry.name for entry in document.classes] == ["tumor"]
    document.undo()
    assert [entry.name for entry in document.classes] == ["stroma", "tumor"]


def test_colours_are_those_of_object_class_and_name() -> None:
    own = replace(square(), color=(1, 2, 3))
    document = Document([own], [DrawingClass("tumor", RED)])
    assert document.color_of(own) == (1, 2, 3)
    assert document.color_of(square()) == RED
    assert document.color_of(square(UNCLASSIFIED)) == UNCLASSIFIED_COLOR


def test_watchers_hear_what_happened() -> None:
    document = Document()
    heard: list[Edit] = []
    end = document.watch(heard.append)
    edit = document.put("draw", square())
    document.undo()
    document.redo()
    end()
    document.undo()
    assert heard == [edit, edit.inverse, edit]


def test_as_a_set_it_has_all_shapes_with_their_ids() -> None:
    drawn = square()
    read = AnnotationObject("theirs", Annotation("stroma", "point", Point(1, 2), id="theirs"))
    document = Document([drawn, read], [DrawingClass("tumor", RED)])
    found = document.as_set("here", with_ids=True)
    assert [annotation.id for annotation in found.annotations] == [drawn.id, "theirs"]
    assert found.colors["tumor"] == RED
    assert found.source == "here"
    assert [annotation.id for annotation in document.as_set().annotations] == ["", "theirs"], "of files alone"


def test_another_shape_has_no_old_measurements() -> None:
    item = replace(square(), measurements={"area": 100.0})
    assert item.with_geometry(box(0, 0, 1, 1)).measurements == {}
    assert item.with_label("stroma").measurements == {"area": 100.0}


@given(st.lists(st.tuples(st.sampled_from("pcr"), st.integers(0, 5)), max_size=30))
def test_any_edits_are_undone_to_the_beginning(actions: list[tuple[str, int]]) -> None:
    items = [square(at=20.0 * n) for n in range(6)]
    document = Document(items[:3])
    before = (document.objects(), document.classes)
    for action, number in actions:
        item = items[number]
        if action == "p":
            document.put("draw", item)
        elif action == "c" and item.id in document:
            document.put("change class", document[item.id].with_label(f"class {number}"))
        elif action == "r" and item.id in document:
            document.remove("delete", item.id)
    after = (document.objects(), document.classes)
    while document.undo() is not None:
        pass
    assert (document.objects(), document.classes) == before
    while document.redo() is not None:
        pass
    assert (document.objects(), document.classes) == after


PARENTS = st.one_of(st.just(""), st.sampled_from([f"id-{n}" for n in range(6)]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), PARENTS, st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 5), max_size=4), st.booleans(), st.just("")),
        st.tuples(st.sampled_from(["undo", "redo"]), st.just(0), st.just(""), st.just("")),
    ),
    max_size=25,
)


@given(steps=STEPS)
def test_order_children_and_classes_are_those_of_the_objects(steps) -> None:
    """What is counted along is what one would find by looking through all objects."""
    document = Document()
    for step, what, more, label in steps:
        if step == "put" and more != f"id-{what}":
            document.put("put", AnnotationObject(f"id-{what}", square(label).annotation, parent=more))
        elif step == "remove":
            there = [f"id-{n}" for n in what if f"id-{n}" in document]
            if not any(document[identity].parent in there for identity in there):  # no circles
                document.remove("remove", *there, with_children=bool(more))
        elif step == "undo":
            document.undo()
        elif step == "redo":
            document.redo()
        ranks = [document.ranks[identity] for identity in document]
        assert ranks == sorted(ranks)
        for parent in (f"id-{n}" for n in range(6)):
            own = [item.id for item in document.objects() if item.parent == parent]
            assert set(own) <= set(document.children(parent)) | {parent}
        document.set_classes("tidy", ())
        assert {entry.name for entry in document.classes} == {item.label for item in document.objects()}
        document.undo()


def read_set(*, parent: str = "") -> AnnotationSet:
    extra = {"parent": parent} if parent else {}
    shapes = [
        Annotation(f"class {n % 3}", "rectangle", box(n, 0, n + 1, 1), id=f"id-{n}" if n % 2 else "")
        for n in range(9)
    ]
    return AnnotationSet((*shapes, Annotation("child", "rectangle", box(0, 0, 2, 2), extra=extra)))


@pytest.mark.parametrize("parent", ["", "id-1"])
@pytest.mark.parametrize("before", [(), ("class 1",), ("other", "class 0")])
def test_many_objects_are_taken_in_as_they_are_one_by_one(parent: str, before: tuple[str, ...]) -> None:
    found, documents, told = read_set(parent=parent), [], []
    for prepared in (False, True):
        document = Document([square(label, 100) for label in before])
        document.watch(told.append)
        if prepared:
            document.admit_read("open", ObjectsRead.of(found), classes_of(found))
        else:
            document.admit("open", objects_of(found)[0], classes_of(found))
        documents.append(document)
    one, many = documents
    assert [o for o in one.objects() if o.label not in before] == [
        o for o in many.objects() if o.label not in before
    ]
    assert len(one) == len(many)
    assert one.classes == many.classes
    assert one.revision == many.revision == 1
    assert list(one.ranks.values()) == list(many.ranks.values())
    assert many.children("id-1") == one.children("id-1")
    slow, fast = told
    assert (slow.before, slow.after, slow.is_read) == (dict(fast.before), dict(fast.after), fast.is_read)
    assert (slow.classes_before, slow.classes_after) == (fast.classes_before, fast.classes_after)
    many.put("change", many["id-3"].with_label("new"))
    many.undo()
    assert many.objects()[-1].label == "child"
    many.set_classes("none", [])
    assert {entry.name for entry in many.classes} == {o.label for o in many.objects()}, "labels are counted"


def test_objects_that_are_there_already_are_replaced_and_nothing_twice() -> None:
    read = ObjectsRead.of(read_set())
    document = Document()
    assert document.has_none(read.by_id)
    document.admit_read("open", read)
    assert document.has_all(read.by_id.keys())
    revision = document.revision
    document.admit_read("open", read)
    assert document.revision == revision
    document.remove("delete", "id-1")
    assert not document.has_all(read.by_id.keys())
    document.admit_read("open", read)
    assert [item.id for item in document.objects()] == list(read.by_id), "it came to its old place"


def test_what_several_shapes_say_alike_is_understood_for_each_of_them() -> None:
    alike, own = {"properties": {"objectType": "cell"}}, {"properties": {"isLocked": True, "a": 1}}
    shapes = [
        Annotation("T", "rectangle", box(n, 0, n + 1, 1), id=f"{n}", extra=(alike, own, {})[n % 3])
        for n in range(12)
    ]
    found, _ = objects_of(AnnotationSet(tuple(shapes)))
    assert found == tuple(object_of(shape, shape.id) for shape in shapes)
    assert [item.locked for item in found] == [False, True, False] * 4
    assert [item.annotation is shape for item, shape in zip(found, shapes, strict=True)] == [
        True,
        False,
        True,
    ] * 4


def test_objects_and_classes_change_as_one_step() -> None:
    document = Document()
    item = square()
    document.put("draw", item)
    heard: list[Edit] = []
    document.watch(heard.append)
    wanted = [replace(entry, name="carcinoma") for entry in document.classes]
    document.put("rename class tumor", item.with_label("carcinoma"), classes=wanted)
    assert len(heard) == 1
    assert [entry.name for entry in document.classes] == ["carcinoma"]
    assert document.classes == tuple(wanted)
    document.undo()
    assert [entry.name for entry in document.classes] == ["tumor"]
    assert document[item.id].label == "tumor"
    document.put("only classes", classes=[DrawingClass("stroma", RED)])
    assert [entry.name for entry in document.classes] == ["stroma", "tumor"], "those of objects are kept"
