"""One document behind all layers of a slide: edits go both ways, and the history is over all of them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from shapely import affinity
from shapely.geometry import MultiPoint, Point, box

from napari_nic.annotations import UNCLASSIFIED, Annotation, read_annotations
from napari_nic.editing import AnnotationObject
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController

BOX = np.array([(10.0, 10.0), (10, 50), (40, 50), (40, 10)])


@pytest.fixture
def annotating(opened, runner):
    tissue = TissueController(opened, runner)
    overlays = OverlayController(
        opened, CompressController(opened, runner, tissue), ModelController(opened), runner
    )
    made = AnnotationController(opened, overlays, runner)
    yield made
    made.close()
    overlays.close()


@pytest.fixture
def documents(annotating):
    return annotating.documents


@pytest.fixture
def shapes(annotating, outlines_file):
    annotating.open(outlines_file)
    return next(layer for layer in annotating.layers() if hasattr(layer, "shape_type"))


@pytest.fixture
def points(annotating, shapes):
    return next(layer for layer in annotating.layers() if layer is not shapes)


def draw(layer, vertices=BOX):
    layer.add(vertices, shape_type="polygon", gui=True)
    layer.events.data(value=layer.data, action="added", data_indices=(-1,), vertex_indices=((),))
    layer.events.features()


def move(layer, row, by):
    data = layer.data
    data[row] = data[row] + by
    layer.data = data


def geometry(documents, identity):
    return documents.document[identity].annotation.geometry


def new(label="Necrosis", geometry=None) -> AnnotationObject:
    return AnnotationObject.new(Annotation(label, "polygon", geometry or box(20, 30, 60, 90)))


def assert_layers_say_the_same(annotating):
    """What the layers hold is what the document holds, object for object."""
    document = annotating.documents.document
    shown = sorted((a.label, a.geometry.wkt) for a in annotating.annotations().annotations)
    kept = sorted((item.label, item.annotation.geometry.wkt) for item in document.objects())
    assert shown == kept


# -- layers -> document -------------------------------------------------------------------------------------


def test_what_a_file_holds_is_in_the_document_with_its_ids(annotating, documents, shapes):
    assert list(documents.document) == ["id-Tumour", "id-Stroma", "id-Mark"]
    assert documents.undo_title == "", "to open a file is no edit"
    assert documents.document.class_named("Tumour").color == (213, 94, 0)


def test_every_change_in_a_layer_is_one_edit(annotating, documents, shapes, points):
    heard = []
    documents.edited.connect(heard.append)
    draw(shapes)
    assert documents.undo_title == "draw"
    move(shapes, 0, 3)
    assert documents.undo_title == "edit"
    assert geometry(documents, "id-Tumour").bounds == (403, 303, 903, 703)
    shapes.selected_data = {1}
    shapes.remove_selected()
    assert documents.undo_title == "delete"
    assert "id-Stroma" not in documents.document
    shapes.selected_data = {0}
    annotating.set_class("Stroma")
    assert documents.undo_title == "change class"
    points.add((5, 7))
    assert documents.document.objects()[-1].annotation.geometry == Point(7, 5)
    assert [edit.title for edit in heard] == ["draw", "edit", "delete", "change class", "draw"]


def test_undo_and_redo_lead_through_what_napari_did(annotating, documents, shapes, points):
    states = [documents.document.objects()]
    draw(shapes)
    states.append(documents.document.objects())
    move(shapes, 0, 3)
    states.append(documents.document.objects())
    shapes.selected_data = {1}
    shapes.remove_selected()
    states.append(documents.document.objects())
    points.data = np.array(points.data) + 2
    states.append(documents.document.objects())
    shapes.selected_data = {0}
    annotating.set_class("Necrosis")
    states.append(documents.document.objects())
    for state in states[-2::-1]:
        assert documents.undo() is not None
        assert documents.document.objects() == state
        assert_layers_say_the_same(annotating)
    assert not annotating.unsaved.is_unsaved(shapes), "all is as it was read"
    for state in states[1:]:
        assert documents.redo() is not None
        assert documents.document.objects() == state
        assert_layers_say_the_same(annotating)


def test_an_undone_edit_changes_no_other_row(annotating, documents, shapes):
    untouched = shapes.data[1]
    colors = np.array(shapes.edge_color)
    move(shapes, 0, 3)
    documents.undo()
    assert np.array_equal(shapes.data[1], untouched)
    assert np.array_equal(shapes.edge_color, colors)


def test_what_comes_back_is_exactly_what_the_file_held(
    annotating, documents, shapes, outlines_file, tmp_path
):
    move(shapes, 0, 3.3)
    documents.undo()
    annotating.save(tmp_path / "again.geojson")
    before, after = read_annotations(outlines_file), read_annotations(tmp_path / "again.geojson")
    assert after.annotations == before.annotations


def test_a_shape_that_is_being_drawn_is_no_edit_yet(annotating, documents, shapes):
    shapes._is_creating = True
    shapes.add(BOX, shape_type="polygon", gui=True)
    shapes.events.data(value=shapes.data, action="changed", data_indices=(-1,), vertex_indices=((),))
    assert documents.undo_title == ""
    assert documents.undo() is None
    shapes._is_creating = False
    shapes.events.data(value=shapes.data, action="added", data_indices=(-1,), vertex_indices=((),))
    assert documents.undo_title == "draw"


def test_a_gesture_of_the_mouse_is_one_edit(annotating, documents, points):
    class Mouse:
        type = "mouse_press"

    event = Mouse()
    (gesture,) = [c for c in points.mouse_drag_callbacks if getattr(c, "func", None) is not None]
    running = gesture(points, event)
    next(running)
    event.type = "mouse_move"
    for step in (1, 2, 3):
        points.data = np.array(points.data) + step
        next(running)
    assert documents.undo_title == ""
    event.type = "mouse_release"
    with pytest.raises(StopIteration):
        next(running)
    assert documents.undo_title == "edit"
    documents.undo()
    assert geometry(documents, "id-Mark") == Point(50, 60)


def test_a_layer_that_is_moved_step_by_step_is_one_edit(annotating, documents, shapes):
    for step in (1.0, 2.0, 3.0):
        shapes.translate = np.array(shapes.translate) + step
        documents.views.sync_all()
    assert geometry(documents, "id-Stroma").bounds == (962, 312, 1112, 812)
    documents.undo()
    assert geometry(documents, "id-Stroma").bounds == (950, 300, 1100, 800)
    assert_layers_say_the_same(annotating)
    assert documents.undo_title == ""


def test_a_locked_object_is_put_back_where_it_was(annotating, documents, shapes, answers):
    document = documents.document
    document.put("lock", replace(document["id-Tumour"], locked=True))
    move(shapes, 0, 5)
    assert "locked" in str(answers.errors[-1])
    assert geometry(documents, "id-Tumour").bounds == (400, 300, 900, 700)
    assert_layers_say_the_same(annotating)
    shapes.selected_data = {0}
    shapes.remove_selected()
    assert len(answers.errors) == 2
    assert "id-Tumour" in document
    assert_layers_say_the_same(annotating)
    assert documents.undo_title == "lock"


def test_layers_of_napari_s_own_are_taken_in(annotating, documents, opened):
    opened.viewer.add_shapes([BOX], scale=(2, 2), units=("um", "um"))
    (item,) = documents.document.objects()
    assert item.annotation.geometry.bounds == (40.5, 40.5, 200.5, 160.5)
    document = documents.document
    document.put("edit", item.with_geometry(box(0.5, 0.5, 8.5, 4.5)))
    assert opened.viewer.layers[-1].data[0].max(axis=0) == pytest.approx((1, 2))
    assert_layers_say_the_same(annotating)


def test_the_keys_of_the_window_undo_and_redo(annotating, documents, shapes, opened):
    draw(shapes)
    keys = {str(key): action for key, action in opened.viewer.keymap.items()}
    keys["Ctrl+Z"](opened.viewer)
    assert len(shapes.data) == 2
    keys["Ctrl+Shift+Z"](opened.viewer)
    assert len(shapes.data) == 3


# -- document -> layers -------------------------------------------------------------------------------------


def test_objects_from_elsewhere_are_shown(annotating, documents, shapes):
    item = new()
    documents.document.put("brush", item)
    assert len(shapes.data) == 3
    assert list(shapes.features["label"])[-1] == "Necrosis"
    color = documents.document.class_named("Necrosis").color
    assert np.allclose(shapes.edge_color[2][:3] * 255, color, atol=1)
    assert_layers_say_the_same(annotating)
    documents.document.put("wand", item.with_geometry(box(0, 0, 5, 5)))
    assert shapes.data[2].max() == 5
    documents.undo()
    documents.undo()
    assert len(shapes.data) == 2
    documents.redo()
    assert_layers_say_the_same(annotating)


def test_without_a_layer_one_is_made(annotating, documents, opened):
    opened.viewer.layers.selection.active = opened.layer
    dots = AnnotationObject.new(Annotation("Cell", "points", MultiPoint([(1, 2), (3, 4)])))
    documents.document.put("draw", new(), dots)
    assert len(annotating.layers()) == 2
    assert opened.viewer.layers.selection.active is opened.layer
    assert_layers_say_the_same(annotating)
    documents.undo()
    assert [len(layer.data) for layer in annotating.layers()] == [0, 0]


def test_colours_and_visibility_of_classes_and_objects_are_shown(annotating, documents, shapes):
    document = documents.document
    document.set_classes(
        "colours", [replace(c, color=(1, 2, 3)) if c.name == "Stroma" else c for c in document.classes]
    )
    assert np.allclose(shapes.edge_color[1][:3] * 255, (1, 2, 3), atol=0.6)
    assert annotating.annotations().colors["Stroma"] == (1, 2, 3)
    document.put("colour", replace(document["id-Stroma"], color=(9, 8, 7)))
    assert np.allclose(shapes.edge_color[1][:3] * 255, (9, 8, 7), atol=0.6)
    document.set_classes("hide", [replace(c, visible=c.name != "Tumour") for c in document.classes])
    assert shapes.edge_color[0][3] == shapes.face_color[0][3] == 0
    assert shapes.edge_color[1][3] == 1
    documents.hidden = True
    assert not shapes.edge_color[:, 3].any()
    documents.hidden = False
    documents.undo()
    assert shapes.edge_color[:, 3].all()


def test_selection_goes_both_ways(annotating, documents, shapes, points):
    heard = []
    documents.selection_changed.connect(lambda: heard.append(documents.selected))
    shapes.selected_data = {1}
    assert heard[-1] == ("id-Stroma",)
    documents.select(["id-Tumour", "id-Mark"])
    assert (set(shapes.selected_data), set(points.selected_data)) == ({0}, {0})
    assert set(documents.selected) == {"id-Tumour", "id-Mark"}


def test_a_point_that_becomes_an_area_changes_its_layer(annotating, documents, shapes, points):
    item = documents.document["id-Mark"]
    area = replace(item.annotation, kind="polygon", geometry=box(0, 0, 9, 9))
    documents.document.put("grow", replace(item, annotation=area))
    assert (len(shapes.data), len(points.data)) == (3, 0)
    assert_layers_say_the_same(annotating)
    documents.undo()
    assert (len(shapes.data), len(points.data)) == (2, 1)


# -- layers come and go -------------------------------------------------------------------------------------


def test_a_layer_that_is_taken_out_can_be_had_back(annotating, documents, shapes):
    viewer = annotating.session.viewer
    viewer.layers.remove(shapes)
    assert len(documents.document) == 3, "it may go with its slide: nothing is done yet"
    annotating.ask_removed()
    assert list(documents.document) == ["id-Mark"]
    documents.undo()
    assert len(documents.document) == 3
    assert_layers_say_the_same(annotating)


def test_a_slide_that_is_closed_takes_nothing_from_its_document(annotating, documents, shapes, opened):
    document, edits = documents.document, []
    document.watch(edits.append)
    opened.viewer.layers.clear()
    annotating.ask_removed()
    assert (len(document), edits) == (3, [])


def test_reloading_is_an_edit_that_can_be_undone(annotating, documents, shapes, answers):
    draw(shapes)
    answers.agree = True
    annotating.reload()
    assert len(documents.document) == 3
    documents.undo()
    assert len(documents.document) == 4
    assert_layers_say_the_same(annotating)
    documents.redo()
    assert len(documents.document) == 3


def test_locks_colours_and_numbers_go_to_the_file_and_come_back(annotating, documents, shapes, tmp_path):
    document = documents.document
    item = replace(
        document["id-Tumour"],
        locked=True,
        color=(1, 2, 3),
        measurements={"area": 2.5},
        metadata={"who": "Anna"},
        parent="id-Stroma",
    )
    document.put("describe", item)
    drawn = new(UNCLASSIFIED)
    document.put("draw", drawn)
    annotating.save(tmp_path / "a.geojson")
    annotating.session.viewer.layers.remove(shapes)
    annotating.ask_removed()
    annotating.open(tmp_path / "a.geojson")
    read = documents.document["id-Tumour"]
    assert read == item
    assert drawn.id in documents.document


def test_a_second_file_with_the_same_ids_gets_others_and_says_so(
    annotating, documents, shapes, outlines_file, tmp_path, answers
):
    annotating.open(shutil.copy(outlines_file, tmp_path / "copy.geojson"))
    assert len(documents.document) == 6
    assert "3 shapes with the id of another one were given a new id" in answers.notices[-1]


def test_a_stretched_area_with_a_hole_is_drawn_without_what_joins_its_rings(documents, annotating):
    ring = box(20, 20, 120, 120).difference(box(50, 50, 80, 80))
    item = AnnotationObject.new(Annotation("tumor", "polygon", ring))
    documents.document.put("draw", item)
    (layer,) = annotating.layers()
    lines = len(layer._data_view.shapes[0]._edge_triangles)
    layer._data_view.scale(0, 1.5, center=[70, 70])  # as napari's handles do
    assert len(layer._data_view.shapes[0]._edge_triangles) != lines, "napari draws no bridges: ours can go"
    layer.events.data(value=layer.data, action="changed", data_indices=(0,), vertex_indices=((),))
    stretched = documents.document[item.id].annotation.geometry
    assert stretched.equals(affinity.scale(ring, 1.5, 1.5, origin=(70, 70)))
    assert len(layer._data_view.shapes[0]._edge_triangles) == lines
    assert documents.document.undo_title == "edit"
    documents.undo()
    assert documents.document[item.id].annotation.geometry.equals(ring)
