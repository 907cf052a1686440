"""What is drawn with napari's own tools, by real mouse events, arrives in the document: id, undo, journal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from napari._app_model.actions._file import new_shapes
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from shapely.geometry import Polygon

from napari_nic.editing import read_journal
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
