"""What is drawn with napari's own tools, by real mouse events, arrives in the document: id, undo, journal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from napari._app_model.actions._file import new_labels, new_points, new_shapes
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from shapely.geometry import LineString, Polygon, box

from napari_nic.annotations import read_annotations
from napari_nic.editing import DrawingClass, read_journal
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.nic_dock import NicDock

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("collected")]

TIMEOUT_MS = 20_000
NO_KEYS, NO_BUTTON = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.NoButton
LEFT = Qt.MouseButton.LeftButton
A, B, C, D = (300, 300), (700, 320), (680, 600), (320, 580)
"""Level-0 pixels (x, y) of the made slide."""


class Mouse:
    """A hand on the mouse, over the canvas."""

    def __init__(self, viewer, nic, qtbot) -> None:
        self.viewer, self.nic, self.qtbot = viewer, nic, qtbot
        self.held = NO_BUTTON
        self.canvas = viewer.window._qt_window._qt_viewer.canvas.native
        viewer.window._qt_window.resize(1200, 850)
        viewer.window._qt_window.show()
        turn(6)
        viewer.reset_view()
        turn()

    def at(self, place) -> QPoint:
        x, y = place
        world = np.array(self.nic.session.layer.data_to_world((y - 0.5, x - 0.5)))[-2:]
        camera = self.viewer.scene.camera
        down, right = (world - np.array(camera.center[-2:])) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + right), round(self.canvas.height() / 2 + down))

    def move(self, place) -> None:
        """Move until napari knows: what comes sooner than 5 ms after the move before, it does not take in."""
        where = self.at(place)
        self.qtbot.waitUntil(lambda: self.is_seen_after_a_move(where), timeout=TIMEOUT_MS)

    def is_seen_after_a_move(self, where: QPoint) -> bool:
        # QTest moves the screen's own pointer, and Qt tells nothing if that is there already.
        local, above = QPointF(where), QPointF(self.canvas.mapToGlobal(where))
        move = QMouseEvent(QEvent.Type.MouseMove, local, above, NO_BUTTON, self.held, NO_KEYS)
        QApplication.sendEvent(self.canvas, move)
        turn()
        return self.is_seen_at(where)

    def is_seen_at(self, where: QPoint) -> bool:
        seen = np.array(self.viewer.cursor.position)[-2:]
        camera = self.viewer.scene.camera
        down, right = (seen - np.array(camera.center[-2:])) * camera.zoom
        expected = where.x() - self.canvas.width() / 2, where.y() - self.canvas.height() / 2
        return bool(np.allclose((right, down), expected, atol=1.5))

    def click(self, place) -> None:
        self.move(place)
        QTest.mouseClick(self.canvas, LEFT, NO_KEYS, self.at(place))
        turn()

    def double_click(self, place) -> None:
        self.click(place)
        QTest.mouseDClick(self.canvas, LEFT, NO_KEYS, self.at(place))
        turn()

    def drag(self, *places) -> None:
        self.move(places[0])
        QTest.mousePress(self.canvas, LEFT, NO_KEYS, self.at(places[0]))
        self.held = LEFT
        turn()
        for start, end in pairwise(places):
            for share in (0.25, 0.5, 0.75, 1.0):
                self.move(np.array(start) + share * (np.array(end) - np.array(start)))
        QTest.mouseRelease(self.canvas, LEFT, NO_KEYS, self.at(places[-1]))
        self.held = NO_BUTTON
        turn()


def turn(times=3) -> None:
    for _ in range(times):
        QApplication.processEvents()


@pytest.fixture
def mouse(make_napari_viewer, slide_file, add_slide, qtbot):
    Settings().set(ENCODER_SETTING, "mean-rgb")
    viewer = make_napari_viewer()
    nic = NicDock(viewer)
    viewer.window.add_dock_widget(nic, name="NIC")
    add_slide(viewer, slide_file)
    made = Mouse(viewer, nic, qtbot)
    yield made
    nic.shut_down()


@pytest.fixture
def shapes(mouse):
    """napari's own new layer of shapes."""
    new_shapes(mouse.viewer)
    turn()
    return mouse.viewer.layers.selection.active


def kept(mouse, slide_file) -> tuple:
    """What is on the disk once everything is."""
    nic = mouse.nic
    while nic.runner.jobs:
        turn()
    found = read_journal(slide_file.with_name("made.nic.document"), nic.session.slide.fingerprint)
    assert found.notes == ()
    return found.state.objects


def assert_is_one_step(mouse, slide_file, qtbot, kind, drawn_as):
    """One object with an id, on the disk; undo takes it away, redo brings it back as what it was."""
    document = mouse.nic.documents.document
    (item,) = document.objects()
    assert item.annotation.kind == kind
    assert kept(mouse, slide_file) == (item,)
    layer = mouse.viewer.layers.selection.active
    QTest.keyClick(mouse.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    turn()
    assert document.objects() == ()
    assert len(layer.data) == 0
    assert kept(mouse, slide_file) == ()
    QTest.keyClick(
        mouse.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    turn()
    assert document.objects() == (item,)
    assert document.undo_title == "draw"
    if drawn_as:
        assert layer.shape_type == [drawn_as]
    assert kept(mouse, slide_file) == (item,)
    return item.annotation.geometry


def test_a_polygon_by_clicks(mouse, shapes, slide_file, qtbot):
    shapes.mode = "add_polygon"
    for corner in (A, B, C):
        mouse.click(corner)
        assert mouse.nic.documents.document.objects() == (), "it is none yet"
    mouse.double_click(D)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "polygon", "polygon")
    assert drawn.symmetric_difference(Polygon([A, B, C, D])).area < 0.02 * drawn.area


def test_a_rectangle_by_a_drag(mouse, shapes, slide_file, qtbot):
    shapes.mode = "add_rectangle"
    mouse.drag(A, C)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "rectangle", "rectangle")
    assert np.allclose(drawn.bounds, (*A, *C), atol=4)


def test_a_freehand_polygon_by_a_drag(mouse, shapes, slide_file, qtbot):
    shapes.mode = "add_polygon_lasso"
    mouse.drag(A, B, C, D, A)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "polygon", "polygon")
    assert drawn.symmetric_difference(Polygon([A, B, C, D])).area < 0.05 * drawn.area


def test_an_ellipse_by_a_drag(mouse, shapes, slide_file, qtbot):
    shapes.mode = "add_ellipse"
    mouse.drag(A, C)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "ellipse", "ellipse")
    assert np.allclose(drawn.bounds, (*A, *C), atol=4)
    assert drawn.area == pytest.approx(np.pi / 4 * box(*A, *C).area, rel=0.03)


def test_a_line_by_a_drag(mouse, shapes, slide_file, qtbot):
    shapes.mode = "add_line"
    mouse.drag(A, C)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "line", None)
    assert np.allclose(drawn.coords, (A, C), atol=4)


@pytest.mark.parametrize("mode", ["add_path", "add_polyline"])
def test_a_path(mouse, shapes, slide_file, qtbot, mode):
    shapes.mode = mode
    if mode == "add_path":
        mouse.drag(A, B, C)
    else:
        mouse.click(A)
        mouse.click(B)
        mouse.double_click(C)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "line", "path")
    assert drawn.hausdorff_distance(LineString([A, B, C])) < 12


def test_points_by_clicks(mouse, slide_file, qtbot):
    new_points(mouse.viewer)
    turn()
    mouse.viewer.layers.selection.active.mode = "add"
    mouse.click(A)
    drawn = assert_is_one_step(mouse, slide_file, qtbot, "point", None)
    assert np.allclose(drawn.coords, [A], atol=4)
    mouse.click(C)
    assert len(mouse.nic.documents.document) == 2
    mouse.nic.documents.undo()
    mouse.nic.documents.undo()
    assert len(mouse.nic.documents.document) == 0


def test_a_second_polygon_in_the_same_layer(mouse, shapes, slide_file):
    shapes.mode = "add_polygon"
    document = mouse.nic.documents.document
    for shift in (0, 420):
        for x, y in (A, B, C):
            mouse.click((x + shift, y))
        mouse.double_click((D[0] + shift, D[1]))
    first, second = document.objects()
    assert second.annotation.geometry.distance(first.annotation.geometry) > 0
    assert second.annotation.geometry.area == pytest.approx(first.annotation.geometry.area, rel=0.03)
    document.undo()
    assert document.objects() == (first,)
    assert len(shapes.data) == 1
    document.redo()
    assert kept(mouse, slide_file) == (first, second)


@pytest.fixture
def polygon(mouse, shapes):
    """A polygon of four corners that is drawn and selected."""
    shapes.mode = "add_polygon"
    for corner in (A, B, C):
        mouse.click(corner)
    mouse.double_click(D)
    (item,) = mouse.nic.documents.document.objects()
    shapes.mode = "direct"
    mouse.click((500, 450))
    assert shapes.selected_data == {0}
    return item


def test_corners_are_dragged_in_napari_s_direct_mode(mouse, shapes, polygon, slide_file):
    document = mouse.nic.documents.document
    for start, end in ((B, (800, 250)), (A, (250, 250)), ((250, 250), (270, 240))):
        mouse.drag(start, end)
        assert document.undo_title == "edit"
    drawn = document[polygon.id].annotation.geometry
    assert drawn.symmetric_difference(Polygon([(270, 240), (800, 250), C, D])).area < 0.03 * drawn.area
    assert kept(mouse, slide_file) == document.objects()
    for _ in range(3):
        document.undo()
    assert document[polygon.id].annotation.geometry.equals(polygon.annotation.geometry)
    assert len(shapes.data[0]) == 4


def test_corners_are_set_and_taken_away_by_clicks(mouse, shapes, polygon, slide_file):
    document = mouse.nic.documents.document
    shapes.mode = "vertex_insert"
    middle = (500, 310)
    mouse.click(middle)
    assert len(shapes.data[0]) == 5
    inserted = document[polygon.id].annotation.geometry
    assert len(inserted.exterior.coords) == 6
    shapes.mode = "direct"
    mouse.drag(middle, (500, 150))
    assert document[polygon.id].annotation.geometry.area > inserted.area + 20_000
    shapes.mode = "vertex_remove"
    mouse.click((500, 150))
    assert len(document[polygon.id].annotation.geometry.exterior.coords) == 5
    for _ in range(3):
        document.undo()
    assert document[polygon.id].annotation.geometry.equals(polygon.annotation.geometry)
    assert kept(mouse, slide_file) == document.objects()


def test_the_last_corners_that_are_taken_away_take_the_polygon_with_them(mouse, shapes, polygon):
    document = mouse.nic.documents.document
    shapes.mode = "vertex_remove"
    mouse.click(A)
    mouse.click(B)
    assert len(document) == 0
    document.undo()
    assert len(document[polygon.id].annotation.geometry.exterior.coords) == 4
    document.undo()
    assert document[polygon.id].annotation.geometry.equals(polygon.annotation.geometry)
    assert len(shapes.data) == 1


def test_a_shape_is_moved_as_a_whole_and_deleted_by_a_key(mouse, shapes, polygon):
    document = mouse.nic.documents.document
    shapes.mode = "select"
    mouse.drag((500, 450), (600, 500))
    moved = document[polygon.id].annotation.geometry
    assert moved.area == pytest.approx(polygon.annotation.geometry.area)
    assert moved.centroid.distance(polygon.annotation.geometry.centroid) == pytest.approx(112, abs=6)
    QTest.keyClick(mouse.canvas, Qt.Key.Key_Delete)
    turn()
    assert len(document) == 0
    document.undo()
    assert document[polygon.id].annotation.geometry.equals(moved)
    document.undo()
    assert document[polygon.id].annotation.geometry.equals(polygon.annotation.geometry)


@pytest.mark.parametrize("mode", ["direct", "select"])
def test_an_undo_while_a_corner_is_held_breaks_nothing(mouse, shapes, polygon, mode):
    """What is undone changes shapes below the mouse that napari has begun to drag."""
    document = mouse.nic.documents.document
    shapes.mode = mode
    mouse.move(B)
    QTest.mousePress(mouse.canvas, LEFT, NO_KEYS, mouse.at(B))
    mouse.held = LEFT
    mouse.move((720, 330))
    QTest.keyClick(mouse.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    turn()
    mouse.move((740, 340))
    QTest.mouseRelease(mouse.canvas, LEFT, NO_KEYS, mouse.at((740, 340)))
    mouse.held = NO_BUTTON
    turn()
    assert len(shapes.data) == len(document)


@pytest.fixture
def labels(mouse):
    """napari's own new layer of labels."""
    documents = mouse.nic.documents
    classes = (DrawingClass("tumor", (200, 0, 0)), DrawingClass("fat", (0, 200, 0)))
    documents.document.set_classes("classes", classes)
    documents.set_current_class("tumor")
    new_labels(mouse.viewer)
    turn()
    layer = mouse.viewer.layers.selection.active
    layer.brush_size = 40
    return layer


def test_a_stroke_of_napari_s_brush_is_an_object_that_is_undone_saved_and_opened_again(
    mouse, labels, slide_file, tmp_path
):
    document = mouse.nic.documents.document
    labels.mode = "paint"
    mouse.drag(A, B)
    (item,) = document.objects()
    assert item.label == "tumor"
    assert item.annotation.geometry.symmetric_difference(LineString([A, B]).buffer(20)).area < 2500
    assert item.annotation.geometry.area == np.count_nonzero(labels.data)
    assert kept(mouse, slide_file) == (item,)
    labels.mode = "erase"
    mouse.drag((500, 200), (500, 450))
    erased = document[item.id].annotation.geometry
    assert erased.geom_type == "MultiPolygon"
    for expected in (item.annotation.geometry, None):
        QTest.keyClick(mouse.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        turn()
        found = document.get(item.id)
        assert found is None if expected is None else found.annotation.geometry.equals(expected)
    assert not labels.data.any()
    for _ in range(2):
        QTest.keyClick(
            mouse.canvas,
            Qt.Key.Key_Z,
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
        )
        turn()
    assert document[item.id].annotation.geometry.equals(erased)
    assert np.count_nonzero(labels.data) == erased.area
    path = tmp_path / "painted.geojson"
    assert mouse.nic.annotating.save(path)
    (read,) = read_annotations(path).annotations
    assert (read.label, read.geometry.symmetric_difference(erased).area) == ("tumor", 0)
    assert kept(mouse, slide_file) == document.objects()


def test_classes_fill_and_polygon_of_napari_s_labels(mouse, labels):
    document = mouse.nic.documents.document
    labels.mode = "polygon"
    for corner in (A, B, C, D):
        mouse.click(corner)
    mouse.double_click(A)
    (item,) = document.objects()
    assert item.annotation.geometry.symmetric_difference(Polygon([A, B, C, D])).area < 6000
    mouse.nic.documents.set_current_class("fat")
    labels.mode = "paint"
    mouse.drag((500, 250), (500, 700))
    tumor, fat = document.objects()
    assert fat.label == "fat"
    assert tumor.annotation.geometry.intersection(fat.annotation.geometry).area == 0
    labels.mode = "fill"
    mouse.click((400, 450))
    assert [one.label for one in document.objects()] == ["tumor", "fat"]
    assert document.objects()[1].annotation.geometry.area > 2 * fat.annotation.geometry.area
    for _ in range(3):
        mouse.nic.documents.undo()
    assert document.objects() == ()
    assert not labels.data.any()
