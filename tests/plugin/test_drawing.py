"""Class and colour of what is drawn, and nothing drawn is lost without a question."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from shapely.geometry import box

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet, read_annotations
from napari_nic.annotations.colors import UNCLASSIFIED_COLOR
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.layers import tag_of

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
def shapes(annotating, outlines_file):
    """The layer of the made outlines' areas: a tumour and a strip of stroma."""
    annotating.open(outlines_file)
    return next(layer for layer in annotating.layers() if hasattr(layer, "shape_type"))


def color_of(layer, index):
    return tuple(int(part) for part in np.rint(layer.edge_color[index][:3] * 255))


def draw(layer, vertices=BOX):
    """Add a shape as napari's mouse does: in the layer's current colours, told when it is finished."""
    layer.add(vertices, shape_type="polygon", gui=True)
    layer.events.data(value=layer.data, action="added", data_indices=(-1,), vertex_indices=((),))
    layer.events.features()


def test_a_shape_drawn_after_another_was_chosen_has_no_class_and_looks_so(annotating, shapes):
    shapes.selected_data = {0}
    shapes.selected_data = set()
    draw(shapes)
    drawn = annotating.annotations().annotations[2]
    assert drawn.label == UNCLASSIFIED
    assert color_of(shapes, 2) == UNCLASSIFIED_COLOR
    assert np.allclose(shapes.face_color[2][:3] * 255, UNCLASSIFIED_COLOR, atol=1)
    assert drawn.id == ""


@pytest.mark.parametrize("label", ["Tumour", "Necrosis"])
def test_new_shapes_take_the_current_class_and_its_colour(annotating, shapes, label):
    annotating.set_class(label)
    draw(shapes)
    annotations = annotating.annotations()
    assert annotations.annotations[2].label == label
    assert color_of(shapes, 2) == annotations.colors[label]
    assert color_of(shapes, 2) != color_of(shapes, 1)
    assert (color_of(shapes, 2) == color_of(shapes, 0)) == (label == "Tumour")


def test_the_class_of_selected_shapes_is_changed_with_their_colour(annotating, shapes):
    shapes.selected_data = {0}
    annotating.set_class("Stroma")
    assert [a.label for a in annotating.annotations().annotations[:2]] == ["Stroma", "Stroma"]
    assert color_of(shapes, 0) == color_of(shapes, 1)
    annotating.set_class(UNCLASSIFIED)
    assert annotating.annotations().annotations[0].label == UNCLASSIFIED
    assert color_of(shapes, 0) == UNCLASSIFIED_COLOR


def test_a_class_written_into_the_table_of_features_changes_the_colour(annotating, shapes):
    table = shapes.features.copy()
    table.loc[0, "label"] = "Stroma"
    shapes.features = table
    assert color_of(shapes, 0) == color_of(shapes, 1)


def test_a_colour_that_says_another_class_does_not_stay(annotating, shapes):
    before = color_of(shapes, 0)
    shapes.selected_data = {0}
    shapes.current_edge_color = shapes.edge_color[1]
    assert color_of(shapes, 0) == before
    shapes.edge_color = "red"
    assert color_of(shapes, 0) == before


def test_copied_shapes_have_no_identity_of_others(annotating, shapes):
    shapes.selected_data = {0}
    shapes._copy_data()
    shapes._paste_data()
    labels = [(a.label, a.id) for a in annotating.annotations().annotations if a.is_area]
    assert labels == [("Tumour", "id-Tumour"), ("Stroma", "id-Stroma"), ("Tumour", "")]


def test_a_copied_layer_holds_new_shapes(annotating, shapes):
    import copy

    data, options, _ = shapes.as_layer_data_tuple()
    annotating.session.viewer.add_shapes(data, **copy.deepcopy(options))
    ids = [a.id for a in annotating.annotations().annotations if a.label == "Tumour"]
    assert ids == ["id-Tumour", ""]


@pytest.mark.parametrize("over", ["slide", "overlay"])
def test_napari_s_new_shapes_layer_is_the_slide_s(annotating, opened, answers, over, tmp_path):
    place = (
        {"scale": (64, 64), "translate": (31.75, 31.75), "units": ("um", "um")} if over == "shifted" else {}
    )
    layer = opened.viewer.add_shapes(ndim=2, **place)
    assert annotation_tag(layer).slide is opened.slide
    annotating.set_class("Tumour")
    draw(layer)
    (found,) = annotating.annotations().annotations
    assert found.geometry.equals(box(10, 10, 50, 40)), "vertices are the slide's pixels"
    assert found.label == "Tumour"
    assert layer.data_to_world((0, 0)) == (-0.25, -0.25)
    annotating.save(tmp_path / "a.geojson")
    assert read_annotations(tmp_path / "a.geojson").annotations[0].geometry.equals(box(10, 10, 50, 40))


def test_layers_with_shapes_keep_their_place(annotating, opened):
    layer = opened.viewer.add_shapes([BOX], scale=(2, 2), units=("um", "um"))
    (found,) = annotating.annotations().annotations
    assert found.geometry.bounds == (40.5, 40.5, 200.5, 160.5)
    opened.set_pixel_size(0.25)
    assert np.allclose(annotating.annotations().annotations[0].geometry.bounds, found.geometry.bounds)
    points = opened.viewer.add_points([(10.0, 20.0)], units=("um", "um"))
    assert annotation_tag(points).slide is opened.slide
    assert layer in annotating.layers()


def test_two_slides_have_annotations_of_their_own(annotating, opened, slide_file, add_slide, tmp_path):
    import shutil

    first = opened.slide
    one = opened.viewer.add_shapes(ndim=2)
    draw(one)
    other = tmp_path / "other.tif"
    shutil.copy(slide_file, other)
    add_slide(opened.viewer, other)
    assert opened.slide is not first
    assert len(annotating.annotations()) == 0
    two = opened.viewer.add_shapes(ndim=2)
    draw(two, BOX + 100)
    assert [a.geometry.bounds[0] for a in annotating.annotations().annotations] == [110]
    assert annotating.layers(first) == [one]


# -- nothing is lost without a question ------------------------------------------------------------------


def test_what_was_only_opened_is_not_asked_about(annotating, shapes, answers):
    assert annotating.may_close()
    shapes.selected_data = {0}
    shapes.refresh()
    assert annotating.may_close()
    assert answers.questions == []


@pytest.mark.parametrize("change", ["draw", "move", "delete", "class", "layer", "points"])
def test_every_change_is_asked_about(annotating, shapes, answers, change):
    points = next(layer for layer in annotating.layers() if layer is not shapes)
    if change == "draw":
        draw(shapes)
    elif change == "move":
        data = shapes.data
        data[0] = data[0] + 3
        shapes.data = data
    elif change == "delete":
        shapes.selected_data = {1}
        shapes.remove_selected()
    elif change == "class":
        shapes.selected_data = {0}
        annotating.set_class("Stroma")
    elif change == "layer":
        shapes.translate = np.array(shapes.translate) + 10
    else:
        points.add((5, 5))
    assert not annotating.may_close(), "the answer was: cancel"
    assert "not saved" in answers.questions[0]
    answers.leave = "discard"
    assert annotating.may_close()


def test_what_was_drawn_and_taken_away_again_is_no_change(annotating, shapes, answers):
    draw(shapes)
    shapes.selected_data = {2}
    shapes.remove_selected()
    assert annotating.may_close()
    assert answers.questions == []


def test_save_before_closing(annotating, shapes, answers, tmp_path):
    draw(shapes)
    answers.leave = "save"
    assert not annotating.may_close(), "no file was chosen"
    answers.saved_to = tmp_path / "no" / "such" / "slide.svs"
    assert not annotating.may_close(), "it could not be saved"
    assert answers.errors
    answers.saved_to = tmp_path / "saved.geojson"
    assert annotating.may_close()
    assert len(read_annotations(answers.saved_to)) == 4
    answers.questions.clear()
    assert annotating.may_close()
    assert answers.questions == []


def test_a_layer_taken_out_with_changes_comes_back_if_wanted(annotating, shapes, answers):
    draw(shapes)
    viewer = annotating.session.viewer
    index = viewer.layers.index(shapes)
    wanted = []
    annotating.rescue_wanted.connect(lambda: wanted.append(1))
    viewer.layers.remove(shapes)
    assert wanted
    annotating.ask_removed()
    assert viewer.layers.index(shapes) == index
    assert not annotating.may_close()
    answers.leave = "discard"
    viewer.layers.remove(shapes)
    annotating.ask_removed()
    assert shapes not in viewer.layers
    assert annotating.may_close()


@pytest.mark.parametrize("leave", ["cancel", "discard", "save"])
def test_a_slide_taken_out_with_changed_annotations(annotating, shapes, answers, leave, tmp_path):
    draw(shapes)
    viewer, slide = annotating.session.viewer, annotating.session.layer
    answers.leave, answers.saved_to = leave, tmp_path / "saved.geojson"
    viewer.layers.remove(slide)
    annotating.ask_removed()
    assert (slide in viewer.layers) == (leave == "cancel")
    assert (shapes in viewer.layers) == (leave == "cancel")
    assert answers.saved_to.exists() == (leave == "save")
    assert annotating.session.layer is (slide if leave == "cancel" else None)


def test_an_unchanged_slide_goes_without_a_question(annotating, shapes, answers):
    annotating.session.viewer.layers.remove(annotating.session.layer)
    annotating.ask_removed()
    assert answers.questions == []


def test_reload_brings_the_file_back(annotating, shapes, answers):
    assert annotating.can_reload()
    draw(shapes)
    annotating.reload()
    assert shapes in annotating.layers(), "the answer was: no"
    answers.agree = True
    annotating.reload()
    assert shapes not in annotating.layers()
    assert annotating.annotations().counts() == {"Tumour": 1, "Stroma": 1, "Mark": 1}
    assert annotating.may_close()


def test_reload_of_a_file_that_is_gone_keeps_what_is_shown(annotating, shapes, answers, outlines_file):
    outlines_file.unlink()
    annotating.reload()
    assert shapes in annotating.layers()
    assert answers.errors


def test_what_was_left_out_is_told(annotating, answers, tmp_path, outlines_file):
    import json

    document = json.loads(outlines_file.read_text())
    far = json.loads(json.dumps(document["features"][0]).replace("400", "99400").replace("900", "99900"))
    flat = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}}
    document["features"] += [far, flat]
    (tmp_path / "b.geojson").write_text(json.dumps(document))
    annotating.open(tmp_path / "b.geojson")
    (notice,) = answers.notices
    assert "1 shape without extent was left out: feature 4" in notice
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    annotating.open(tmp_path / "none.geojson")
    assert "none holds no shapes" in answers.notices[-1]


def test_tags_survive(annotating, shapes):
    assert tag_of(shapes).path.name == "outlines.geojson"


@pytest.mark.parametrize(
    ("area", "said"),
    [
        (box(0, 0, 1, 1), "Map, compared with Tumour:\nnothing to compare, no valid cell"),
        (box(-9, -9, 9999, 9999), "Map, compared with Tumour:\nnothing to compare, Tumour covers every cell"),
        (box(0, 0, 800, 9999), "Map, compared with Tumour:\nbest Jaccard 1.00"),
    ],
)
def test_agreement_names_the_class_and_says_when_there_is_none(annotating, opened, monkeypatch, area, said):
    grid = PatchGrid.plan([LevelGeometry(1100, 1500)], PixelSize(0.5, 0.5), patch_size=100, mpp=0.5)
    values = np.zeros(grid.shape, np.float32)
    values[:, :8] = 1
    overlay = SimpleNamespace(name="Map", has_values=True, data=values, mask=np.ones(grid.shape, bool))
    shown = SimpleNamespace(state=lambda _kind: SimpleNamespace(shown=True), overlay=lambda _kind: overlay)
    monkeypatch.setattr(annotating, "_overlays", shown)
    monkeypatch.setattr(opened, "store", SimpleNamespace(grid=grid))
    annotating._add(AnnotationSet((Annotation("Tumour", "polygon", area),)), "x", None)
    assert annotating.agreement("Tumour").startswith(said)


def test_reload_asks_before_what_was_saved_elsewhere_goes_from_the_screen(
    annotating, shapes, answers, tmp_path, outlines_file
):
    draw(shapes)
    assert annotating.save(tmp_path / "elsewhere.geojson")
    annotating.reload()
    assert shapes in annotating.layers(), "the answer was: no"
    assert "is saved in elsewhere.geojson, and not in the file" in answers.questions[-1]
    assert annotating.save(outlines_file)
    asked = len(answers.questions)
    annotating.reload()
    assert len(answers.questions) == asked, "the file holds it now"
    assert sum(annotating.annotations().counts().values()) == 4
