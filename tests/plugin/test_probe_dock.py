"""Learning while drawing in a real window: strokes by the mouse, the map on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject
from napari_nic.pipeline import GridOptions
from napari_nic.plugin.widgets.docking import LEARNING, open_dock
from napari_nic.plugin.widgets.probe_dock import ProbeDock

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("collected")]

TIMEOUT_MS = 20_000


@pytest.fixture
def learning(window, slide_file, compress_file, add_slide):
    """The window with the slide, all of it compressed, and the dock in front of the other one."""
    compress_file(slide_file, options=GridOptions(min_tissue=0, stride=32))
    viewer, nic = window
    add_slide(viewer, slide_file)
    viewer.window._qt_window.resize(1200, 900)
    viewer.window._qt_window.show()
    dock = open_dock(viewer, ProbeDock, LEARNING)
    QApplication.processEvents()
    yield viewer, nic, dock
    dock.shut_down()


def on_canvas(viewer, y_um: float, x_um: float) -> QPoint:
    """Where a place of the world is seen."""
    camera, size = viewer.scene.camera, np.array(viewer.canvas.size)
    y, x = (np.array([y_um, x_um]) - camera.center[-2:]) * camera.zoom + size / 2
    return QPoint(round(x), round(y))


def lasso(viewer, corners) -> None:
    """Draw around a place with the mouse held down."""
    canvas = viewer.window._qt_viewer.canvas.native
    places = [on_canvas(viewer, *corner) for corner in corners]
    left = Qt.MouseButton.LeftButton
    QTest.mouseMove(canvas, places[0])
    QTest.mousePress(canvas, left, Qt.KeyboardModifier.NoModifier, places[0])
    for start, end in zip(places, places[1:] + places[:1], strict=True):
        for share in np.linspace(0, 1, 5):
            QTest.mouseMove(canvas, start + (end - start) * float(share))
            QApplication.processEvents()
    QTest.mouseRelease(canvas, left, Qt.KeyboardModifier.NoModifier, places[0])
    QApplication.processEvents()


def box(top: float, left: float, side: float = 90.0) -> list[tuple[float, float]]:
    return [(top, left), (top, left + side), (top + side, left + side), (top + side, left)]


def dark_and_light(nic) -> tuple[tuple[float, float], tuple[float, float]]:
    """Micrometres of a place in tissue and of one on glass."""
    store = nic.session.store
    bright = store.read().astype(float).mean(axis=2)
    places = [np.unravel_index(index, bright.shape) for index in (bright.argmin(), bright.argmax())]
    return tuple(store.grid.placement.corner_um(row - 1, col - 1) for row, col in places)


def test_two_areas_drawn_with_the_mouse_paint_the_slide(learning, qtbot):
    viewer, nic, dock = learning
    for label, place in zip(("tissue", "glass"), dark_and_light(nic), strict=True):
        edit = dock.section.label.lineEdit()
        edit.setText(label)
        qtbot.mouseClick(dock.section.area, Qt.MouseButton.LeftButton)
        lasso(viewer, box(*place))
    qtbot.waitUntil(lambda: dock.probing.is_shown, timeout=TIMEOUT_MS)
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    assert nic.annotating.annotations().counts() == {"tissue": 1, "glass": 1}
    found = dock.probing.learned.found
    names = np.array(found.probe.class_names)[found.raster()]
    assert 0.1 < (names == "tissue").mean() < 0.9
    dock.section.refresh()
    assert dock.section.show_map.isChecked()
    assert "Few strokes" in dock.section.warnings.text()
    qtbot.mouseClick(dock.section.goto, Qt.MouseButton.LeftButton)
    assert len(dock.probing._visited) == 1


def test_controls_say_why_they_wait(window, qtbot):
    viewer, _ = window
    dock = open_dock(viewer, ProbeDock, LEARNING)
    assert dock.section.hint.text() == "Open a slide first"
    for control in (dock.section.goto, dock.section.show_map, dock.use_section.export, dock.use_section.save):
        assert not control.isEnabled()
    assert dock.section.line.toolTip() == "Open a slide first"
    dock.shut_down()


def test_what_the_annotator_draws_is_learned_too(learning, qtbot):
    """Its tools put objects into the slide's document, and an undo takes them out again."""
    _, nic, dock = learning
    for label, (y, x) in zip(("tissue", "glass"), dark_and_light(nic), strict=True):
        area = shapely.box(x / 0.5, y / 0.5, (x + 90) / 0.5, (y + 90) / 0.5)
        nic.documents.document.put("draw", AnnotationObject.new(Annotation(label, "polygon", area)))
    qtbot.waitUntil(lambda: dock.probing.is_shown, timeout=TIMEOUT_MS)
    assert set(dock.probing.learned.counts) == {"tissue", "glass"}
    nic.documents.undo()
    qtbot.waitUntil(lambda: set(dock.probing.learned.counts) == {"tissue"}, timeout=TIMEOUT_MS)
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    assert not dock.probing.is_shown
