"""Labels that are painted with napari's brush are objects of the document, and edits come back as pixels."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from shapely.geometry import box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, DrawingClass
from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.label_objects import MOST_BYTES, LabelObjects, can_be_painted
from napari_nic.plugin.layer_looks import shown_classes

TWICE = np.array([[2.0, 0, 3], [0, 2.0, 5], [0, 0, 1]])
"""Pixels of the layer are twice as large as the slide's, and begin at (y 3, x 5)."""


@pytest.fixture
def documents(opened, runner):
    """The made slide, and what keeps layers and its document the same."""
    opened.settings.set("author", "tester")
    compressing = CompressController(opened, runner, TissueController(opened, runner))
    overlays = OverlayController(opened, compressing, ModelController(opened), runner)
    made = DocumentController(opened, runner)
    annotating = AnnotationController(opened, overlays, runner, documents=made)
    made.annotating = annotating
    made.document.set_classes("classes", (DrawingClass("tumor", (200, 0, 0)), DrawingClass("fat", (0, 9, 0))))
    made.set_current_class("tumor")
    yield made
    annotating.close()
    overlays.close()


@pytest.fixture
def layer(documents):
    """What napari's button "New labels layer" makes."""
    documents.session.viewer._new_labels()
    return documents.session.viewer.layers[-1]


def stroke(layer, rows, cols, value=None) -> None:
    """Paint a rectangle as one stroke of napari's."""
    with layer.block_history():
        chosen = layer.selected_label if value is None else value
        layer.data_setitem(tuple(np.mgrid[rows, cols].reshape(2, -1)), chosen)


def test_labels_that_are_too_large_to_be_followed_are_said_to_be(documents, answers, monkeypatch):
    monkeypatch.setattr("napari_nic.plugin.label_objects.MOST_BYTES", 2**20)
    documents.session.viewer.add_labels(np.zeros((1024, 1025), np.uint8), name="mine")
    assert annotation_tag(documents.session.viewer.layers["mine"]) is None
    assert "mine stays napari's own, since it is larger than 1 MiB" in answers.notices[-1]
    told = len(answers.notices)
    documents.session.viewer.add_labels(np.zeros((1024, 1024), np.uint8), name="small")
    assert annotation_tag(documents.session.viewer.layers["small"]).labels is not None
    assert len(answers.notices) == told


# -- strokes to areas ------------------------------------------------------------------------------------


def test_areas_are_exact_and_join_without_seams():
    labels, data = LabelObjects(np.zeros((100, 120), np.uint8)), np.zeros((100, 120), np.uint8)
    data[10:20, 30:50] = 3
    first = labels.areas(data, TWICE, {})
    assert first[3].equals(box(5 + 60, 3 + 20, 5 + 100, 3 + 40))
    labels.note(data, {3: 0})
    data[20:30, 30:50] = 3
    data[15:18, 40:44] = 4
    both = labels.areas(data, TWICE, first)
    whole = box(65, 23, 105, 63)
    hole = box(85, 33, 93, 39)
    assert both[4].equals(hole)
    assert both[3].equals(whole.difference(hole))
    assert len(both[3].exterior.coords) == 5, "two strokes have no seam"


def test_edits_come_back_to_the_pixel():
    labels, data = LabelObjects(np.zeros((60, 60), np.int32)), np.zeros((60, 60), np.int32)
    data[5:20, 5:20] = 1
    first = labels.areas(data, TWICE, {})
    labels.note(data, {1: 0})
    before = data.copy()
    data[10:30, 10:30] = 2
    second = labels.areas(data, TWICE, first)
    labels.note(data, {2: 1})
    after = data.copy()
    labels.put(data, {0: first[1]}, TWICE, [1])
    assert np.array_equal(data, before)
    labels.put(data, {0: second[1], 1: second[2]}, TWICE, [])
    assert np.array_equal(data, after)
    data[0, 0] = 9
    labels.put_back(data)
    assert np.array_equal(data, after)


def test_what_was_edited_elsewhere_is_painted_on_where_it_was_not():
    labels, data = LabelObjects(np.zeros((60, 60), np.uint8)), np.zeros((60, 60), np.uint8)
    data[5:20, 5:20] = 1
    labels.areas(data, np.eye(3), {})
    labels.note(data, {1: 0})
    moved = box(5.3, 5.3, 20.7, 20.7)
    labels.put(data, {0: moved}, np.eye(3), [])
    assert data[20, 20] == 1
    data[20, 30] = 1
    area = labels.areas(data, np.eye(3), {1: moved})[1]
    assert area.equals(moved.union(box(30, 20, 31, 21)))


def test_a_layer_that_is_moved_moves_its_objects():
    labels, data = LabelObjects(np.zeros((60, 60), np.uint8)), np.zeros((60, 60), np.uint8)
    data[5:20, 5:20] = 1
    first = labels.areas(data, np.eye(3), {})
    labels.note(data, {1: 0})
    assert labels.areas(data, TWICE, first)[1].equals(box(15, 13, 45, 43))
    other = np.zeros((90, 10), np.uint8)
    other[2:4, 2:4] = 1
    assert labels.areas(other, np.eye(3), first)[1].equals(box(2, 2, 4, 4)), "other pixels altogether"


def test_values_that_no_number_is_left_for_are_used_again():
    labels, data = LabelObjects(np.zeros((40, 300), np.uint8)), np.zeros((40, 300), np.uint8)
    areas = {number: box(number, 0, number + 1, 9) for number in range(255)}
    labels.put(data, areas, np.eye(3), [])
    assert len(np.unique(data)) == 256
    labels.put(data, {}, np.eye(3), [7])
    labels.put(data, {255: box(0, 20, 9, 30)}, np.eye(3), [])
    assert data[25, 5] == data[25, 0] != 0


def test_only_layers_that_can_be_followed_are_taken(opened):
    assert can_be_painted(Labels(np.zeros((5, 5), np.uint8)))
    assert not can_be_painted(Labels([np.zeros((8, 8), np.uint8), np.zeros((4, 4), np.uint8)]))
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (MOST_BYTES, 2), (0, 0))
    assert not can_be_painted(type("L", (), {"_type_string": "labels", "data": huge})())


# -- with the document -----------------------------------------------------------------------------------


def test_a_stroke_is_a_step_and_is_taken_back(documents, layer):
    document = documents.document
    stroke(layer, slice(100, 200), slice(300, 500))
    (item,) = document.objects()
    assert item.label == "tumor"
    assert item.annotation.geometry.equals(box(300, 100, 500, 200))
    assert documents.undo_title == "draw"
    assert [a.label for a in documents.annotating.annotations().annotations] == ["tumor"]
    stroke(layer, slice(150, 260), slice(300, 400))
    assert document.objects()[0].annotation.geometry.area == 20_000 + 60 * 100
    stroke(layer, slice(0, 300), slice(300, 350), value=0)
    assert documents.undo_title == "edit"
    for title in ("edit", "edit", "draw"):
        assert documents.undo_title == title
        documents.undo()
    assert document.objects() == ()
    assert not layer.data.any()
    for _ in range(2):
        documents.redo()
    assert np.count_nonzero(layer.data) == 26_000
    assert document.objects()[0].id == item.id


def test_a_polygon_is_told_before_it_is_painted_and_taken_in_all_the_same(documents, layer):
    layer.paint_polygon([(10, 10), (10, 110), (60, 110), (60, 10)], 1)
    documents.views.sync_all()
    (item,) = documents.document.objects()
    assert item.annotation.geometry.area == np.count_nonzero(layer.data) > 4000


def test_classes_are_numbers_and_a_number_is_picked_with_its_class(documents, layer):
    stroke(layer, slice(0, 10), slice(0, 10))
    documents.set_current_class("fat")
    assert layer.selected_label == 2
    assert np.allclose(layer.colormap.color_dict[None][:3], (0, 9 / 255, 0))
    stroke(layer, slice(5, 15), slice(5, 15))
    first, second = documents.document.objects()
    assert (first.label, second.label) == ("tumor", "fat")
    assert first.annotation.geometry.area == 75, "what is painted over is taken from the other one"
    layer.selected_label = 1
    assert documents.current_class == "tumor"
    assert shown_classes(layer) == {"tumor": (200, 0, 0), "fat": (0, 9, 0)}
    classes = [DrawingClass("tumor", (1, 2, 3)), DrawingClass("fat", (0, 9, 0), visible=False)]
    documents.document.set_classes("look", classes)
    assert shown_classes(layer) == {"tumor": (1, 2, 3)}
    documents.undo()
    documents.undo()
    assert documents.document.objects()[0].annotation.geometry.area == 100
    assert np.count_nonzero(layer.data) == 100


def test_objects_of_a_layer_are_edited_selected_and_deleted_elsewhere(documents, layer):
    stroke(layer, slice(0, 10), slice(0, 10))
    (item,) = documents.document.objects()
    documents.select([item.id])
    assert documents.selected == (item.id,)
    documents.document.put("edit", item.with_geometry(box(20, 20, 40, 40)))
    assert np.array_equal(np.argwhere(layer.data)[[0, -1]], [(20, 20), (39, 39)])
    documents.document.remove("delete", item.id)
    assert not layer.data.any()
    documents.undo()
    assert np.count_nonzero(layer.data) == 400
    assert [one.name for one in documents.session.viewer.layers] == ["made", "made - Labels"]


def test_what_is_locked_is_not_painted_over(documents, layer, answers):
    stroke(layer, slice(0, 10), slice(0, 10))
    (item,) = documents.document.objects()
    documents.document.put("lock", AnnotationObject(item.id, item.annotation, locked=True))
    before = layer.data.copy()
    stroke(layer, slice(5, 20), slice(5, 20), value=2)
    assert "locked" in str(answers.errors[0])
    assert np.array_equal(layer.data, before)
    assert len(documents.document) == 1


def test_keys_of_the_layer_undo_in_the_document(documents, layer):
    stroke(layer, slice(0, 10), slice(0, 10))
    keys = {str(key): do for key, do in layer.keymap.items()}
    keys["Ctrl+Z"](layer)
    assert len(documents.document) == 0
    keys["Ctrl+Shift+Z"](layer)
    assert len(documents.document) == 1
    layer.undo()
    assert layer.data.any(), "napari's own history would take back edits of others"


def test_what_a_removed_layer_showed_comes_back_as_shapes(documents, layer, tmp_path):
    stroke(layer, slice(0, 10), slice(0, 10))
    assert documents.annotating.save(tmp_path / "saved.geojson")
    viewer = documents.session.viewer
    viewer.layers.remove(layer)
    documents.annotating.ask_removed()
    assert len(documents.document) == 0
    documents.undo()
    (back,) = [one for one in viewer.layers if annotation_tag(one) is not None]
    assert back.name == "made - Labels"
    assert len(back.data) == 1
    assert documents.document.objects()[0].annotation.geometry.equals(box(0, 0, 10, 10))


def test_a_copy_of_a_layer_has_objects_of_its_own(documents, layer):
    stroke(layer, slice(0, 10), slice(0, 10))
    viewer = documents.session.viewer
    copy = Labels(layer.data.copy(), **{k: getattr(layer, k) for k in ("scale", "translate", "metadata")})
    viewer.add_layer(copy)
    assert len(documents.document) == 2
    stroke(copy, slice(50, 60), slice(0, 10), value=1)
    first, second = documents.document.objects()
    assert (first.annotation.geometry.area, second.annotation.geometry.area) == (100, 200)


def test_labels_that_hold_something_are_left_alone(documents):
    viewer = documents.session.viewer
    made = viewer.add_labels(np.ones((20, 20), np.uint8))
    assert annotation_tag(made) is None
    assert len(documents.document) == 0


def test_an_edge_of_a_painted_object_does_not_hide_another_annotation(documents, layer):
    """Shapes are housed in layers of shapes, though a painted layer is there."""
    item = AnnotationObject.new(Annotation("fat", "polygon", box(0, 0, 50, 50)))
    documents.document.put("draw", item)
    assert not layer.data.any()
    assert type(documents.session.viewer.layers[-1]).__name__ == "Shapes"
