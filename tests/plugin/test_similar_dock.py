"""The dock *Find similar* by mouse and key, in a real window."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_nic.plugin.widgets.similar_dock import SimilarDock

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000
LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def shown(window, slide_file, compress_file, add_slide, qtbot):
    """The window with the made slide, compressed, and both docks."""
    compress_file(slide_file)
    viewer, nic = window
    add_slide(viewer, slide_file)
    dock = SimilarDock(viewer)
    viewer.window.add_dock_widget(dock, name="Find similar")
    frame = viewer.window._qt_window
    frame.resize(1300, 900)
    frame.show()
    qtbot.waitExposed(frame)
    viewer.reset_view()
    settle(dock, qtbot)
    yield viewer, nic, dock
    dock.shut_down()


def settle(dock, qtbot) -> None:
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()
    QApplication.processEvents()


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def place_of(viewer, cell, session) -> QPoint:
    """Where the middle of a cell is on the canvas."""
    y, x = session.store.grid.placement.corner_um(cell[0] + 0.5, cell[1] + 0.5)
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    down = (y - camera.center[-2]) * camera.zoom + height / 2
    right = (x - camera.center[-1]) * camera.zoom + width / 2
    ratio = canvas_of(viewer).devicePixelRatio()
    return QPoint(round(right / ratio), round(down / ratio))


def click(viewer, place, qtbot, *, by=(0, 0), moves=(0.5, 1)) -> None:
    canvas = canvas_of(viewer)
    qtbot.mouseMove(canvas, place)
    qtbot.mousePress(canvas, LEFT, NO_KEYS, place)
    QApplication.processEvents()
    end = place + QPoint(*by)
    if by != (0, 0):
        for share in moves:
            qtbot.mouseMove(canvas, place + QPoint(round(by[0] * share), round(by[1] * share)))
            QApplication.processEvents()
    qtbot.mouseRelease(canvas, LEFT, NO_KEYS, end)
    QApplication.processEvents()


def test_a_click_asks_while_picking_and_escape_ends_it(shown, qtbot):
    viewer, nic, dock = shown
    section, session = dock.similar_section, nic.session
    click(viewer, place_of(viewer, (4, 5), session), qtbot)
    assert not dock.runner.jobs, "a click is napari's"
    qtbot.mouseClick(section.pick, LEFT)
    assert section.pick.isChecked()
    click(viewer, place_of(viewer, (4, 5), session), qtbot)
    settle(dock, qtbot)
    qtbot.waitUntil(lambda: dock.similar.query is not None)
    assert dock.similar.query.what == "cell 4, 5"
    qtbot.waitUntil(section.toggle.isChecked)
    assert dock.map_section.legend.title.text() == "Similarity to cell 4, 5"
    qtbot.keyClick(canvas_of(viewer), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not section.pick.isChecked())
    before = dock.similar.query
    click(viewer, place_of(viewer, (5, 5), session), qtbot)
    settle(dock, qtbot)
    assert dock.similar.query is before


def test_a_drag_asks_nothing_where_a_busy_window_hears_of_its_end_alone(shown, qtbot):
    viewer, nic, dock = shown
    dock.similar.pick(on=True)
    click(viewer, place_of(viewer, (4, 5), nic.session), qtbot, by=(60, 40), moves=())
    settle(dock, qtbot)
    assert dock.similar.query is None
    assert dock.similar.picking.is_on


def test_a_drag_pans_and_asks_nothing(shown, qtbot):
    viewer, nic, dock = shown
    dock.similar.pick(on=True)
    before = viewer.scene.camera.center
    click(viewer, place_of(viewer, (4, 5), nic.session), qtbot, by=(60, 40))
    settle(dock, qtbot)
    assert dock.similar.query is None
    assert viewer.scene.camera.center != before
    assert dock.similar.picking.is_on


def test_who_turns_to_another_layer_has_done_with_picking(shown, qtbot):
    viewer, _, dock = shown
    dock.similar.pick(on=True)
    viewer.add_shapes()
    assert not dock.similar.picking.is_on
    active = viewer.layers.selection.active
    assert active.name == "Shapes"
    dock.similar.pick(on=True)
    qtbot.keyClick(dock.similar_section.pick, Qt.Key.Key_Escape)
    assert not dock.similar.picking.is_on
    assert viewer.layers.selection.active is active, "what was worked on is active again"


def test_the_slider_hides_cells_and_a_button_outlines_them(shown, qtbot):
    viewer, nic, dock = shown
    section = dock.similar_section
    dock.similar.pick(on=True)
    click(viewer, place_of(viewer, (4, 5), nic.session), qtbot)
    qtbot.waitUntil(section.make.isEnabled, timeout=TIMEOUT_MS)
    section.threshold.setValue(section.threshold.maximum() // 2)
    qtbot.waitUntil(lambda: dock.similar.threshold is not None)
    qtbot.waitUntil(lambda: "cells" in section.above.text())
    qtbot.keyClicks(section.label, "fat")
    qtbot.mouseClick(section.make, LEFT)
    settle(dock, qtbot)
    assert set(nic.documents.document.as_set().labels()) == {"fat"}


def test_a_match_is_opened_by_click_and_by_enter(shown, qtbot, monkeypatch):
    viewer, nic, dock = shown
    dock.search.set_folder(nic.session.store.path.parent)
    dock.similar.pick(on=True)
    click(viewer, place_of(viewer, (4, 5), nic.session), qtbot)
    qtbot.waitUntil(dock.search_section.button.isEnabled, timeout=TIMEOUT_MS)
    dock.search_section.apart.setValue(0)
    qtbot.mouseClick(dock.search_section.button, LEFT)
    matches = dock.search_section.list
    qtbot.waitUntil(lambda: matches.count() == 5, timeout=TIMEOUT_MS)
    settle(dock, qtbot)
    opened = []
    monkeypatch.setattr(dock.search, "open", opened.append)
    matches.scrollToItem(matches.item(0))
    QApplication.processEvents()
    middle = matches.visualItemRect(matches.item(0)).center()
    qtbot.mouseClick(matches.viewport(), LEFT, NO_KEYS, middle)
    assert [match.similarity for match in opened] == [dock.search.crops[0].match.similarity]
    step = viewer.dims.current_step
    qtbot.keyClick(matches, Qt.Key.Key_Right)
    qtbot.keyClick(matches, Qt.Key.Key_Return)
    assert [match.similarity for match in opened[1:]] == [dock.search.crops[1].match.similarity]
    assert viewer.dims.current_step == step


def test_clusters_are_renamed_in_their_rows(shown, qtbot):
    _, nic, dock = shown
    section = dock.groups_section
    section.count.setValue(3)
    qtbot.mouseClick(section.find, LEFT)
    qtbot.waitUntil(lambda: len(section.rows) == 3, timeout=TIMEOUT_MS)
    settle(dock, qtbot)
    name = section.rows[0].name
    name.selectAll()
    qtbot.keyClicks(name, "stroma")
    qtbot.keyClick(name, Qt.Key.Key_Return)
    assert dock.groups.clusters.names[0] == "stroma"
    assert nic.session.store.path.with_name("made.clusters.json").is_file()
    qtbot.waitUntil(section.toggle.isChecked)
    qtbot.mouseClick(section.toggle, LEFT, NO_KEYS, QPoint(8, section.toggle.height() // 2))
    qtbot.waitUntil(lambda: not dock.groups.shown)


def test_unusual_cells_by_a_tick(shown, qtbot):
    _, _, dock = shown
    toggle = dock.unusual_section.toggle
    box = QPoint(8, toggle.height() // 2)
    qtbot.mouseClick(toggle, LEFT, NO_KEYS, box)
    qtbot.waitUntil(lambda: dock.unusual.shown, timeout=TIMEOUT_MS)
    settle(dock, qtbot)
    qtbot.waitUntil(lambda: dock.map_section.legend.title.text() == "Anomaly")
    qtbot.mouseClick(toggle, LEFT, NO_KEYS, box)
    assert not dock.unusual.shown


def test_it_opens_the_nic_dock_when_it_is_needed(
    make_napari_viewer, slide_file, compress_file, add_slide, qtbot
):
    compress_file(slide_file)
    viewer = make_napari_viewer()
    dock = SimilarDock(viewer)
    viewer.window.add_dock_widget(dock, name="Find similar")
    add_slide(viewer, slide_file)
    assert dock.link.session is None
    assert dock.similar.why_not() == ""
    dock.similar.pick(on=True)
    assert dock.link.session is not None
    assert dock.link.session.slide.name == "made"
    nic = dock.link.look()
    nic.shut_down()
    dock.shut_down()
