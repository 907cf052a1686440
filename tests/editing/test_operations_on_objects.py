"""Operations on a document's objects: one step each, which undo takes back whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import shapely
from shapely.geometry import LineString, Point, box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, Document
from napari_nic.editing.operations import objects
from napari_nic.errors import AnnotationError, LockedAnnotationError
from napari_nic.geometry import PixelSize

PIXEL = PixelSize(0.5, 0.5)


def area(shape, label="tumor", **marks):
    return AnnotationObject.new(Annotation(label, "rectangle", shape, name="mine", id="file-id"), **marks)


@pytest.fixture
def two():
    return [area(box(0, 0, 10, 10), color=(1, 2, 3)), area(box(5, 5, 15, 15), "stroma")]


def test_merging_leaves_the_first_one_in_the_shape_of_both(two):
    document = Document(two)
    objects.merge(two).apply_to(document)
    (left,) = document.objects()
    assert (left.id, left.label, left.color) == (two[0].id, "tumor", (1, 2, 3))
    assert left.annotation.kind == "polygon"
    assert left.annotation.geometry.area == 175
    document.undo()
    assert document.objects() == tuple(two)


def test_subtracting_keeps_the_others(two):
    document = Document(two)
    objects.subtract(two).apply_to(document)
    assert [item.annotation.geometry.area for item in document.objects()] == [75, 100]
    assert document.undo_title == "subtract"


def test_holes_are_filled_where_there_are_any(two):
    ring = area(box(0, 0, 10, 10).difference(box(4, 4, 6, 6)))
    step = objects.fill_holes([ring, two[0]])
    assert [item.id for item in step.put] == [ring.id]
    assert step.put[0].annotation.geometry.area == 100
    with pytest.raises(AnnotationError, match="no selected object has holes"):
        objects.fill_holes(two)


def test_growing_and_shrinking_are_in_micrometres(two):
    grown = objects.expand(two[:1], 5, PIXEL)
    assert grown.title == "expand by 5 um"
    assert grown.put[0].annotation.geometry.bounds == (-10, -10, 20, 20)
    shrunk = objects.expand(two[:1], -1, PIXEL)
    assert shrunk.title == "shrink by 1 um"
    assert shrunk.put[0].annotation.geometry.bounds == (2, 2, 8, 8)


def test_simplifying_works_on_lines_too():
    line = AnnotationObject.new(Annotation("a", "line", LineString([(0, 0), (5, 0.1), (10, 0)])))
    (thin,) = objects.simplify([line], 1, PIXEL).put
    assert thin.annotation.kind == "line"
    assert len(shapely.get_coordinates(thin.annotation.geometry)) == 2


def test_a_cut_makes_objects_of_the_same_class(two):
    document = Document(two)
    objects.split_by_line(two, LineString([(5, -5), (5, 50)])).apply_to(document)
    assert [item.label for item in document.objects()] == ["tumor", "stroma", "tumor"]
    assert len({item.id for item in document.objects()}) == 3
    assert document.objects()[2].annotation.id == ""
    assert sum(item.annotation.geometry.area for item in document.objects()) == 200
    with pytest.raises(AnnotationError, match="cuts through no object"):
        objects.split_by_line(two, LineString([(50, 50), (60, 60)]))


def test_the_inverse_is_an_object_of_the_given_class(two):
    (rest,) = objects.invert(two, box(0, 0, 20, 20), "background").put
    assert (rest.label, rest.annotation.geometry.area) == ("background", 225)
    assert rest.annotation.id == ""


def test_copies_have_ids_of_their_own_and_are_free(two):
    locked = replace(two[0], locked=True)
    (copy,) = objects.duplicate([locked]).put
    assert copy.id != locked.id
    assert not copy.locked
    assert copy.annotation == replace(locked.annotation, id="")
    with pytest.raises(AnnotationError):
        objects.duplicate([])


def test_transferred_and_carried_copies_keep_their_micrometres(two):
    there = PixelSize(0.25, 0.25)
    (moved,) = objects.transfer(two[0], (100, 200), PIXEL, there).put
    assert moved.annotation.geometry.bounds == (90, 190, 110, 210)
    (carried,) = objects.carry(two[1:], PIXEL, there).put
    assert carried.annotation.geometry.bounds == (10, 10, 30, 30)


def test_locks_are_set_and_taken_off(two):
    document = Document(two)
    objects.set_locks(two, locked=True).apply_to(document)
    with pytest.raises(LockedAnnotationError):
        objects.merge(document.objects()).apply_to(document)
    objects.set_locks(document.objects(), locked=False).apply_to(document)
    objects.merge(document.objects()).apply_to(document)
    assert len(document) == 1


def test_too_few_areas_are_told(two):
    point = AnnotationObject.new(Annotation("a", "point", Point(1, 1)))
    with pytest.raises(AnnotationError, match="1 of 2 selected objects"):
        objects.merge([two[0], point])
    with pytest.raises(AnnotationError, match="to expand takes an area"):
        objects.expand([point], 5, PIXEL)
