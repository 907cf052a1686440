"""A layer of very many outlines: what is under a point, colours, changes, and drawing beside the window."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from shapely.geometry import LineString, box

from napari_nic.outlines import OutlineIndex, Tile, pyramid
from napari_nic.outlines.values import FEW_CLASSES, NOTHING
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.figure_layers import figure_layers
from napari_nic.plugin.layers import METADATA_KEY, LayerTag
from napari_nic.plugin.outline_tiles import TileDrawing
from napari_nic.plugin.outline_view import OWN, OutlineView
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.slides import open_slide

COLORS = {"Tumour": (200, 0, 0), "Stroma": (0, 0, 200)}


@pytest.fixture
def slide(slide_file):
    with open_slide(slide_file) as opened:
        yield opened


@pytest.fixture
def view(slide):
    index = OutlineIndex(
        [box(100, 100, 300, 260), box(150, 150, 200, 200), LineString([(500, 100), (900, 100)])],
        ["Tumour", "Stroma", "Stroma"],
        ["a", "b", "c"],
    )
    return OutlineView(index, COLORS, LayerTag("annotations", slide, "many"))


@pytest.fixture
def layer(view, viewer):
    data, options, _ = view.layer_data()
    added = viewer.add_labels(data, **options)
    view.bind(added)
    return added


def world(layer, x, y):
    """Place of a level-0 pixel's corner in napari's world."""
    return layer.data_to_world((y - 0.5, x - 0.5))


def color_at(layer, x, y):
    return tuple(round(float(part)) for part in layer.colormap.map(int(layer.data[0][y, x]))[:3] * 255)


def test_napari_takes_the_levels_as_they_are(layer, view):
    assert layer.multiscale
    assert not layer.editable
    assert layer.data[0].shape == view.pyramid.shapes[0]
    assert str(layer.units[0]) == "micrometer"
    level = view.levels[0]
    whole = np.asarray(level)
    assert (level[10:400:3, 20] == whole[10:400:3, 20]).all()
    assert level[-1, -1] == whole[-1, -1]
    assert (level[120] == whole[120]).all()
    assert (level[:, :] == whole).all()
    assert level.size == whole.size
    assert copy.deepcopy(level) is level


def test_what_lies_under_a_point(layer, view):
    assert view.at(world(layer, 175, 175)) == "b"
    assert view.at(world(layer, 250, 250)) == "a"
    assert view.at(world(layer, 600, 101)) == "c"
    assert view.at(world(layer, 20, 20)) is None
    corners = np.array([world(layer, 140, 90), world(layer, 1000, 210)])
    assert set(view.inside(corners)) == {"b", "c"}


def test_words_about_an_outline(layer, view):
    view.name_of = {"b": "mitosis"}.get
    assert view.describe("b") == "Stroma, mitosis, 625 \u00b5m\u00b2"
    view.name_of = lambda _: ""
    assert view.describe("c") == "Stroma, 200 \u00b5m"
    status = layer.get_status(world(layer, 250, 250), view_direction=None, dims_displayed=[0, 1], world=True)
    assert status["value"] == "Tumour, 8,000 \u00b5m\u00b2"
    assert status["coordinates"].endswith("Tumour, 8,000 \u00b5m\u00b2")
    beside = layer.get_status(world(layer, 20, 20), view_direction=None, dims_displayed=[0, 1], world=True)
    assert beside["value"] == ""
    view.release()
    assert "8,000" not in str(layer.get_status(world(layer, 250, 250), world=True, dims_displayed=[0, 1]))


def test_a_class_gets_another_colour_and_nothing_is_drawn_for_it(layer, view, monkeypatch):
    np.asarray(view.levels[0])
    monkeypatch.setattr(pyramid, "draw", None)
    view.set_colors({"Tumour": (0, 255, 0)})
    assert color_at(layer, 100, 150) == (0, 255, 0)
    assert color_at(layer, 150, 175) == (0, 0, 200)
    monkeypatch.undo()
    view.set_colors({"Tumour": None})
    assert layer.colormap.map(int(layer.data[0][150, 100]))[3] == 0


def test_the_same_colours_again_cost_nothing(layer, view):
    before = layer.colormap
    view.set_colors(dict(COLORS))
    assert layer.colormap is before


def test_changes_are_shown_and_new_classes_have_colours(layer, view):
    view.set_colors({"New": (9, 99, 199)})
    view.replace({"b": None, "d": (box(700, 300, 800, 400), "New"), "a": (box(100, 100, 120, 120), "Stroma")})
    assert color_at(layer, 700, 350) == (9, 99, 199)
    assert view.at(world(layer, 175, 175)) is None
    assert color_at(layer, 100, 110) == (0, 0, 200)
    assert layer.data[0][150, 175] == NOTHING


def test_hidden_ones_are_neither_drawn_nor_found(layer, view):
    view.hide(["a"])
    assert view.at(world(layer, 250, 250)) is None
    assert layer.data[0][180, 100] == NOTHING
    view.show(["a"])
    assert view.at(world(layer, 250, 250)) == "a"
    assert layer.data[0][180, 100] != NOTHING


def test_more_classes_than_bytes_hold(layer, view):
    more = {f"n{n}": (box(n * 5, 600, n * 5 + 4, 604), f"class {n}") for n in range(FEW_CLASSES + 5)}
    view.set_colors({f"class {n}": (n, n, 7) for n in range(FEW_CLASSES + 5)})
    view.replace(more)
    assert layer.data[0].dtype == np.uint16
    last = FEW_CLASSES + 4
    assert color_at(layer, last * 5, 602) == (last, last, 7)


def test_other_outlines_in_the_place_of_all(layer, view):
    view.reset(OutlineIndex([box(600, 600, 700, 700)], ["Tumour"], ["z"]))
    assert view.at(world(layer, 650, 650)) == "z"
    assert view.at(world(layer, 250, 250)) is None
    assert color_at(layer, 600, 650) == (200, 0, 0)


def test_a_colour_of_its_own_is_not_said_as_a_class(layer, view):
    view.replace({"a": (box(100, 100, 300, 260), f"Tumour{OWN}00ff00")})
    assert view.describe("a").startswith("Tumour, 8,000")


def test_with_a_runner_tiles_are_drawn_by_jobs(view, viewer, runner):
    runner.hold = True
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    view.bind(layer, runner)
    first = view.levels[0][0:512, 0:512]
    assert view.busy
    runner.finish()
    assert not view.busy
    drawn = view.levels[0][0:512, 0:512]
    assert (drawn != first).any()
    assert (drawn == view.pyramid.read(0, (slice(0, 512), slice(0, 512)))).all()


def test_what_napari_asks_for_as_it_makes_the_layer_is_drawn_by_jobs(view, viewer, runner):
    runner.hold = True
    view.draw_by(runner)
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    area = (slice(0, 512), slice(0, 512))
    view.levels[0][area]
    view.draw_by(runner)  # as of a file of outlines and points, which are two layers
    view.bind(layer, runner)
    assert view.busy
    assert [job.token.cancelled for job, _, _ in runner.waiting] == [False] * len(runner.waiting)
    runner.finish()
    assert (view.levels[0][area] == view.pyramid.read(0, area)).all()


def test_what_was_drawn_before_there_was_a_layer_is_shown_by_it(view, viewer, runner, monkeypatch):
    view.draw_by(runner)  # whose jobs end at once
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    view.levels[0][0:512, 0:512]
    refreshed = []
    monkeypatch.setattr(type(layer), "refresh", lambda _, **__: refreshed.append(1))
    view.bind(layer, runner)
    assert refreshed == [1]


def test_for_figures_all_is_drawn_before_it_is_given(view, viewer, runner, slide):
    runner.hold = True
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    view.bind(layer, runner)
    layer.metadata[METADATA_KEY] = AnnotationTag("annotations", slide, "many", view=view)
    (part,) = figure_layers([layer], SlideFrame(slide)).parts
    exact = view.pyramid.read(0, (slice(0, 512), slice(0, 512)))
    assert (part.levels[0][0:512, 0:512] == exact).all()
    view.pyramid._tiles.clear()
    assert (view.levels[0][0:512, 0:512] != exact).any(), "what napari is given may be coarser"
    assert (part.levels[0][0:512, 0:512] == exact).all()


def test_what_is_looked_at_now_is_drawn_and_what_was_before_is_not(view, runner, monkeypatch):
    runner.hold, drawn, ready = True, [], []
    monkeypatch.setattr(view.pyramid, "draw", drawn.append)
    drawing = TileDrawing(view.pyramid, runner, lambda: ready.append(1))
    drawing.want([Tile(0, 0, 0), Tile(0, 0, 1)])
    drawing.want([Tile(0, 1, 1), Tile(0, 1, 0)])
    runner.finish()
    assert drawn == [Tile(0, 1, 1), Tile(0, 1, 0)]
    assert ready == [1]
    assert not drawing.busy


def test_tiles_that_are_wanted_as_a_job_ends_are_drawn_by_the_next(view, runner):
    asked = [[Tile(0, 0, 1)], []]
    drawing = TileDrawing(view.pyramid, runner, lambda: drawing.want(asked.pop(0)) if asked else None)
    runner.hold = True
    drawing.want([Tile(0, 0, 0)])
    runner.finish()
    assert set(view.pyramid._tiles) == {Tile(0, 0, 0), Tile(0, 0, 1)}
    assert len(runner.titles) == 2


def test_a_layer_that_goes_ends_the_drawing(view, viewer, runner):
    runner.hold = True
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    view.bind(layer, runner)
    view.levels[0][0:512, 0:512]
    (job, _, _) = runner.waiting[0]
    view.release()
    assert job.token.cancelled
    runner.finish()
    assert view.on_press not in layer.mouse_drag_callbacks
    view.levels[0][0:512, 0:512]
    assert runner.waiting == []


def test_without_a_slide_sizes_are_in_pixels(viewer):
    view = OutlineView(OutlineIndex([box(0, 0, 30, 20)], ["A"]), {"A": (1, 2, 3)}, LayerTag("annotations"))
    data, options, _ = view.layer_data()
    view.bind(viewer.add_labels(data, **options))
    assert view.describe(0) == "A, 600 px\u00b2"


def test_a_class_that_is_hidden_covers_no_other_and_is_not_found(view, viewer, runner):
    data, options, _ = view.layer_data()
    layer = viewer.add_labels(data, **options)
    view.bind(layer, runner)
    covered = [box(180, 180, 190, 190), box(181, 181, 191, 191)]
    view.replace({"d": (covered[0], "Tumour"), "e": (covered[1], "Stroma")})
    view.set_colors({"Stroma": None})
    assert view.at(world(layer, 186, 186)) == "d"
    assert view.at(world(layer, 160, 160)) == "a"
    assert not view.busy
    values = view.pyramid.read(0, (slice(100, 260), slice(100, 300)))
    assert set(values[values != NOTHING]) <= {1, 2}, "lines and areas of Tumour alone"
    assert set(np.unique(view.pyramid.coarsest)) <= set(range(5))
    view.set_colors({"Stroma": (1, 2, 3)})
    assert view.at(world(layer, 160, 160)) == "b"
    view.set_colors({"Stroma": None})
    view.reset(OutlineIndex([box(0, 0, 50, 50), box(10, 10, 20, 20)], ["Tumour", "Stroma"]))
    assert view.at(world(layer, 15, 15)) == 0
