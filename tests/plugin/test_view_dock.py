"""The view dock in a real window, with mouse and keys."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref

import pytest
from napari._app_model import get_app_model
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.widgets.docking import VIEW, open_dock
from napari_nic.plugin.widgets.slide_choice import SlideChoice
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = pytest.mark.gui

ALT = Qt.KeyboardModifier.AltModifier
TIMEOUT_MS = 60_000


@pytest.fixture
def view(make_napari_viewer, qtbot, collected):
    """A window with the view dock alone."""
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer, ViewDock, VIEW)
    viewer.window._qt_window.resize(1000, 800)
    yield dock
    dock.shut_down()


@pytest.fixture
def on_slide(view, slide_file, add_slide, qtbot):
    """The same with the made slide."""
    add_slide(view.watch.viewer, slide_file)
    qtbot.waitUntil(lambda: not view.runner.jobs and view.navigator.thumbnail is not None, timeout=TIMEOUT_MS)
    view.navigator.fit()
    return view


def left(alive: dict) -> list[str]:
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    return [name for name, ref in alive.items() if ref() is not None]


def test_without_a_slide_it_says_so(view):
    overview = view.overview
    assert overview.about.text() == "Open a slide first"
    assert overview.minimap.frame().isEmpty()
    assert not overview.magnification.isEnabled()
    assert all(button.toolTip().startswith("Open a slide first") for button in overview.steps.values())
    assert view.associated_row.isHidden()


def test_a_click_and_a_drag_on_the_minimap_move_the_view(on_slide, qtbot):
    minimap, navigator = on_slide.overview.minimap, on_slide.navigator
    navigator.magnify(40)
    place = minimap.picture_rect()
    start, end = (
        QPoint(round(place.left() + share * place.width()), round(place.top() + share * place.height()))
        for share in (0.25, 0.75)
    )
    qtbot.mousePress(minimap, Qt.MouseButton.LeftButton, pos=start)
    one_px = 1500 / place.width()
    assert navigator.center() == pytest.approx((275, 375), abs=one_px)
    qtbot.mouseMove(minimap, end)
    qtbot.mouseRelease(minimap, Qt.MouseButton.LeftButton, pos=end)
    qtbot.waitUntil(lambda: navigator.center() == pytest.approx((825, 1125), abs=one_px))
    middle = minimap.frame().boundingRect().center()
    assert (middle.x(), middle.y()) == pytest.approx((end.x(), end.y()), abs=1.5)


def test_the_frame_grows_and_shrinks_with_the_view(on_slide):
    minimap, navigator = on_slide.overview.minimap, on_slide.navigator
    navigator.magnify(20)
    wide = minimap.frame().boundingRect().width()
    navigator.magnify(40)
    assert minimap.frame().boundingRect().width() == pytest.approx(wide / 2)
    navigator.magnify(900)
    frame = minimap.frame().boundingRect()
    assert max(frame.width(), frame.height()) > 5, "it is seen still"


def test_the_minimap_by_keyboard(on_slide, qtbot):
    minimap, navigator = on_slide.overview.minimap, on_slide.navigator
    navigator.magnify(40)
    navigator.look_at(500, 500)
    minimap.setFocus()
    qtbot.keyClick(minimap, Qt.Key.Key_Down)
    y, x = navigator.center()
    assert y > 500
    assert x == pytest.approx(500)
    qtbot.keyClick(minimap, Qt.Key.Key_Minus)
    assert navigator.magnification == pytest.approx(32)
    qtbot.keyClick(minimap, Qt.Key.Key_Home)
    assert navigator.magnification < 20


@pytest.mark.parametrize("key", [1, 2, 3, 4, 5, 6])
def test_a_key_for_each_magnification_on_the_canvas_and_in_the_dock(on_slide, qtbot, key):
    value = (1, 2, 5, 10, 20, 40)[key - 1]
    canvas = on_slide.watch.viewer.window._qt_viewer.canvas.native
    for widget in (canvas, on_slide.overview.whole):
        on_slide.navigator.fit()
        qtbot.keyClick(widget, Qt.Key(Qt.Key.Key_0 + key), ALT)
        assert on_slide.navigator.magnification == pytest.approx(value)
    qtbot.keyClick(canvas, Qt.Key.Key_0, ALT)
    assert on_slide.navigator.magnification != pytest.approx(value)


def test_buttons_and_the_number_agree(on_slide, qtbot):
    overview = on_slide.overview
    qtbot.mouseClick(overview.steps[10.0], Qt.MouseButton.LeftButton)
    assert overview.magnification.value() == 10
    overview.magnification.setFocus()
    overview.magnification.selectAll()
    qtbot.keyClicks(overview.magnification, "7.5")
    qtbot.keyClick(overview.magnification, Qt.Key.Key_Return)
    assert on_slide.navigator.magnification == pytest.approx(7.5)
    qtbot.mouseClick(overview.native, Qt.MouseButton.LeftButton)
    assert overview.magnification.value() == 20


def test_what_the_slide_offers_is_marked(on_slide):
    overview = on_slide.overview
    assert overview.about.text() == "Native 20x, 0.5 µm/px"
    assert [value for value, b in overview.steps.items() if "bold" in b.styleSheet()] == [20]
    assert "pixels are enlarged" in overview.steps[40.0].toolTip()
    assert "enlarged" not in overview.steps[20.0].toolTip()


def test_a_label_is_shown_when_asked_for(view, cmu_path, add_slide, qtbot):
    add_slide(view.watch.viewer, cmu_path)
    row = view.associated_row
    assert set(row.buttons) == {"thumbnail", "label", "macro"}
    assert row.picture.isHidden()
    qtbot.mouseClick(row.buttons["label"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: view.associated.picture is not None, timeout=TIMEOUT_MS)
    assert not row.picture.isHidden()
    assert "patient's name" in row.buttons["label"].toolTip()
    qtbot.mouseClick(row.buttons["label"], Qt.MouseButton.LeftButton)
    assert row.picture.isHidden()


def test_naparis_keys_are_its_own_and_come_back(on_slide, qtbot):
    viewer = on_slide.watch.viewer
    assert all("Alt" in str(key) for key in viewer.keymap)
    assert not [key for key in viewer.keymap if key in type(viewer).class_keymap]
    on_slide.shut_down()
    assert viewer.keymap == {}


def test_the_keys_are_read_in_the_dock(view, qtbot):
    keys = view.key_list
    qtbot.mouseClick(keys.toggleButton(), Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    assert keys.table.isVisible()
    assert "Alt+4" in keys.table.text()
    assert "10x" in keys.table.text()


def test_brightness_and_stains_by_keyboard(on_slide, qtbot):
    section, displaying = on_slide.display_section, on_slide.displaying
    qtbot.mouseClick(section.toggleButton(), Qt.MouseButton.LeftButton)
    section.gamma.setFocus()
    qtbot.keyClick(section.gamma, Qt.Key.Key_PageUp)
    qtbot.waitUntil(lambda: displaying.display.tone.gamma > 1)
    assert section.reset.isEnabled()
    canvas = on_slide.watch.viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_8, ALT)
    assert section.stain.currentText() == "Hematoxylin"
    qtbot.keyClick(canvas, Qt.Key.Key_9, ALT)
    assert displaying.display.is_plain
    assert section.gamma.value() == 0
    assert not section.reset.isEnabled()


def test_bookmarks_by_keyboard(on_slide, qtbot):
    canvas = on_slide.watch.viewer.window._qt_viewer.canvas.native
    section, navigator = on_slide.places_section, on_slide.navigator
    qtbot.mouseClick(section.toggleButton(), Qt.MouseButton.LeftButton)
    for x in (200, 900):
        navigator.magnify(40)
        navigator.look_at(300, x)
        qtbot.keyClick(canvas, Qt.Key.Key_Return, ALT)
    assert [section.list.item(row).text() for row in range(2)] == ["Place 1", "Place 2"]
    navigator.fit()
    qtbot.keyClick(canvas, Qt.Key.Key_Left, ALT)
    assert navigator.center() == pytest.approx((300, 200))
    section.list.setCurrentRow(1)
    qtbot.keyClick(section.list, Qt.Key.Key_Return)
    assert navigator.center() == pytest.approx((300, 900))
    section.list.item(1).setText("Gland")
    assert on_slide.bookmarks.all[1].name == "Gland"
    qtbot.keyClick(section.list, Qt.Key.Key_Delete)
    assert [mark.name for mark in on_slide.bookmarks.all] == ["Place 1"]


def test_a_folder_that_was_dropped_is_chosen_from(view, slide_file, qtbot, monkeypatch):
    shutil.copy(slide_file, slide_file.with_name("second.tif"))
    shown = []

    def choose(dialog):
        shown.append(dialog.list.count())
        dialog.search.setText("second")
        dialog.list.setCurrentRow(1)
        return 1

    monkeypatch.setattr(SlideChoice, "exec", choose)
    view.watch.viewer.open(slide_file.parent, plugin="napari-nic")
    qtbot.waitUntil(lambda: view.watch.slide is not None, timeout=TIMEOUT_MS)
    assert shown == [2]
    assert view.slides_section.about.text() == "2 of 2: second.tif"
    canvas = view.watch.viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp, ALT)
    assert view.slides.path.name == "made.tif"
    qtbot.waitUntil(lambda: not view.runner.jobs, timeout=TIMEOUT_MS)
    for layer in view.watch.slide_layers:
        tag_of(layer).slide.close()


def test_a_figure_is_exported(on_slide, qtbot, tmp_path, monkeypatch):
    section = on_slide.figure_section
    qtbot.mouseClick(section.toggleButton(), Qt.MouseButton.LeftButton)
    on_slide.navigator.magnify(20)
    assert "px" in section.about.text()
    target = tmp_path / "my figure"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), "TIFF (*.tif)"))
    section.export.setFocus()
    qtbot.keyClick(section.export, Qt.Key.Key_Space)
    assert not section.export.isEnabled()
    assert section.stop.isEnabled()
    qtbot.waitUntil(lambda: not on_slide.runner.jobs, timeout=TIMEOUT_MS)
    assert target.with_name("my figure.tif").stat().st_size > 10_000
    assert section.export.isEnabled()


def test_a_project_is_saved_and_opened_again(on_slide, qtbot, tmp_path, monkeypatch):
    viewer, section = on_slide.watch.viewer, on_slide.project_section
    on_slide.navigator.magnify(40)
    on_slide.navigator.look_at(300, 700)
    qtbot.mouseClick(section.toggleButton(), Qt.MouseButton.LeftButton)
    path = tmp_path / "study.nicproj"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    qtbot.mouseClick(section.save, Qt.MouseButton.LeftButton)
    viewer.layers.clear()
    assert not section.save.isEnabled()
    qtbot.mouseClick(section.open, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: on_slide.navigator.magnification == pytest.approx(40), timeout=TIMEOUT_MS)
    assert on_slide.navigator.center() == pytest.approx((300, 700))
    qtbot.waitUntil(lambda: not on_slide.runner.jobs, timeout=TIMEOUT_MS)
    tag_of(on_slide.watch.layer).slide.close()


def test_commands_of_the_palette_do_what_the_dock_does(on_slide):
    commands = get_app_model().commands
    for name in ("magnify_40", "add_bookmark", "whole_slide", "next_bookmark", "next_stain"):
        commands.execute_command(f"napari-nic.{name}").result()
    assert on_slide.navigator.magnification == pytest.approx(40)
    assert len(on_slide.bookmarks.all) == 1
    assert not on_slide.displaying.display.is_plain


def test_a_second_view_opens_beside_the_first_and_leaves_nothing(on_slide, qtbot):
    viewer, section, linking = on_slide.watch.viewer, on_slide.second_section, on_slide.linking
    threads, splitter = threading.active_count(), viewer.window._qt_viewer
    qtbot.mouseClick(section.toggleButton(), Qt.MouseButton.LeftButton)
    qtbot.mouseClick(section.show_button, Qt.MouseButton.LeftButton)
    assert splitter.count() == 2
    second = linking._screen.model
    on_slide.navigator.magnify(20)
    assert second.scene.camera.zoom == viewer.scene.camera.zoom
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_End, ALT)
    assert not linking.linked
    assert all(cross.isVisible() for cross in linking._screen.crosses)
    viewer.theme = "light"
    assert second.theme == "light"
    alive = {"model": weakref.ref(second), "layer": weakref.ref(second.layers[0])}
    alive["screen"] = weakref.ref(linking._screen)
    del second
    qtbot.mouseClick(section.show_button, Qt.MouseButton.LeftButton)
    assert splitter.count() == 1
    assert left(alive) == []
    assert threading.active_count() == threads
