"""The view turned and mirrored: what is seen where, without a window and in one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.turning import Turning
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.widgets.docking import VIEW, open_dock
from napari_nic.plugin.widgets.view_dock import ViewDock

BUTTON = Qt.MouseButton.LeftButton
TIMEOUT_MS = 60_000


@pytest.fixture
def turning(viewer):
    angles: list[float] = []
    made = Turning(viewer, angles.append)
    made.told = angles
    return made


def test_angles_go_round(turning):
    for by in (350, 20, -30):
        turning.turn(by)
    assert turning.told == [350, 10, 340]
    assert not turning.is_upright
    turning.reset()
    assert turning.is_upright


def test_a_quarter_turn_to_the_right_brings_what_is_left_to_the_top(turning):
    turning.set_angle(90)
    assert np.allclose(turning.to_world() @ (-1, 0), (0, -1)), (
        "a step up on the screen goes left on the slide"
    )


def test_the_mirror_is_naparis_own(turning, viewer):
    turning.mirror()
    assert [str(way) for way in viewer.scene.camera.orientation2d] == ["down", "left"]
    assert np.allclose(turning.to_world() @ (1, 1), (1, -1))
    turning.mirror()
    assert turning.is_upright


def test_where_it_cannot_be_turned_it_says_so(viewer):
    still = Turning(viewer)
    still.turn(90)
    assert still.angle == 0
    assert "cannot turn" in still.why_not()
    still.mirror()
    assert still.is_mirrored
    still.reset()
    assert still.is_upright


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(angle=st.floats(0, 360), mirrored=st.booleans())
def test_turning_changes_no_length(angle, mirrored):
    made = Turning(ViewerModel(), lambda _: None)
    made.set_angle(angle)
    if mirrored:
        made.mirror()
    matrix = made.to_world()
    assert np.allclose(matrix @ matrix.T, np.eye(2))
    assert np.linalg.det(matrix) == pytest.approx(-1 if mirrored else 1)


def test_a_turned_slide_is_seen_whole(turning, viewer, runner, answers, slide_file, add_slide):
    watch = SlideWatch(viewer)
    viewer.canvas.size = (400, 400)
    navigator = Navigator(watch, runner, answers, turning)
    add_slide(viewer, slide_file)
    for angle in (0, 45, 90):
        turning.set_angle(angle)
        navigator.fit()
        inverse = np.linalg.inv(turning.to_world())
        corners = np.array([(0, 0), (0, 1500), (1100, 1500), (1100, 0)]) - navigator.center()
        seen = corners / navigator.downsample @ inverse.T
        assert np.abs(seen).max() <= 200
    navigator.close()
    watch.close()


@pytest.mark.gui
class TestWindow:
    @pytest.fixture
    def view(self, make_napari_viewer, slide_file, add_slide, qtbot, collected):
        viewer = make_napari_viewer(show=True)
        dock = open_dock(viewer, ViewDock, VIEW)
        viewer.window._qt_window.resize(1000, 800)
        add_slide(viewer, slide_file)
        qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
        dock.navigator.magnify(20)
        yield dock
        dock.shut_down()

    @staticmethod
    def world(view, x: int, y: int) -> np.ndarray:
        canvas = view.watch.viewer.window._qt_viewer.canvas
        return np.array(canvas._map_canvas2world((x, y), canvas.view))

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("angle", [0, 30, 90, 215])
    def test_what_is_told_is_what_the_canvas_shows(self, view, angle, mirrored):
        if mirrored:
            view.turning.mirror()
        view.turning.set_angle(angle)
        QApplication.processEvents()
        height, width = view.watch.viewer.canvas.size
        corners = [self.world(view, x, y) for x, y in ((0, 0), (width, 0), (width, height), (0, height))]
        expected = np.array(corners) / 0.5 + 0.5
        assert np.allclose(view.navigator.field_of_view(), expected, atol=0.01)

    def test_a_drag_takes_along_what_is_under_the_pointer(self, view, qtbot):
        view.turning.set_angle(30)
        view.turning.mirror()
        native = view.watch.viewer.window._qt_viewer.canvas.native
        held = self.world(view, 200, 200)
        qtbot.mousePress(native, BUTTON, pos=QPoint(200, 200))
        for x, y in ((210, 204), (240, 220), (280, 240)):
            qtbot.mouseMove(native, QPoint(x, y))
            QApplication.processEvents()
        qtbot.mouseRelease(native, BUTTON, pos=QPoint(280, 240))
        assert np.allclose(self.world(view, 280, 240), held, atol=0.6)
        assert not np.allclose(self.world(view, 200, 200), held, atol=5)

    def test_all_that_is_seen_is_read(self, view, qtbot):
        """napari asks two corners of the canvas which part of the pyramid it needs."""
        view.turning.set_angle(45)
        view.navigator.magnify(40)
        view.watch.viewer.screenshot(flash=False)
        layer = view.watch.layer
        seen = view.navigator.field_of_view()
        low, high = layer.corner_pixels * layer.downsample_factors[layer.data_level]
        assert (low <= np.maximum(seen.min(axis=0), 0) + 1).all()
        assert (high >= np.minimum(seen.max(axis=0), (1100, 1500)) - 2).all()

    def test_keys_turn_and_upright_leaves_napari_as_it_was(self, view, qtbot):
        canvas = view.watch.viewer.window._qt_viewer.canvas
        plain = type(canvas)
        both = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier
        qtbot.keyClick(canvas.native, Qt.Key.Key_Right, both)
        assert view.turning.angle == 15
        assert view.turn_section.angle.value() == 15
        qtbot.keyClick(canvas.native, Qt.Key.Key_End, both)
        assert view.turning.is_upright
        assert type(canvas) is plain
        assert "pan" not in vars(canvas.camera._2D_camera)
        qtbot.keyClick(canvas.native, Qt.Key.Key_Left, both)
        view.shut_down()
        assert type(canvas) is plain
