"""The docks by keyboard alone, with napari's own keys intact."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QMenuBar,
    QPushButton,
    QScrollArea,
)

from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.cohort import CohortController
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.plugin.widgets.export_section import ExportDialog
from napari_nic.plugin.widgets.import_dialog import ImportDialog
from napari_nic.plugin.widgets.painting_dock import PaintingDock
from napari_nic.plugin.widgets.probe_dock import ProbeDock
from napari_nic.plugin.widgets.shrink_dock import ShrinkDock
from napari_nic.plugin.widgets.similar_dock import SimilarDock
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000
MOST_STOPS = 200


@pytest.fixture
def shown(with_slide, qtbot):
    """The window on the screen, the dock with a slide."""
    viewer, dock = with_slide
    window = viewer.window._qt_window
    window.resize(1200, 900)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    QApplication.processEvents()
    return viewer, dock


def finish(dock, qtbot) -> None:
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()


def focus(widget, qtbot) -> None:
    qtbot.waitUntil(widget.isEnabled)
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(widget.hasFocus)


def stops(dock, qtbot) -> list:
    """Everything that Tab stops at in a dock, in its order."""
    first = next(w for w in [dock, *dock.findChildren(QAbstractButton)] if w.isVisible() and takes_tab(w))
    focus(first, qtbot)
    found = []
    for _ in range(MOST_STOPS):
        widget = QApplication.focusWidget()
        if widget in found:
            return found
        if dock.isAncestorOf(widget):
            found.append(widget)
        elif found:
            return found
        QApplication.focusWidget().focusNextPrevChild(True)
        QApplication.processEvents()
    raise AssertionError("Tab does not come round")


def takes_tab(widget) -> bool:
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus) and widget.isEnabled()


def test_space_clicks_the_button_that_has_the_focus(shown, qtbot):
    _, dock = shown
    focus(dock.slide_section.whole, qtbot)
    qtbot.keyClick(dock.slide_section.whole, Qt.Key.Key_Space)
    assert dock.compressing.region == "whole"
    button = dock.compress_section.button
    focus(button, qtbot)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert dock.compressing.state.busy
    finish(dock, qtbot)
    assert dock.compressing.state.complete
    toggle = dock.overlay_section.rows["pca"].toggle
    on = toggle.isChecked()
    focus(toggle, qtbot)
    qtbot.keyClick(toggle, Qt.Key.Key_Space)
    assert toggle.isChecked() is not on
    assert dock.overlays.stack.shown("pca") is not on


def test_space_pauses_on_the_pause_button_only(shown, qtbot):
    _, dock = shown
    dock.compressing.options = CompressOptions(overlap=0.96)
    dock.compressing.region = "whole"
    dock.compressing.start()
    qtbot.waitUntil(lambda: dock.compressing.state.done > 0, timeout=TIMEOUT_MS)
    toggle, pause = dock.overlay_section.rows["pca"].toggle, dock.compress_section.pause
    focus(toggle, qtbot)
    qtbot.keyClick(toggle, Qt.Key.Key_Space)
    assert dock.compressing.state.phase == "running"
    focus(pause, qtbot)
    qtbot.keyClick(pause, Qt.Key.Key_Space)
    assert dock.compressing.state.phase in ("pausing", "paused")
    qtbot.keyClick(pause, Qt.Key.Key_Escape)
    finish(dock, qtbot)
    assert dock.compressing.state.phase == "idle"
    assert not dock.compressing.state.complete, "Escape cancelled"


LETTERS = (Qt.Key.Key_C, Qt.Key.Key_P, Qt.Key.Key_R, Qt.Key.Key_S, Qt.Key.Key_E, Qt.Key.Key_V)


def test_the_focus_goes_from_compress_to_pause(shown, qtbot):
    """Qt hands it to the next control, and a second press of Space would open the options."""
    _, dock = shown
    section = dock.compress_section
    dock.compressing.region = "whole"
    dock.compressing.options = CompressOptions(overlap=0.96)
    focus(section.button, qtbot)
    qtbot.keyClick(section.button, Qt.Key.Key_Space)
    assert section.pause.hasFocus()
    qtbot.waitUntil(lambda: dock.compressing.state.done > 0, timeout=TIMEOUT_MS)
    assert section.pause.hasFocus(), "fields that follow the new store leave it there"
    qtbot.keyClick(section.pause, Qt.Key.Key_Escape)
    finish(dock, qtbot)


def test_the_focus_of_a_training_goes_to_cancel_and_back(shown, qtbot):
    """Qt hands it to the button that hides the dock, which the next press of Space would press."""
    viewer, _ = shown
    dock = TrainDock(viewer)
    viewer.window.add_dock_widget(dock)
    dock.training.fill_in(code_size=8, steps=2000, name="by-keys")
    section = dock.progress_section
    focus(section.button, qtbot)
    qtbot.keyClick(section.button, Qt.Key.Key_Space)
    assert section.stop.hasFocus()
    qtbot.keyClick(section.stop, Qt.Key.Key_Space)
    assert not section.button.isEnabled(), "it is being stopped"
    assert QApplication.focusWidget() is None, "so that no press does what nobody asked for"
    finish(dock, qtbot)
    qtbot.waitUntil(section.button.hasFocus, timeout=TIMEOUT_MS)


def test_a_notice_that_closes_leaves_the_focus_in_the_dock(shown, qtbot):
    """napari gives it to the canvas then, where arrows and Enter do other things."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    viewer, dock = shown
    focus(dock.compress_section.button, qtbot)
    canvas = viewer.window._qt_viewer.canvas.native
    notice = NapariQtNotification("Saved", "info", parent=canvas)
    notice.show()
    notice.close()
    assert dock.compress_section.button.hasFocus()
    canvas.setFocus()
    assert canvas.hasFocus(), "what napari moves for another reason stays moved"


@pytest.mark.parametrize("make", [ExportDialog, ImportDialog])
def test_enter_in_a_dialog_presses_its_own_button(shown, qtbot, make):
    """And not the button beside the file, which stands above it and opens another dialog."""
    _, dock = shown
    dialog = make(dock.exporting, dock) if make is ExportDialog else make(dock)
    dialog.show()
    qtbot.waitExposed(dialog)
    defaults = [button.text() for button in dialog.findChildren(QPushButton) if button.isDefault()]
    assert defaults == ["&Export" if make is ExportDialog else "&Import"]
    dialog.close()


def test_letters_do_nothing_in_the_dock_and_are_still_naparis(shown, qtbot, compress_file, slide_file):
    viewer, dock = shown
    compress_file(slide_file)
    dock.session.find_store(any_encoder=False)
    pressed = []
    for key in "PRSEV":  # the layer of a slide has a use for C itself
        viewer.bind_key(key, lambda _, key=key: pressed.append(key), overwrite=True)
    toggle = dock.overlay_section.rows["pca"].toggle
    before = [layer.name for layer in viewer.layers]
    focus(toggle, qtbot)
    for key in LETTERS:
        qtbot.keyClick(toggle, key)
    assert pressed == list("PRSEV")
    assert [layer.name for layer in viewer.layers] == before
    assert not dock.compressing.state.busy


def test_letters_in_a_field_are_its_text_and_not_naparis(shown, qtbot):
    viewer, _ = shown
    pressed = []
    browser = CohortDock(viewer)
    viewer.window.add_dock_widget(browser, name="Cohort browser")
    for key in "CPRSEV":
        viewer.bind_key(key, lambda _, key=key: pressed.append(key), overwrite=True)
    browser.search.setEnabled(True)
    focus(browser.search, qtbot)
    qtbot.keyClicks(browser.search, "cprsev 12")
    assert browser.search.text() == "cprsev 12"
    assert pressed == []
    browser.shut_down()


def test_escape_is_naparis_while_nothing_runs(shown, qtbot):
    viewer, dock = shown
    pressed = []
    viewer.bind_key("Escape", lambda _: pressed.append(1), overwrite=True)
    focus(dock.compress_section.button, qtbot)
    qtbot.keyClick(dock.compress_section.button, Qt.Key.Key_Escape)
    assert pressed == [1]


def test_no_two_controls_share_a_key(shown):
    """An accelerator of two controls clicks neither, and one of napari's menus opens no menu any more."""
    viewer, nic = shown
    others = [kind(viewer) for kind in (TrainDock, CohortDock, ViewDock, SimilarDock, ProbeDock, ShrinkDock)]
    window = viewer.window._qt_window
    menus = window.findChild(QMenuBar).actions()
    texts = [action.text() for action in menus]
    assert "&File" in texts
    taken = alt_letters(menus)
    assert "S" in taken, "napari saves a screenshot by it"
    for dock in (nic, *others):
        texts += [button.text() for button in dock.findChildren(QAbstractButton)]
        texts += [label.text() for label in dock.findChildren(QLabel) if label.buddy() is not None]
    # A button whose text changes keeps its key.
    texts.remove(nic.compress_section.button.text())
    texts.append("C&ompress slide")
    keys = Counter(key.upper() for text in texts for key in re.findall(r"&(\w)", text.replace("&&", "")))
    assert {key: count for key, count in keys.items() if count > 1} == {}
    assert not taken & set(keys)
    for dock in others:
        dock.shut_down()


def alt_letters(actions) -> set[str]:
    """Letters that menus, and the menus in them, have a use for together with Alt."""
    found = set()
    for action in actions:
        keys = [key.toString() for key in action.shortcuts()]
        found |= {key[-1] for key in keys if re.fullmatch(r"Alt\+\w", key)}
        if action.menu() is not None:
            found |= alt_letters(action.menu().actions())
    return found


@pytest.mark.parametrize("is_open", [False, True])
def test_tab_goes_from_top_to_bottom_and_stops_at_nothing_hidden(shown, qtbot, is_open):
    _, dock = shown
    if is_open:
        dock.compress_section.options.toggleButton().click()
        QApplication.processEvents()
    visited = stops(dock, qtbot)
    assert len(visited) > 8
    form = dock.compress_section.options
    assert (form.overlap.native in visited) is is_open
    assert all(scrolled_to(widget, dock) for widget in visited)
    assert not [widget for widget in visited if isinstance(widget, QScrollArea)]
    page = dock.findChild(QScrollArea).widget()
    rows = [widget.mapTo(page, QPoint(0, widget.height() // 2)) for widget in visited]
    assert in_reading_order([(place.y(), place.x()) for place in rows])


def scrolled_to(widget, dock) -> bool:
    """Whether a control is seen once the page is scrolled to it."""
    area = dock.findChild(QScrollArea)
    area.ensureWidgetVisible(widget)
    QApplication.processEvents()
    return not widget.visibleRegion().isEmpty()


def in_reading_order(places: list[tuple[int, int]], same_row: int = 12) -> bool:
    """Whether each place is below the one before, or right of it."""
    return all(
        y > before_y - same_row and (y > before_y + same_row or x > before_x)
        for (before_y, before_x), (y, x) in pairwise(places)
    )


def test_tab_order_of_the_other_docks(shown, qtbot):
    viewer, _ = shown
    for kind in (
        TrainDock,
        CohortDock,
        ViewDock,
        SimilarDock,
        ProbeDock,
        AnnotatorDock,
        ShrinkDock,
        PaintingDock,
    ):
        dock = kind(viewer)
        viewer.window.add_dock_widget(dock, name=kind.__name__)
        QApplication.processEvents()
        visited = stops(dock, qtbot)
        rows = [widget.mapTo(dock, QPoint(0, widget.height() // 2)) for widget in visited]
        assert in_reading_order([(place.y(), place.x()) for place in rows])
        dock.shut_down()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_what_has_the_focus_is_seen(shown, qtbot, theme):
    viewer, dock = shown
    viewer.theme = theme
    dock.compress_section.options.toggleButton().click()
    QApplication.processEvents()
    section, form = dock.slide_section, dock.compress_section.options
    for widget in (
        dock.compress_section.button,
        section.chooser.encoders,
        section.chooser.add,
        section.whole,
        form.overlap.native,
        form.toggleButton(),
    ):
        focus(section.slides if widget is not section.slides else section.whole, qtbot)
        QApplication.processEvents()
        without = picture_of(widget, dock)
        focus(widget, qtbot)
        QApplication.processEvents()
        assert dock.focus_ring.target is widget
        changed = np.abs(picture_of(widget, dock) - without).sum(axis=2) > 200
        assert changed.sum() > 2 * widget.width(), f"no ring is seen around {widget} in {theme}"


def picture_of(widget, dock) -> np.ndarray:
    """Pixels of a control as they are on the screen, (h, w, 3)."""
    image = dock.grab().toImage().convertToFormat(dock.grab().toImage().Format.Format_RGB32)
    ratio = image.devicePixelRatio()
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)[..., :3].astype(int)
    corner = widget.mapTo(dock, QPoint(0, 0))
    top, left = round(corner.y() * ratio), round(corner.x() * ratio)
    return pixels[top : top + round(widget.height() * ratio), left : left + round(widget.width() * ratio)]


def test_ring_follows_its_control_and_leaves_with_the_focus(shown, qtbot):
    _, dock = shown
    button = dock.compress_section.button
    focus(button, qtbot)
    assert dock.focus_ring.geometry() == button.geometry()
    dock.resize(dock.width(), dock.height() - 50)
    dock.compress_section.options.toggleButton().click()
    QApplication.processEvents()
    assert dock.focus_ring.geometry() == button.geometry()
    button.clearFocus()
    QApplication.processEvents()
    assert dock.focus_ring.target is None
    assert dock.focus_ring.isHidden()


class TestTable:
    @pytest.fixture
    def browser(self, shown, slide_file, make_tiff, make_tissue, monkeypatch):
        """The cohort browser with two slides, the first one open."""
        viewer, nic = shown
        make_tiff(slide_file.with_name("other.tif"), make_tissue(400, 500, seed=2), factors=(1,))
        table = slide_file.with_name("cohort.csv")
        table.write_text("slide,label\nmade.tif,a\nother.tif,b\n")
        dock = CohortDock(viewer)
        viewer.window.add_dock_widget(dock, name="Cohort browser")
        dock.cohort.open(table)
        QApplication.processEvents()
        yield dock
        for layer in nic.session.slide_layers:
            layer.metadata["napari_nic"].slide.close()
        dock.shut_down()

    def test_arrows_move_the_selection_and_never_the_picture(self, browser, shown, qtbot):
        viewer, nic = shown
        pressed, opened = [], []
        for key in ("Up", "Down", "Left", "Right", "PageDown", "Home", "Enter"):
            viewer.bind_key(key, lambda _, key=key: pressed.append(key), overwrite=True)
        browser.table.chosen.connect(opened.append)
        table = browser.table
        focus(table, qtbot)
        table.selectRow(0)
        camera = viewer.scene.camera.center, viewer.scene.camera.zoom
        keys = Qt.Key
        for key in (keys.Key_Up, keys.Key_Left, keys.Key_Right, keys.Key_Home, keys.Key_Down, keys.Key_Down):
            qtbot.keyClick(table, key)
        assert table.currentIndex().row() == 1
        assert (viewer.scene.camera.center, viewer.scene.camera.zoom) == camera
        assert not opened, "to move is not to open"
        qtbot.keyClick(table, keys.Key_Return)
        assert [slide.name for slide in opened] == ["other"]
        qtbot.waitUntil(lambda: nic.session.slide.name == "other")  # it is opened beside the window
        assert pressed == []

    def test_arrow_leads_from_the_search_to_the_list(self, browser, qtbot):
        focus(browser.search, qtbot)
        qtbot.keyClick(browser.search, Qt.Key.Key_Down)
        assert browser.table.hasFocus()
        assert browser.table.currentIndex().row() == 0

    def test_a_click_opens_once(self, browser, qtbot, monkeypatch):
        shown = []
        monkeypatch.setattr(CohortController, "show", lambda _, slide: shown.append(slide.name))
        table = browser.table
        place = table.visualRect(table.order.index(1, 0)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert shown == ["other"]


def test_fields_keep_their_own_keys(shown):
    """Line edits take what is typed; nothing of ours listens for single letters in a dock."""
    from qtpy.QtGui import QShortcut

    _, dock = shown
    assert dock.findChildren(QShortcut) == []
    assert all(isinstance(edit, QLineEdit) for edit in dock.findChildren(QLineEdit))
