"""A few of very many outlines become shapes that napari edits, and go back; nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Point, box

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations
from napari_nic.plugin import annotation_layers as module
from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers import lifting, viewing
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController

NUCLEI = tuple(
    Annotation(
        "AB"[n % 2], "polygon", Point(n * 60 + 40, 100).buffer(20), f"name {n}", extra={"isLocked": False}
    )
    for n in range(12)
)


@pytest.fixture
def annotating(opened, session, runner, monkeypatch):
    for place in (module, lifting, viewing):
        monkeypatch.setattr(place, "MAX_SHAPES", 5)
    tissue = TissueController(session, runner)
    overlays = OverlayController(
        session, CompressController(session, runner, tissue), ModelController(session), runner
    )
    made = AnnotationController(session, overlays, runner)
    made._add(AnnotationSet(NUCLEI, {"A": (200, 0, 0), "B": (0, 0, 200)}), "nuclei", None)
    yield made
    made.close()
    overlays.close()


@pytest.fixture
def layer(annotating):
    (picture,) = annotating.layers()
    assert annotation_tag(picture).view is not None
    return picture


def lifted(annotating):
    """The layer of shapes, if there is one."""
    return next((one for one in annotating.layers() if hasattr(one, "shape_type")), None)


def pick(layer, number, more=False):
    annotation_tag(layer).view.picked.emit(number, more)


def shift(shapes, row, by=30):
    data = list(shapes.data)
    data[row] = data[row] + by
    shapes.data = data


def test_what_is_clicked_becomes_a_shape_and_goes_back_as_it_was(annotating, layer):
    pick(layer, 3)
    shapes = lifted(annotating)
    assert len(shapes.data) == 1
    assert shapes.selected_data == {0}
    assert annotating.session.viewer.layers.selection.active is shapes
    assert annotation_tag(layer).view.index.at(3 * 60 + 40, 100) is None, "it is not there twice"
    assert annotating.documents.selected == (annotation_tag(layer).ids[3],)
    assert annotating.annotations().annotations == NUCLEI
    pick(layer, None)
    assert lifted(annotating) is None
    assert annotating.annotations().annotations == NUCLEI
    assert (
        annotating.annotations().annotations[3] is NUCLEI[3] or annotating.annotations().annotations[3].extra
    )
    assert annotation_tag(layer).view.index.at(3 * 60 + 40, 100) == 3
    assert annotating.may_close(), "nothing was changed"
    assert annotating.documents.undo_title == ""


def test_another_one_takes_its_place_and_with_shift_they_are_several(annotating, layer):
    pick(layer, 3)
    pick(layer, 5)
    assert len(lifted(annotating).data) == 1
    pick(layer, 4, more=True)
    assert len(lifted(annotating).data) == 2
    assert set(annotating.documents.selected) == {annotation_tag(layer).ids[n] for n in (4, 5)}
    assert annotating.annotations().annotations == NUCLEI


def test_what_is_edited_is_edited_in_the_document_and_stays_so(annotating, layer, tmp_path):
    pick(layer, 3)
    shift(lifted(annotating), 0)
    assert annotating.documents.undo_title == "edit"
    assert annotating.unsaved.is_unsaved(layer)
    moved = annotating.annotations().annotations[3]
    assert moved.geometry.centroid.coords[0] == pytest.approx((3 * 60 + 70, 130))
    pick(layer, None)
    assert annotating.annotations().annotations[3] == moved
    assert [a for n, a in enumerate(annotating.annotations().annotations) if n != 3] == [
        a for n, a in enumerate(NUCLEI) if n != 3
    ]
    assert annotation_tag(layer).view.index.at(3 * 60 + 70, 130) == 3
    assert annotation_tag(layer).view.index.at(3 * 60 + 25, 90) is None
    assert annotating.unsaved.is_unsaved(layer)
    assert annotating.save(tmp_path / "a.geojson")
    assert not annotating.unsaved.is_unsaved(layer)
    written = read_annotations(tmp_path / "a.geojson")
    assert [a.name for a in written.annotations] == [a.name for a in NUCLEI]
    assert written.annotations[3].geometry.equals_exact(moved.geometry)


@pytest.mark.parametrize("back_first", [False, True])
def test_undo_reaches_it_in_whichever_layer_it_is(annotating, layer, back_first):
    pick(layer, 3)
    shift(lifted(annotating), 0)
    if back_first:
        pick(layer, None)
    annotating.documents.undo()
    assert annotating.annotations().annotations[3].geometry.equals_exact(NUCLEI[3].geometry, 1e-3)
    if not back_first:
        pick(layer, None)
    assert annotation_tag(layer).view.index.at(3 * 60 + 40, 100) == 3
    assert annotating.annotations().annotations == NUCLEI
    annotating.documents.redo()
    assert annotation_tag(layer).view.index.at(3 * 60 + 70, 130) == 3


def test_what_is_deleted_is_gone_and_comes_back_by_undo(annotating, layer):
    pick(layer, 3)
    shapes = lifted(annotating)
    shapes.selected_data = {0}
    shapes.remove_selected()
    assert len(annotating.annotations()) == 11
    pick(layer, None)
    assert len(annotating.annotations()) == 11
    assert annotation_tag(layer).view.index.at(3 * 60 + 40, 100) is None
    annotating.documents.undo()
    assert sorted(a.name for a in annotating.annotations().annotations) == sorted(a.name for a in NUCLEI)
    assert annotation_tag(layer).view.index.at(3 * 60 + 40, 100) == 3


def test_what_is_drawn_there_joins_the_others(annotating, layer):
    pick(layer, 3)
    annotating.drawing.set_class("A", ())
    lifted(annotating).add_polygons(np.array([(300, 300), (300, 380), (380, 380)]))
    assert len(annotating.annotations()) == 13
    pick(layer, None)
    found = annotating.annotations().annotations
    assert found[:12] == NUCLEI
    assert (found[12].label, found[12].geometry.area) == ("A", pytest.approx(3200))
    assert annotation_tag(layer).view.index.at(370, 330) == 12


def test_another_class_reaches_the_picture(annotating, layer):
    pick(layer, 3)
    annotating.set_class("New")
    assert annotating.annotations().counts() == {"A": 6, "B": 5, "New": 1}
    pick(layer, None)
    assert annotating.annotations().counts() == {"A": 6, "B": 5, "New": 1}
    assert annotation_tag(layer).view.index.label(3) == "New"
    color = annotating.annotations().colors["New"]
    value = int(np.asarray(layer.data[0])[100, 3 * 60 + 21])
    assert np.allclose(layer.colormap.map(value)[:3] * 255, color)


def test_taking_the_layer_of_shapes_away_puts_them_back(annotating, layer):
    pick(layer, 3)
    shift(lifted(annotating), 0)
    annotating.session.viewer.layers.remove(lifted(annotating))
    annotating.ask_removed()
    assert len(annotating.annotations()) == 12
    assert annotation_tag(layer).view.index.at(3 * 60 + 70, 130) == 3
    assert annotation_tag(layer).lifted is None


def test_taking_the_picture_away_takes_what_was_lifted_too(annotating, layer, answers):
    pick(layer, 3)
    annotating.session.viewer.layers.remove(layer)
    annotating.ask_removed()
    assert annotating.layers() == []
    assert len(annotating.documents.document) == 0


def test_objects_that_a_dock_selects_are_lifted(annotating, layer):
    ids = annotation_tag(layer).ids
    annotating.documents.select([ids[1], ids[2]])
    assert annotating.documents.selected == (ids[1], ids[2])
    assert lifted(annotating).selected_data == {0, 1}
    annotating.documents.select([])
    assert lifted(annotating) is None


def test_more_than_can_be_shown_as_shapes_are_not_lifted_and_that_is_told(annotating, layer, answers):
    annotating.documents.select(annotation_tag(layer).ids)
    assert lifted(annotating) is None
    assert "More than 5 shapes of nuclei cannot be selected" in answers.notices[-1]
    assert annotating.annotations().annotations == NUCLEI


def test_edits_from_elsewhere_are_drawn(annotating, layer):
    document, identity = annotating.documents.document, annotation_tag(layer).ids[7]
    document.put("move", document[identity].with_geometry(box(400, 400, 450, 450)))
    assert annotation_tag(layer).view.index.at(425, 425) == 7
    assert np.asarray(layer.data[0])[425, 400] != 0
    assert annotating.unsaved.is_unsaved(layer)
    document.remove("take away", identity)
    assert annotation_tag(layer).view.index.at(425, 425) is None
    assert len(annotating.annotations()) == 11
    document.undo()
    document.undo()
    assert annotating.annotations().annotations == NUCLEI
    assert not annotating.unsaved.is_unsaved(layer)


def test_a_class_is_recoloured_and_hidden(annotating, layer):
    from dataclasses import replace

    document = annotating.documents.document
    for change, expected in (({"color": (1, 99, 3)}, (1, 99, 3, 255)), ({"visible": False}, (1, 99, 3, 0))):
        classes = [replace(one, **change) if one.name == "A" else one for one in document.classes]
        document.set_classes("change", classes)
        found = layer.colormap.map(int(np.asarray(layer.data[0])[100, 21]))
        assert found[3] * 255 == expected[3]
        assert expected[3] == 0 or np.allclose(found[:3] * 255, expected[:3])
    assert annotating.annotations().colors["A"] == (1, 99, 3)


def test_a_copy_of_the_picture_is_a_picture_of_its_own(annotating, layer):
    data, options, _ = layer.as_layer_data_tuple()
    copy = annotating.session.viewer.add_labels(data, **(options | {"name": "copy"}))
    assert annotation_tag(copy).view is not annotation_tag(layer).view
    assert len(annotating.annotations()) == 24
    annotation_tag(copy).view.hide([0])
    assert annotation_tag(layer).view.index.at(40, 100) == 0


def test_a_picture_that_is_moved_as_a_whole_moves_its_shapes(annotating, layer):
    layer.translate = np.array(layer.translate) + 10  # um, 20 px
    annotating.documents.views.sync_all()
    assert annotating.annotations().annotations[0].geometry.centroid.coords[0] == pytest.approx((60, 120))
    assert annotation_tag(layer).view.index.at(60, 120) == 0
    assert np.allclose(layer.translate, 0)
    annotating.documents.undo()
    assert annotation_tag(layer).view.index.at(40, 100) == 0
