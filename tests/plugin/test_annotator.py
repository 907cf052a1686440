"""The annotator without a window: tools, classes, lists and operations on the slide's document."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from npe2 import PluginManifest
from shapely.geometry import LineString, Point, box

import napari_nic
from napari_nic.annotations import UNCLASSIFIED, Annotation
from napari_nic.editing import AnnotationObject
from napari_nic.editing.operations import area_of
from napari_nic.geometry import Placement
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.annotator import Annotator
from napari_nic.plugin.controllers.class_list import SETS_SETTING, ClassList
from napari_nic.plugin.controllers.commands import BY_ACTION, COMMANDS, IN_PALETTE, PREFIX
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.object_list import Filter, ObjectList
from napari_nic.plugin.controllers.object_operations import ObjectOperations
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.surroundings import Surroundings
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.controllers.tissue_outline import outline_of
from napari_nic.plugin.controllers.tool_pointing import ToolPointing
from napari_nic.plugin.controllers.tool_settings import LARGEST_UM, SMALLEST_UM
from napari_nic.plugin.drawing_layer import DrawingLayer
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.tools.pointer import Pointer
from napari_nic.plugin.tools.toolbox import TOOLS
from napari_nic.tissue import TissueMask


class Desk:
    """All that the dock makes, but for its widgets."""

    def __init__(self, session, runner) -> None:
        self.numbers: list[float | None] = []
        self.told: list[str] = []
        tissue = TissueController(session, runner)
        self._overlays = OverlayController(
            session, CompressController(session, runner, tissue), ModelController(session), runner
        )
        self._annotating = AnnotationController(session, self._overlays, runner)
        self.documents = self._annotating.documents
        self.surroundings = Surroundings(session, tissue, runner)
        self.annotator = Annotator(self.documents, self.surroundings)
        self.annotator.told.connect(self.told.append)
        self.operations = ObjectOperations(self.annotator, lambda *_: self.numbers.pop(0))
        self.listed = ObjectList(self.annotator)
        self.classes = ClassList(self.annotator)
        self.pointing = ToolPointing(self.annotator, self.operations, self.listed)

    def pointer_xy(self):
        return (500.0, 500.0)

    def run(self, name):
        BY_ACTION[f"napari-nic:annotator_{name}"].run(self)

    def put(self, shape, label="tumor", kind="polygon", **marks):
        item = AnnotationObject.new(Annotation(label, kind, shape), **marks)
        self.annotator.document.put("draw", item)
        return item

    def close(self):
        self.pointing.close()
        self.annotator.close()
        self.listed.close()
        self.classes.close()
        self.surroundings.close()
        self._annotating.close()
        self._overlays.close()


@pytest.fixture
def desk(opened, runner):
    made = Desk(opened, runner)
    yield made
    made.close()


@pytest.fixture
def empty_desk(session, runner):
    made = Desk(session, runner)
    yield made
    made.close()


def tissue_of(desk):
    found = []
    desk.surroundings.with_tissue(found.append)
    return found[0]


def layer_of(desk):
    (layer,) = [layer for layer in desk.annotator.session.viewer.layers if isinstance(layer, DrawingLayer)]
    return layer


# -- tools and the layer ---------------------------------------------------------------------------------


def test_without_a_slide_no_tool_is_taken(empty_desk):
    empty_desk.annotator.set_tool("brush")
    assert empty_desk.annotator.tool is None
    assert "open a slide first" in empty_desk.told[0]
    assert empty_desk.classes.rows() == []
    assert empty_desk.listed.summary() == "0 objects"


def test_a_layer_is_active_while_a_tool_is(desk):
    layers = desk.annotator.session.viewer.layers
    slide = layers.selection.active
    desk.run("tool_brush")
    assert layers.selection.active is layer_of(desk)
    assert layer_of(desk).mode == "draw"
    desk.run("tool_polygon")
    assert layers.selection.active is layer_of(desk)
    desk.run("cancel")
    assert desk.annotator.tool is None
    assert list(layers) == [slide]
    assert layers.selection.active is slide


def test_a_layer_that_is_taken_out_leads_to_nothing(desk):
    """napari keeps some of them for good, with the controls that it made."""
    desk.run("tool_brush")
    layer = layer_of(desk)
    assert layer.mouse_drag_callbacks
    desk.run("cancel")
    hooks = (
        layer.mouse_drag_callbacks,
        layer.mouse_move_callbacks,
        layer.mouse_double_click_callbacks,
        layer.mouse_wheel_callbacks,
    )
    assert [one for some in hooks for one in some] == []
    assert layer.commands is None
    assert layer.metadata == {}


def test_choosing_another_layer_lays_the_tool_down(desk):
    viewer = desk.annotator.session.viewer
    slide = viewer.layers[0]
    desk.run("tool_brush")
    viewer.layers.selection.active = slide
    assert desk.annotator.tool is None
    assert viewer.layers.selection.active is slide
    desk.run("tool_brush")
    viewer.layers.remove(layer_of(desk))
    assert desk.annotator.tool is None


def test_the_layer_stays_active_and_on_top_when_objects_get_a_layer(desk):
    desk.run("tool_points")
    desk.annotator.tool.press(Pointer((10.0, 20.0)))
    viewer = desk.annotator.session.viewer
    assert len(viewer.layers) == 3
    assert viewer.layers[-1] is viewer.layers.selection.active is layer_of(desk)
    desk.run("undo")
    assert viewer.layers.selection.active is layer_of(desk)
    assert desk.annotator.tool_name == "points"
    assert len(desk.annotator.document) == 0


def test_what_is_drawn_lies_below_the_pointer_on_a_slide_that_was_moved(desk):
    viewer = desk.annotator.session.viewer
    viewer.layers[0].translate = (100, 200)
    viewer.layers[0].rotate = 30
    desk.run("tool_select")
    corner = viewer.layers[0].data_to_world((-0.5, -0.5))
    assert layer_of(desk).world_to_data(corner) == pytest.approx((0, 0), abs=1e-6)
    inside = viewer.layers[0].data_to_world((99.5, 49.5))
    assert layer_of(desk).world_to_data(inside) == pytest.approx((100, 50))


def test_a_sketch_is_shown_and_taken_away(desk):
    desk.run("tool_rectangle")
    tool, layer = desk.annotator.tool, layer_of(desk)
    tool.press(Pointer((10.0, 10.0)))
    tool.drag(Pointer((110.0, 60.0)))
    extent = layer.extent.data.copy()
    desk.pointing.refresh()
    ends = layer.data[:, 0] + layer.data[:, 1]
    assert {(10, 10), (10, 110), (60, 110), (60, 10)} <= set(map(tuple, np.round(ends).tolist()))
    assert np.array_equal(layer.extent.data, extent)
    tool.cancel()
    desk.pointing.refresh()
    assert len(layer.data) == 0


def test_selected_objects_are_dashed_unless_that_takes_too_many(desk):
    item = desk.put(box(0, 0, 300, 300))
    desk.run("tool_select")
    desk.annotator.select([item.id])
    layer = layer_of(desk)
    assert len(layer.data) > 20
    assert len(np.unique(layer.edge_color, axis=0)) == 2
    angles = np.linspace(0, 2 * math.pi, 9000)
    radius = np.where(np.arange(9000) % 2, 300, 400)
    ring = np.stack([500 + radius * np.cos(angles), 500 + radius * np.sin(angles)], 1)
    large = desk.put(shapely.Polygon(ring))
    desk.annotator.select([large.id])
    assert len(layer.data) > 6000
    assert len(np.unique(layer.edge_color, axis=0)) == 1


def test_long_outlines_are_shown_where_they_are_seen_and_again_when_the_view_moves(desk):
    viewer = desk.annotator.session.viewer
    angles = np.linspace(0, 2 * math.pi, 20_000)
    large = desk.put(shapely.Polygon(np.stack([800 + 700 * np.cos(angles), 800 + 700 * np.sin(angles)], 1)))
    desk.run("tool_polygon")
    viewer.scene.camera.zoom = 200
    viewer.scene.camera.center = (800 * 0.5, 100 * 0.5)
    desk.annotator.select([large.id])
    layer = layer_of(desk)
    assert 0 < len(layer.data) < 6000
    assert layer.data[:, 0, 1].max() < 400
    viewer.scene.camera.center = (800 * 0.5, 1500 * 0.5)
    assert layer.data[:, 0, 1].min() > 1200


def test_steps_of_sizes_go_to_the_tool_in_hand_and_are_remembered(desk, settings):
    annotator = desk.annotator
    before = annotator.brush.size_um
    desk.run("larger")
    assert annotator.brush.size_um == pytest.approx(before * 1.25)
    desk.run("tool_wand")
    desk.run("larger")
    assert annotator.tolerance == 13
    desk.run("tool_similar")
    desk.run("larger")
    assert annotator.similarity == pytest.approx(0.68)
    annotator.set_brush(1e9)
    assert annotator.brush.size_um == LARGEST_UM
    annotator.set_brush(0, "square")
    assert (annotator.brush.size_um, annotator.brush.shape) == (SMALLEST_UM, "square")
    again = Annotator(desk.documents, desk.surroundings)
    assert (again.brush, again.tolerance) == (annotator.brush, 13)
    again.close()


def test_damaged_settings_are_not_taken(desk, settings):
    settings.set("annotator_brush_um", "wide")
    settings.set("annotator_tolerance", True)
    settings.set("annotator_similarity", 7)
    again = Annotator(desk.documents, desk.surroundings)
    assert (again.brush.size_um, again.tolerance, again.similarity) == (50, 12, 1)
    again.close()


def test_escape_goes_step_by_step(desk):
    item = desk.put(box(0, 0, 10, 10))
    desk.run("tool_polygon")
    desk.annotator.select([item.id])
    desk.annotator.tool.press(Pointer((50.0, 50.0)))
    for is_drawing, selected, name in ((False, 1, "polygon"), (False, 0, "polygon"), (False, 0, "")):
        desk.run("cancel")
        tool = desk.annotator.tool
        assert (tool is not None and tool.is_drawing, len(desk.annotator.selected)) == (is_drawing, selected)
        assert desk.annotator.tool_name == name


def test_backspace_takes_corners_and_then_objects(desk):
    item = desk.put(box(0, 0, 10, 10))
    desk.run("tool_polygon")
    desk.annotator.tool.press(Pointer((50.0, 50.0)))
    desk.annotator.select([item.id])
    desk.run("back")
    assert not desk.annotator.tool.is_drawing
    assert len(desk.annotator.document) == 1
    desk.run("back")
    assert len(desk.annotator.document) == 0
    desk.run("back")
    assert desk.told[-1] == "nothing is selected"


def test_undo_takes_corners_first(desk):
    desk.put(box(0, 0, 10, 10))
    desk.run("tool_polygon")
    desk.annotator.tool.press(Pointer((50.0, 50.0)))
    desk.run("undo")
    assert len(desk.annotator.document) == 1
    desk.run("undo")
    assert len(desk.annotator.document) == 0
    desk.run("redo")
    assert len(desk.annotator.document) == 1
    desk.run("redo")
    assert desk.told[-1] == "there is nothing to redo"


def test_drawing_shows_what_was_hidden(desk):
    desk.classes.add("tumor")
    desk.classes.toggle_visible("tumor")
    desk.run("hide")
    assert desk.documents.hidden
    desk.run("tool_points")
    desk.annotator.tool.press(Pointer((50.0, 50.0)))
    assert not desk.documents.hidden
    assert desk.annotator.document.class_named("tumor").visible
    assert len(desk.told) == 2


def test_commands_have_keys_of_their_own():
    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert len(BY_ACTION) == len(COMMANDS)


def test_the_page_lists_all_tools_and_keys():
    page = (Path(__file__).parents[2] / "docs" / "annotating.md").read_text("utf-8")
    for tool in TOOLS:
        assert f"| {tool.title} | `{tool.key}` | {tool.help} |\n" in page
    for command in COMMANDS:
        keys = " or ".join(f"`{key}`" for key in command.keys)
        assert f"| {keys} | {command.title.removeprefix('Annotator: ')} |\n" in page


def test_the_palette_has_what_needs_no_hand_on_the_canvas():
    manifest = PluginManifest.from_file(Path(napari_nic.__file__).with_name("napari.yaml"))
    listed = {command.id: command for command in manifest.contributions.commands}
    for command in IN_PALETTE:
        name = command.name.removeprefix(PREFIX)
        entry = listed[f"napari-nic.annotator_{name}"]
        assert entry.title == command.title
        assert entry.python_name == f"napari_nic.plugin.annotator_palette:{name}"


# -- what lies around ------------------------------------------------------------------------------------


def test_the_wand_looks_at_the_level_that_the_screen_shows(desk):
    slide = desk.annotator.session.slide
    fine = desk.surroundings.view_around(Pointer((700.0, 600.0), step=1.0))
    assert fine.scale == (1, 1)
    row, col = round(600 - fine.origin[0]), round(700 - fine.origin[1])
    assert fine.picture.shape[0] <= 512
    from napari_nic.geometry import RegionPx

    assert np.array_equal(fine.picture[row, col], slide.read_region(0, RegionPx(600, 700, 1, 1))[0, 0])
    coarse = desk.surroundings.view_around(Pointer((700.0, 600.0), step=4.0))
    assert coarse.scale == (4, 4)
    assert desk.surroundings.view_around(Pointer((-9000.0, 0.0))) is None


def test_what_the_wand_needs_next_is_read_beside_the_window(desk, monkeypatch):
    around, slide = desk.surroundings, desk.annotator.session.slide
    seen = around.view_around(Pointer((400.0, 500.0), step=1.0))
    around.look_ahead(Pointer((410.0, 500.0), step=1.0), seen)
    assert around._ahead is None, "it stays in the middle"
    around.look_ahead(Pointer((620.0, 500.0), step=1.0), seen)
    monkeypatch.setattr(type(slide), "read_region", lambda *_: pytest.fail("read in the window's thread"))
    ahead = around.view_around(Pointer((670.0, 510.0), step=1.0))
    assert ahead.pixel_at((670.0, 510.0)) is not None
    assert "wand" in vars(ahead), "its colours were looked at, too"
    around.look_ahead(Pointer((620.0, 500.0), step=1.0), seen)  # it is there already
    monkeypatch.undo()
    expected = around.view_around(Pointer((670.0, 510.0), step=4.0))
    assert expected.scale == (4, 4), "of another level nothing was read ahead"


def test_snapping_finds_the_tissue_first(desk):
    annotator = desk.annotator
    annotator.set_snaps(snaps=True)
    outline = tissue_of(desk)
    x, y = (
        outline.exterior.coords[0] if outline.geom_type == "Polygon" else outline.geoms[0].exterior.coords[0]
    )
    snapped = annotator.snapped(Pointer((x + 1, y + 1), step=1.0))
    assert outline.boundary.distance(Point(snapped)) < 1e-6
    far = Pointer((x + 1e5, y), step=1.0)
    assert annotator.snapped(far) == far.xy
    annotator.set_snaps(snaps=False)
    assert annotator.snapped(Pointer((x + 1, y + 1))) == (x + 1, y + 1)


def test_snapping_that_was_remembered_finds_the_tissue_at_its_first_use(desk, runner):
    desk.annotator.snaps = True
    runner.hold = True
    assert desk.annotator.snapped(Pointer((5.0, 5.0))) == (5.0, 5.0)
    assert len(runner.waiting) == 1
    desk.annotator.snapped(Pointer((6.0, 5.0)))
    assert len(runner.waiting) == 1, "it is traced once"
    runner.finish()
    outline = tissue_of(desk).boundary
    x, y = shapely.get_coordinates(outline)[0]
    assert outline.distance(Point(desk.annotator.snapped(Pointer((x + 1, y + 1))))) < 1e-6
    assert desk.annotator.snapped(Pointer((x + 1, y + 1), free=True)) == (x + 1, y + 1)


def test_snapping_follows_what_is_painted_into_the_mask(desk, runner):
    desk.annotator.set_snaps(snaps=True)
    desk.surroundings.outline._tissue.edit()
    (layer,) = [layer for layer in desk.annotator.session.viewer.layers if layer.name.startswith("Tissue")]
    layer.data_setitem(tuple(np.indices(layer.data.shape).reshape(2, -1)), 0)
    layer.data_setitem(tuple(np.indices((3, 4)).reshape(2, -1)), 1)
    size = np.array(layer.scale) / 0.5
    corner = (4 * size[1], 3 * size[0])
    desk.annotator.snapped(Pointer((0.0, 0.0)))
    assert desk.annotator.snapped(Pointer((corner[0] + 2, corner[1] + 2))) == pytest.approx(corner)
    way = desk.annotator.way(corner, Pointer((corner[0], 1.0)))
    assert way[-1] == pytest.approx((corner[0], 1.0))


def test_the_outline_of_a_mask_lies_on_its_elements(opened):
    mask = TissueMask(np.ones((4, 6), bool), Placement((8.0, 16.0), (2.0, 4.0)), "test")
    assert outline_of(mask, opened.slide.pixel_size).equals(box(32, 16, 80, 32))


def test_the_embedding_wand_follows_the_codes(opened, runner, slide_file, compress_file, answers):
    store = compress_file(slide_file)
    opened.find_store(any_encoder=False)
    desk = Desk(opened, runner)
    rows, cols = np.argwhere(store.encoded()).mean(axis=0).astype(int)
    top, left = store.grid.patch_corner_px(rows, cols)
    half = store.grid.stride_px * store.grid.downsample[0] / 2
    desk.annotator.set_similarity(-1)
    area = desk.annotator.similar_cells((left + half, top + half))
    cells = np.count_nonzero(store.encoded())
    cell_px = (2 * half) ** 2
    assert area.area == pytest.approx(cells * cell_px, rel=0.2)
    desk.annotator.set_similarity(0.99)
    assert 0 < desk.annotator.similar_cells((left + half, top + half)).area < area.area
    assert desk.annotator.similar_cells((-1000.0, 50.0)) is None
    assert "no code here" in answers.notices[-1]
    desk.close()


def test_without_codes_the_embedding_wand_says_so(desk, answers):
    desk.run("tool_similar")
    desk.annotator.tool.press(Pointer((500.0, 500.0)))
    desk.annotator.tool.release(Pointer((500.0, 500.0)))
    assert "compress it first" in answers.notices[-1]
    assert len(desk.annotator.document) == 0


# -- classes ---------------------------------------------------------------------------------------------


def names(desk):
    return [row.entry.name for row in desk.classes.rows()]


def test_classes_are_added_with_colours_keys_counts_and_areas(desk):
    desk.classes.add("tumor")
    desk.classes.add("stroma")
    desk.classes.add("  ")
    assert names(desk) == ["tumor", "stroma"]
    assert [row.entry.key for row in desk.classes.rows()] == [1, 2]
    assert desk.annotator.label == "stroma"
    desk.put(box(0, 0, 1000, 1000))
    desk.put(box(0, 0, 10, 10), "stroma")
    tumor, stroma = desk.classes.rows()
    assert (tumor.count, tumor.area_mm2) == (1, pytest.approx(0.25))
    assert stroma.area_mm2 == pytest.approx(25e-6)
    desk.run("undo")
    assert desk.classes.rows()[1].count == 0


def test_digits_choose_classes_and_change_selected_objects_with_the_select_tool(desk):
    desk.classes.add("tumor")
    desk.classes.add("stroma")
    item = desk.put(box(0, 0, 10, 10))
    desk.annotator.select([item.id])
    desk.run("tool_brush")
    desk.run("class_2")
    assert desk.annotator.label == "stroma"
    assert desk.annotator.document[item.id].label == "tumor"
    desk.run("tool_select")
    desk.run("class_2")
    assert desk.annotator.document[item.id].label == "stroma"
    assert desk.annotator.document.undo_title == "change class to stroma"
    desk.run("class_7")
    assert desk.told[-1] == "no class has the key 7"
    desk.classes.set_key("stroma", 7)
    desk.classes.set_key("tumor", 7)
    assert [row.entry.key for row in desk.classes.rows()] == [7, 2]


def test_renaming_takes_the_objects_along_as_one_step(desk):
    desk.classes.add("tumor")
    item = desk.put(box(0, 0, 10, 10))
    desk.classes.rename("tumor", "carcinoma")
    assert names(desk) == ["carcinoma"]
    assert desk.annotator.document[item.id].label == "carcinoma"
    assert desk.annotator.label == "carcinoma"
    desk.run("undo")
    assert names(desk) == ["tumor"]
    assert desk.annotator.document[item.id].label == "tumor"


def test_renaming_to_another_class_merges_both_and_deleting_keeps_objects(desk):
    for name in ("tumor", "carcinoma"):
        desk.classes.add(name)
        desk.put(box(0, 0, 10, 10), name)
    desk.classes.rename("tumor", "carcinoma")
    assert [(row.entry.name, row.count) for row in desk.classes.rows()] == [("carcinoma", 2)]
    desk.classes.delete("carcinoma")
    assert {item.label for item in desk.annotator.document.objects()} == {UNCLASSIFIED}
    assert desk.annotator.label == UNCLASSIFIED
    desk.run("undo")
    assert [(row.entry.name, row.count) for row in desk.classes.rows()] == [("carcinoma", 2)]


def test_locked_classes_refuse_and_say_so(desk):
    desk.classes.add("tumor")
    item = desk.put(box(0, 0, 10, 10))
    desk.classes.toggle_locked("tumor")
    desk.annotator.select([item.id])
    desk.annotator.delete()
    desk.classes.rename("tumor", "other")
    desk.classes.delete("tumor")
    assert len(desk.annotator.document) == 1
    assert names(desk) == ["tumor"]
    assert all("locked" in text for text in desk.told)
    assert len(desk.told) == 3


def test_sets_of_classes_are_remembered(desk, settings):
    desk.classes.add("tumor")
    desk.classes.recolor("tumor", (1, 2, 3))
    desk.classes.set_key("tumor", 5)
    desk.classes.remember_set("breast")
    desk.classes.delete("tumor")
    desk.classes.add("stroma")
    desk.classes.use_set("breast")
    rows = {row.entry.name: row.entry for row in desk.classes.rows()}
    assert (rows["tumor"].color, rows["tumor"].key) == ((1, 2, 3), 5)
    assert "stroma" in rows
    desk.classes.forget_set("breast")
    assert desk.classes.sets() == {}
    settings.set(SETS_SETTING, {"odd": [{"name": 3}, "x", {"name": "a", "color": [1, 2]}]})
    desk.classes.use_set("odd")
    assert desk.told[-1] == "the set odd holds no classes"


# -- lists -----------------------------------------------------------------------------------------------


def test_next_and_previous_go_round_and_move_the_view(desk):
    items = [desk.put(box(100 * n, 100, 100 * n + 50, 150)) for n in range(3)]
    centers = []
    for name, expected in (("next", 0), ("next", 1), ("previous", 0), ("previous", 2), ("next", 0)):
        desk.run(name)
        assert desk.annotator.selected == (items[expected].id,)
        centers.append(tuple(desk.annotator.session.viewer.scene.camera.center))
    assert centers[0] != centers[1]


def test_filters_list_by_class_name_size_and_measurement(desk):
    small = desk.put(box(0, 0, 10, 10))
    large = desk.put(box(0, 0, 100, 100), "stroma", measurements={"cells": 7.0})
    line = desk.put(LineString([(0, 0), (5, 5)]), kind="line")
    listed = desk.listed
    assert listed.ids == [small.id, large.id, line.id]
    for wanted, expected in (
        (Filter(label="stroma"), [large.id]),
        (Filter(text="STRO"), [large.id]),
        (Filter(least=100), [large.id]),
        (Filter(least=1, most=100), [small.id]),
        (Filter(least=5, measurement="cells"), [large.id]),
        (Filter(most=5, measurement="cells"), []),
    ):
        listed.set_filter(wanted)
        assert listed.ids == expected, wanted
    assert listed.summary() == "0 of 3 objects"
    listed.go(1)
    assert desk.told[-1] == "no object is listed"
    assert listed.measurements() == ("cells",)


def test_children_stand_below_their_parents_unless_these_are_filtered_out(desk):
    parent = desk.put(box(0, 0, 100, 100))
    child = desk.put(box(0, 0, 10, 10), "nucleus", parent=parent.id)
    orphan = desk.put(box(0, 0, 10, 10), "nucleus", parent="gone")
    assert desk.listed.children() == [parent.id, orphan.id]
    assert desk.listed.children(parent.id) == [child.id]
    desk.listed.set_filter(Filter(label="nucleus"))
    assert desk.listed.children() == [child.id, orphan.id]


def test_rows_are_not_listed_anew_for_a_change_of_shape(desk):
    item = desk.put(box(0, 0, 10, 10))
    assert desk.listed.ids == [item.id]
    heard, listed_anew = [], []
    desk.listed.touched.connect(heard.append)
    desk.listed.changed.connect(lambda: listed_anew.append(1))
    desk.annotator.document.put("move", item.with_geometry(box(5, 5, 20, 20)))
    assert (heard, listed_anew) == ([(item.id,)], [])
    desk.annotator.document.remove("delete", item.id)
    assert listed_anew == [1]


# -- operations ------------------------------------------------------------------------------------------


def test_operations_are_steps_and_select_what_they_made(desk):
    one, other = desk.put(box(0, 0, 100, 100)), desk.put(box(50, 0, 150, 100))
    desk.annotator.select([one.id, other.id])
    desk.run("merge")
    (merged,) = desk.annotator.items
    assert merged.annotation.geometry.equals(box(0, 0, 150, 100))
    desk.numbers.append(10.0)
    desk.run("expand")
    assert desk.annotator.items[0].annotation.geometry.bounds == pytest.approx((-20, -20, 170, 120))
    desk.numbers.append(None)
    desk.run("expand")
    desk.numbers.append(2.0)
    desk.run("simplify")
    desk.run("duplicate")
    assert len(desk.annotator.document) == 2
    desk.run("lock")
    assert desk.annotator.items[0].locked
    desk.run("lock")
    assert not desk.annotator.items[0].locked
    desk.run("fill")
    assert "holes" in desk.told[-1]
    for _ in range(6):
        desk.run("undo")
    assert [item.id for item in desk.annotator.document.objects()] == [one.id, other.id]


def test_the_inverse_is_within_the_tissue(desk):
    item = desk.put(box(0, 0, 700, 2000))
    desk.annotator.select([item.id])
    desk.run("invert")
    tissue = tissue_of(desk)
    (inverse,) = desk.annotator.items
    shape = inverse.annotation.geometry
    assert shape.area + tissue.intersection(box(0, 0, 700, 2000)).area == pytest.approx(area_of(tissue).area)


def test_the_last_shape_is_put_elsewhere(desk):
    desk.run("transfer")
    assert desk.told[-1] == "nothing was drawn yet"
    desk.run("tool_rectangle")
    tool = desk.annotator.tool
    tool.press(Pointer((0.0, 0.0)))
    tool.release(Pointer((100.0, 60.0)))
    desk.run("transfer")
    assert desk.annotator.items[0].annotation.geometry.bounds == (450, 470, 550, 530)


def test_copies_lie_at_the_same_micrometres_of_another_slide(
    desk, tmp_path, make_tiff, make_tissue, add_slide
):
    item = desk.put(box(0, 0, 100, 60))
    desk.run("paste")
    assert desk.told[-1] == "nothing was copied"
    desk.annotator.select([item.id])
    desk.run("copy")
    session = desk.annotator.session
    path = make_tiff(tmp_path / "other.tif", make_tissue(300, 400), factors=(1,), mpp=0.25)
    other = add_slide(session.viewer, path)
    session.select(other)
    assert len(desk.annotator.document) == 0
    desk.run("paste")
    assert desk.annotator.items[0].annotation.geometry.bounds == (0, 0, 200, 120)
    assert tag_of(other).slide is session.slide


def test_a_tool_follows_to_another_slide(desk, tmp_path, make_tiff, make_tissue, add_slide):
    desk.run("tool_brush")
    session = desk.annotator.session
    path = make_tiff(tmp_path / "other.tif", make_tissue(300, 400), factors=(1,), mpp=0.25)
    other = add_slide(session.viewer, path)
    session.select(other)
    if desk.annotator.tool is not None:
        assert tag_of(layer_of(desk)).slide is session.slide
    desk.run("tool_points")
    desk.annotator.tool.press(Pointer((10.0, 20.0)))
    assert len(desk.annotator.document) == 1
    assert tag_of(layer_of(desk)).slide is session.slide
