"""The annotator in a real window: drawn with mouse and keys, taken back, saved, opened anew."""

from __future__ import annotations

import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from shapely.geometry import box

from napari_nic.annotations import Annotation, read_annotations
from napari_nic.editing import AnnotationObject
from napari_nic.plugin import shortcuts
from napari_nic.plugin.controllers.commands import BY_ACTION, COMMANDS
from napari_nic.plugin.controllers.object_list import Filter
from napari_nic.plugin.drawing_layer import DrawingLayer
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.docking import find_dock
from napari_nic.plugin.widgets.nic_dock import NicDock

pytestmark = pytest.mark.gui

NONE = Qt.KeyboardModifier.NoModifier
LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton


class Hand:
    """A hand on mouse and keyboard, over the canvas."""

    def __init__(self, viewer, dock) -> None:
        self.viewer, self.dock = viewer, dock
        self.canvas = viewer.window._qt_window._qt_viewer.canvas.native
        viewer.window._qt_window.show()
        viewer.window._qt_window.resize(1300, 900)
        turn(10)
        viewer.reset_view()
        turn()

    def at(self, x, y) -> QPoint:
        """Place on the canvas of a level-0 pixel of the slide."""
        slide = self.dock.annotator.session.slide
        world = np.array([y, x]) * slide.pixel_size.y - slide.pixel_size.y / 2
        camera = self.viewer.scene.camera
        offset = (world - np.array(camera.center[-2:])) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + offset[1]), round(self.canvas.height() / 2 + offset[0]))

    def click(self, x, y, modifier=NONE) -> None:
        self.move(x, y)
        QTest.mouseClick(self.canvas, LEFT, modifier, self.at(x, y))
        turn()

    def double_click(self, x, y) -> None:
        """What a user's double click is for Qt: a press, a release, the second press as a double click."""
        self.click(x, y)
        QTest.mouseDClick(self.canvas, LEFT, NONE, self.at(x, y))
        turn()

    def move(self, x, y) -> None:
        QTest.mouseMove(self.canvas, self.at(x, y))
        turn()

    def drag(self, *places, modifier=NONE, button=LEFT) -> None:
        QTest.mousePress(self.canvas, button, modifier, self.at(*places[0]))
        for place in places[1:]:
            QTest.mouseMove(self.canvas, self.at(*place))
            turn()
        QTest.mouseRelease(self.canvas, button, modifier, self.at(*places[-1]))
        turn()

    def key(self, key, modifier=NONE) -> None:
        QTest.keyClick(self.canvas, key, modifier)
        turn()

    @property
    def objects(self):
        return self.dock.annotator.document.objects()


def turn(times=2) -> None:
    for _ in range(times):
        QApplication.processEvents()


@pytest.fixture
def hand(with_slide):
    viewer, _ = with_slide
    dock = AnnotatorDock(viewer)
    viewer.window.add_dock_widget(dock, name="Annotator")
    yield Hand(viewer, dock)
    dock.shut_down()


def test_napari_s_status_says_the_length_that_is_being_measured(hand):
    hand.dock.tool_section.buttons["measure"].click()
    (layer,) = (layer for layer in hand.viewer.layers if isinstance(layer, DrawingLayer))
    hand.click(300, 300)
    hand.move(500, 300)
    length = layer.get_status((300, 500), world=True)["value"]
    assert length == hand.dock.annotator.tool.sketch.text != ""
    hand.key(Qt.Key.Key_Escape)
    assert layer.get_status((300, 500), world=True)["value"] != length


def test_a_day_s_work_by_mouse_and_keys_is_taken_back_saved_and_opened_anew(hand, tmp_path, qtbot):
    dock = hand.dock
    for name in ("Tumor", "Stroma"):
        dock.classes.add(name)
    hand.dock.tool_section.buttons["polygon"].click()
    hand.key(Qt.Key.Key_1)
    for corner in ((300, 300), (600, 300), (600, 600)):
        hand.click(*corner)
    zoom = hand.viewer.scene.camera.zoom
    hand.double_click(300, 600)
    assert hand.viewer.scene.camera.zoom == zoom  # napari zooms on a double click
    (polygon,) = hand.objects
    assert polygon.label == "Tumor"
    assert polygon.annotation.geometry.symmetric_difference(box(300, 300, 600, 600)).area < 6000

    hand.key(Qt.Key.Key_2)
    hand.key(Qt.Key.Key_F)
    hand.drag((800, 300), (1000, 300), (1000, 500), (800, 500), (800, 320))
    assert len(hand.objects) == 2
    assert hand.objects[1].label == "Stroma"

    hand.key(Qt.Key.Key_1)
    hand.key(Qt.Key.Key_B)
    before = dock.annotator.brush.size_um
    hand.key(Qt.Key.Key_BracketRight)
    assert dock.annotator.brush.size_um > before
    hand.drag((590, 450), (700, 450), (760, 450))
    grown = hand.objects[0].annotation.geometry
    assert grown.area > polygon.annotation.geometry.area
    hand.key(Qt.Key.Key_X)
    hand.drag((450, 450), (451, 450))
    erased = hand.objects[0].annotation.geometry
    assert erased.area < grown.area
    assert len(erased.interiors) == 1

    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert hand.objects[0].annotation.geometry.equals(grown)
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert hand.objects[0].annotation.geometry.equals(erased)

    path = tmp_path / "work.geojson"
    nic = find_dock(hand.viewer, NicDock)
    assert nic.annotating.save(path)
    read = read_annotations(path)
    assert [a.label for a in read.annotations] == ["Tumor", "Stroma"]
    assert read.annotations[0].geometry.symmetric_difference(erased).area < 1
    kept = hand.objects
    while hand.dock.annotator.document.undo() is not None:
        pass
    assert len(hand.objects) == 0
    nic.annotating.open(path)
    qtbot.waitUntil(lambda: len(hand.objects) == 2, timeout=20_000)
    assert [item.label for item in hand.objects] == [item.label for item in kept]


def test_modifiers_are_add_and_subtract_and_not_napari_s_zoom(hand):
    hand.dock.annotator.set_tool("rectangle")
    hand.drag((300, 300), (400, 400), (600, 600))
    area = hand.objects[0].annotation.geometry.area
    zoom = hand.viewer.scene.camera.zoom
    hand.drag((500, 500), (600, 600), (800, 800), modifier=Qt.KeyboardModifier.ShiftModifier)
    assert len(hand.objects) == 1
    assert hand.objects[0].annotation.geometry.area > area
    hand.drag((250, 250), (300, 300), (450, 450), modifier=Qt.KeyboardModifier.AltModifier)
    assert hand.viewer.scene.camera.zoom == zoom
    assert len(hand.objects) == 1
    shape = hand.objects[0].annotation.geometry
    assert not shape.contains(box(310, 310, 430, 430))


def test_the_slide_is_moved_with_space_or_the_middle_button_and_the_tool_stays(hand):
    hand.dock.annotator.set_tool("polygon")
    camera = hand.viewer.scene.camera
    before = np.array(camera.center)
    hand.drag((400, 400), (500, 450), button=MIDDLE)
    assert not np.allclose(camera.center, before)
    assert len(hand.objects) == 0
    before = np.array(camera.center)
    QTest.keyPress(hand.canvas, Qt.Key.Key_Space)
    hand.drag((400, 400), (450, 450), (500, 480))
    QTest.keyRelease(hand.canvas, Qt.Key.Key_Space)
    turn()
    assert not np.allclose(camera.center, before)
    assert hand.dock.annotator.tool_name == "polygon"
    assert not hand.dock.annotator.tool.is_drawing
    before = np.array(camera.center)
    hand.drag((400, 400), (500, 450))
    assert np.allclose(camera.center, before)
    assert hand.dock.annotator.tool.is_drawing


def test_control_and_the_wheel_change_the_brush_and_do_not_zoom(hand, qtbot):
    from qtpy.QtCore import QPointF
    from qtpy.QtGui import QWheelEvent

    hand.dock.annotator.set_tool("brush")
    before, zoom = hand.dock.annotator.brush.size_um, hand.viewer.scene.camera.zoom
    place = QPointF(hand.at(500, 500))
    event = QWheelEvent(
        place,
        hand.canvas.mapToGlobal(place),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(hand.canvas, event)
    turn()
    assert hand.dock.annotator.brush.size_um == pytest.approx(before * 1.25)
    assert hand.viewer.scene.camera.zoom == zoom
    assert hand.viewer.cursor.size == pytest.approx(hand.dock.annotator.brush.size_um)


def test_keys_are_napari_s_again_when_no_tool_is_active(hand):
    viewer, slide = hand.viewer, hand.viewer.layers[0]
    shapes = viewer.add_shapes(name="mine")
    hand.key(Qt.Key.Key_P)
    assert shapes.mode == "add_polygon"
    hand.key(Qt.Key.Key_5)
    assert shapes.mode == "select"
    hand.dock.annotator.set_tool("brush")
    hand.key(Qt.Key.Key_P)
    assert hand.dock.annotator.tool_name == "polygon"
    assert shapes.mode != "add_polygon"
    viewer.layers.selection.active = shapes
    turn()
    assert hand.dock.annotator.tool is None
    hand.key(Qt.Key.Key_R)
    assert shapes.mode == "add_rectangle"
    viewer.layers.selection.active = slide
    hand.key(Qt.Key.Key_2)
    assert slide.mode == "transform"
    hand.key(Qt.Key.Key_1)
    assert slide.mode == "pan_zoom"


def test_the_dock_says_whose_the_keys_are(hand):
    section = hand.dock.tool_section
    section.refresh()
    assert "napari" in section.keys.text()
    hand.dock.annotator.set_tool("brush")
    section.refresh()
    assert "the annotator's" in section.keys.text()
    assert section.buttons["brush"].isChecked()
    assert not section.buttons["polygon"].isChecked()


def test_keys_stand_in_the_preferences_and_may_be_changed(hand):
    from napari._qt.widgets.qt_keyboard_settings import ShortcutEditor

    editor = ShortcutEditor()
    listed = editor.key_bindings_strs[editor.VIEWER_KEYBINDINGS]
    assert set(BY_ACTION) <= set(listed)
    name = "napari-nic:annotator_tool_brush"
    try:
        action_manager.unbind_shortcut(name)
        action_manager.bind_shortcut(name, "Y")
        hand.dock.annotator.set_tool("polygon")
        hand.key(Qt.Key.Key_B)
        assert hand.dock.annotator.tool_name == "polygon"
        hand.key(Qt.Key.Key_Y)
        assert hand.dock.annotator.tool_name == "brush"
        assert shortcuts.keys_of(name) == ("Y",)
        turn()
        assert "(Y)" in hand.dock.tool_section.buttons["brush"].toolTip()
    finally:
        action_manager.unbind_shortcut(name)
        action_manager.bind_shortcut(name, "B")
        editor.close()
        editor.deleteLater()


def test_commands_of_the_palette_run_in_the_window(hand):
    from napari._app_model import get_app_model

    commands = get_app_model().commands
    commands.execute_command("napari-nic.annotator_tool_brush").result()
    assert hand.dock.annotator.tool_name == "brush"
    commands.execute_command("napari-nic.annotator_hide").result()
    assert hand.dock.annotator.documents.hidden


def test_no_key_of_ours_reaches_past_the_drawing_layer(hand):
    from napari.components import ViewerModel
    from napari.layers import Shapes, Vectors

    ours = {str(key) for key in DrawingLayer.class_keymap}
    assert len(ours) == sum(len(command.keys) for command in COMMANDS)
    for kind in (ViewerModel, Shapes, Vectors):
        assert not any("annotator" in getattr(f, "__name__", "") for f in kind.class_keymap.values())
    assert set(get_settings().shortcuts.shortcuts) & set(BY_ACTION) == set()


def test_rows_and_canvas_select_each_other(hand):
    items = [
        AnnotationObject.new(Annotation("Tumor", "polygon", box(300 * n, 300, 300 * n + 200, 500)))
        for n in range(3)
    ]
    hand.dock.annotator.document.put("draw", *items)
    turn(5)
    tree, model = hand.dock.object_section.tree, hand.dock.object_section.model
    assert model.rowCount() == 3
    hand.dock.annotator.set_tool("select")
    hand.click(400, 400)
    assert hand.dock.annotator.selected == (items[1].id,)
    assert [model.id_at(index) for index in tree.selectionModel().selectedRows()] == [items[1].id]
    tree.setFocus()
    QTest.keyClick(tree, Qt.Key.Key_Down)
    turn()
    assert hand.dock.annotator.selected == (items[2].id,)
    QTest.keyClick(tree, Qt.Key.Key_Delete)
    turn(5)
    assert model.rowCount() == 2
    assert hand.dock.annotator.document.undo_title == "delete"


def test_classes_by_the_keyboard(hand):
    section = hand.dock.class_section
    section.new_name.setFocus()
    for name in ("Tumor", "Stroma"):
        QTest.keyClicks(section.new_name, name)
        QTest.keyClick(section.new_name, Qt.Key.Key_Return)
        turn(5)
    assert hand.dock.annotator.label == "Stroma"
    section.tree.setFocus()
    QTest.keyClick(section.tree, Qt.Key.Key_Up)
    QTest.keyClick(section.tree, Qt.Key.Key_Return)
    turn(5)
    assert hand.dock.annotator.label == "Tumor"
    QTest.keyClick(section.tree, Qt.Key.Key_V)
    QTest.keyClick(section.tree, Qt.Key.Key_L)
    turn(5)
    entry = hand.dock.annotator.document.class_named("Tumor")
    assert (entry.visible, entry.locked) == (False, True)
    QTest.keyClick(section.tree, Qt.Key.Key_2)
    assert hand.dock.annotator.label == "Stroma"


def test_the_list_of_classes_is_as_high_as_it_has_rows_to_a_limit(hand):
    section = hand.dock.class_section
    tree, heights = section.tree, []
    for count in (5, 8, 14):
        for number in range(tree.topLevelItemCount(), count):
            section.classes.add(f"class {number}")
        turn(5)
        heights.append(tree.height())
    row = tree.visualItemRect(tree.topLevelItem(0)).height()
    assert heights[1] - heights[0] == 3 * row
    assert heights[2] - heights[1] == row  # the ninth; the rest is scrolled
    assert tree.viewport().height() >= 9 * row


def test_a_hundred_thousand_objects_stand_in_the_tree(hand, qtbot):
    """Rows are made when they are looked at: what is asked of the list is what is seen, and no more."""
    annotator = hand.dock.annotator
    items = [
        AnnotationObject(
            str(n), Annotation("Nucleus", "point", box(n % 1000, n // 1000, n % 1000 + 1, n // 1000 + 1))
        )
        for n in range(100_000)
    ]
    document = annotator.document
    model, section = hand.dock.object_section.model, hand.dock.object_section
    with hand.dock.annotator.documents.views._quiet():  # how they are drawn is not what is looked at
        document.put("open", *items)
    turn(5)
    assert model.rowCount() == 100
    assert model.data(model.index(99, 0)) == "99,001 to 100,000"
    assert len(model._keys) < 200
    index = model.index_of("54321")
    assert model.id_at(index) == "54321"
    assert model.data(index.parent()) == "54,001 to 55,000"
    assert model.rowCount(index.parent()) == 1000
    section.tree.scrollTo(index)
    turn(5)
    assert section.tree.isExpanded(index.parent())
    assert len(model._keys) < 1500
    late = AnnotationObject.new(Annotation("Nucleus", "polygon", box(0, 0, 9, 9)))
    with hand.dock.annotator.documents.views._quiet():
        document.put("draw", late)
        assert model.rowCount() == 101
        assert model.id_at(model.index(0, 0, model.index(100, 0))) == late.id
        document.undo()
        assert model.rowCount() == 100
    hand.dock.listed.set_filter(Filter(text="no such name"))
    assert model.rowCount() == 0
