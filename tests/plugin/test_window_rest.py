"""The window that rests: nothing is drawn during a change of layers, and everything after it."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_nic.plugin.widgets.rows import ProgressBar
from napari_nic.plugin.widgets.window_rest import FRAME_MS, is_resting, main_window, resting_window

pytestmark = pytest.mark.gui


class Painted(QWidget):
    """Counts how often it is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def paintEvent(self, event: QObject) -> None:  # noqa: N802 -- Qt's name and signature
        self.times += 1


@pytest.fixture
def shown(qtbot):
    """A main window with a widget that counts, and a dock."""
    window, dock = QMainWindow(), QDockWidget()
    qtbot.addWidget(window)
    painted = Painted()
    window.setCentralWidget(painted)
    dock.setWidget(QWidget())
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    with qtbot.waitExposed(window):
        window.show()
    qtbot.waitUntil(lambda: painted.times > 0)
    return window, dock, painted


def test_nothing_is_drawn_until_the_body_has_ended(shown, qtbot, qapp):
    _, dock, painted = shown
    times = painted.times
    with resting_window(dock.widget()):
        painted.repaint()  # would draw at once
        painted.update()
        assert painted.times == times
    qtbot.waitUntil(lambda: painted.times > times)


def test_rest_within_rest_ends_with_the_outer_one(shown, qtbot):
    window, dock, painted = shown
    with resting_window(dock.widget()):
        with resting_window(dock.widget()):
            pass
        assert is_resting(dock.widget())
    times = painted.times
    qtbot.waitUntil(lambda: not is_resting(dock.widget()))
    assert window.updatesEnabled()
    qtbot.waitUntil(lambda: painted.times > times)


def test_window_wakes_when_the_body_fails(shown, qtbot):
    _, dock, _ = shown
    with pytest.raises(LookupError), resting_window(dock.widget()):
        raise LookupError
    qtbot.waitUntil(lambda: not is_resting(dock.widget()))


def test_a_window_that_is_gone_by_then_is_no_trouble(qtbot):
    window, dock = QMainWindow(), QDockWidget()
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    with resting_window(dock):
        pass
    with qtbot.waitSignal(window.destroyed):
        window.deleteLater()
    later = QTimer()
    later.setSingleShot(True)
    with qtbot.captureExceptions() as raised, qtbot.waitSignal(later.timeout):
        later.start(2 * FRAME_MS)
    assert not raised


@pytest.mark.parametrize("floating", [False, True])
def test_a_floating_dock_belongs_to_the_same_window(shown, floating):
    window, dock, _ = shown
    dock.setFloating(floating)
    assert main_window(dock.widget()) is window


def test_progress_is_drawn_with_the_rest_and_not_at_once(qtbot):
    class Bar(ProgressBar):
        times = 0

        def paintEvent(self, event: QObject) -> None:  # noqa: N802 -- Qt's name
            super().paintEvent(event)
            self.times += 1

    bar = Bar()
    qtbot.addWidget(bar)
    bar.resize(200, 30)
    with qtbot.waitExposed(bar):
        bar.show()
    qtbot.waitUntil(lambda: bar.times > 0)
    times = bar.times
    bar.setValue(50)
    assert bar.times == times
    qtbot.waitUntil(lambda: bar.times > times)
    assert bar.value() == 50
