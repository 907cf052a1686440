"""The dock in a window: clicks, threads, the end of the viewer."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QMimeData, QPointF, Qt, QThreadPool, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QMessageBox, QWidget

from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import MARKS
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.legend import format_value
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets import dialogs
from napari_nic.plugin.widgets.export_section import ExportDialog
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.worker import ThreadRunner

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000


def finish(dock: NicDock, qtbot) -> None:
    """Wait until nothing runs and everything is shown."""
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()


def click(button: QWidget, qtbot) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_sample_button_opens_the_sample(window, qtbot, monkeypatch):
    viewer, dock = window
    opened = []
    monkeypatch.setattr(type(viewer), "open_sample", lambda _, *names: opened.append(names))
    click(dock.slide_section.sample_button, qtbot)
    assert opened == [("napari-nic", "synthetic")]


def test_open_button_opens_the_chosen_file(window, qtbot, monkeypatch, slide_file):
    viewer, dock = window
    opened = []
    monkeypatch.setattr(
        "napari_nic.plugin.widgets.nic_dock.QFileDialog.getOpenFileName", lambda *_: (str(slide_file), "")
    )
    monkeypatch.setattr(type(viewer), "open", lambda _, path, plugin: opened.append((path, plugin)))
    click(dock.slide_section.open_button, qtbot)
    assert opened == [(str(slide_file), "napari-nic")]


def test_colour_profile_is_a_choice_where_there_is_one(with_slide, qtbot, profiled_file, add_slide):
    viewer, dock = with_slide
    box = dock.slide_section.profile
    assert box.isHidden()
    add_slide(viewer, profiled_file)
    assert not box.isHidden()
    assert box.isChecked()
    click_box(box)
    assert not dock.session.slide.color.applied
    dock.compressing.region = "whole"
    dock.compressing.start()
    assert not box.isEnabled()
    finish(dock, qtbot)
    assert box.isEnabled()
    assert dock.session.store.header.color["applied"] is False


def test_slide_is_dropped_on_the_canvas(window, slide_file, qtbot):
    viewer, dock = window
    get_settings().plugins.extension2reader = {"*.tif": "napari-nic"}
    canvas = viewer.window._qt_viewer
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(slide_file))])
    place, action, left = QPointF(canvas.rect().center()), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), action, files, left, none)
    QApplication.sendEvent(canvas, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(canvas, QDropEvent(place, action, files, left, none))
    assert dock.session.slide.path == slide_file
    dock.session.slide.close()


def test_choosing_a_slide_and_an_encoder(with_slide, slide_file, add_slide):
    viewer, dock = with_slide
    first = dock.session.layer
    add_slide(viewer, slide_file)
    section = dock.slide_section
    assert section.slides.count() == 2
    section.slides.setCurrentIndex(0)
    assert dock.session.layer is first
    names = [section.chooser.encoders.itemData(i) for i in range(section.chooser.encoders.count())]
    assert "mean-rgb" in names
    section.chooser.encoders.setCurrentIndex(0)
    assert dock.session.spec.name == names[0]


def test_click_compresses_in_the_background(with_slide, qtbot):
    _, dock = with_slide
    main = threading.get_ident()
    threads = []
    dock.compressing.changed.connect(lambda: threads.append(threading.get_ident()))
    click(dock.slide_section.whole, qtbot)
    click(dock.compress_section.button, qtbot)
    assert not dock.compress_section.button.isEnabled()
    assert dock.compress_section.stop.isEnabled()
    finish(dock, qtbot)
    assert set(threads) == {main}
    state = dock.compressing.state
    assert state.complete
    assert dock.compress_section.text.text() == f"{state.total} of {state.total} tissue cells"
    assert dock.compress_section.button.text() == "Slide compressed"
    assert "All" in dock.compress_section.button.toolTip()
    assert dock.overlay_section.rows["pca"].toggle.isChecked()
    assert dock.export_section.button.isEnabled()
    assert not dock.overlay_section.legend.isHidden()


def compress_slowly(dock: NicDock, qtbot) -> None:
    """Start a run of many blocks and wait for its first cells."""
    dock.compressing.options = CompressOptions(overlap=0.96)
    dock.compressing.region = "whole"
    dock.compressing.start()
    qtbot.waitUntil(lambda: dock.compressing.state.done > 0, timeout=TIMEOUT_MS)


def test_closing_the_viewer_leaves_a_resumable_store_and_no_thread(with_slide, qtbot, slide_file):
    viewer, dock = with_slide
    viewer.window._qt_window.show()
    compress_slowly(dock, qtbot)
    viewer.close()
    assert dock._closed
    assert not [t for t in threading.enumerate() if t.name.startswith("nic-worker")]
    assert QThreadPool.globalInstance().activeThreadCount() == 0
    store = CompressedSlide.open(slide_file.with_name("made.nic.zarr"))
    assert 0 < store.encoded().sum() < store.coverage.sum()


AT_ONCE = 0.3
"""Seconds in which a paused run ends."""


@pytest.mark.parametrize("end", ["the viewer", "the dock"])
def test_a_paused_run_ends_within_a_moment_of_closing(
    make_napari_viewer, qtbot, add_slide, slide_file, monkeypatch, end
):
    """The best of some: measured is how long closing waits for the threads, not napari's own part."""
    Settings().set(ENCODER_SETTING, "mean-rgb")
    seconds: list[float] = []
    shutdown = ThreadRunner.shutdown

    def timed(runner: ThreadRunner) -> None:
        begin, busy = time.perf_counter(), bool(runner.jobs)
        shutdown(runner)
        if busy:
            seconds.append(time.perf_counter() - begin)

    monkeypatch.setattr(ThreadRunner, "shutdown", timed)
    for number in range(4):
        if seconds and min(seconds) < AT_ONCE:
            break
        viewer = make_napari_viewer()
        dock = NicDock(viewer)
        viewer.window.add_dock_widget(dock, name="NIC")
        viewer.window._qt_window.show()
        add_slide(viewer, Path(shutil.copy(slide_file, slide_file.with_name(f"{number}.tif"))))
        QApplication.processEvents()
        compress_slowly(dock, qtbot)
        dock.compressing.pause()
        qtbot.waitUntil(lambda dock=dock: dock.compressing.state.phase == "paused", timeout=TIMEOUT_MS)
        if end == "the viewer":
            viewer.close()
        else:
            viewer.window.remove_dock_widget(dock)
        assert dock._closed
        assert not [t for t in threading.enumerate() if t.name.startswith("nic-worker")]
        assert QThreadPool.globalInstance().activeThreadCount() == 0
        store = CompressedSlide.open(slide_file.with_name(f"{number}.nic.zarr"))
        assert 0 < store.encoded().sum() < store.coverage.sum()
    assert min(seconds) < AT_ONCE


def test_taking_the_dock_out_ends_its_work(with_slide, qtbot):
    viewer, dock = with_slide
    viewer.window._qt_window.show()
    compress_slowly(dock, qtbot)
    viewer.window.remove_dock_widget(dock)
    assert dock._closed
    assert dock.runner.jobs == ()
    assert QThreadPool.globalInstance().activeThreadCount() == 0


def test_store_is_replaced_after_a_dialog(with_slide, qtbot, monkeypatch):
    """The run ends while its dialog is open: the answer counts all the same."""
    _, dock = with_slide
    dock.compressing.region = "whole"
    dock.compressing.start()
    finish(dock, qtbot)
    asked = []

    def agree(_, title, text, *, yes, no):
        asked.append(yes)
        finish(dock, qtbot)
        return True

    monkeypatch.setattr(dialogs.Dialogs, "confirm", agree)
    dock.compressing.set_options(CompressOptions(overlap=0.5))
    dock.compressing.start()
    qtbot.waitUntil(lambda: bool(asked), timeout=TIMEOUT_MS)
    finish(dock, qtbot)
    assert asked == ["Replace and compress"]
    assert dock.session.store.grid.stride_px == 64
    assert dock.compressing.state.complete


def test_pause_and_cancel_by_click(with_slide, qtbot):
    _, dock = with_slide
    compress_slowly(dock, qtbot)
    section = dock.compress_section
    click(section.pause, qtbot)
    assert dock.compressing.state.phase in ("pausing", "paused")
    qtbot.waitUntil(lambda: dock.compressing.state.phase == "paused", timeout=30_000)
    assert "(paused)" in section.text.text()
    assert section.pause.toolTip() == "Go on"
    click(section.pause, qtbot)
    assert dock.compressing.state.phase == "running"
    click(section.stop, qtbot)
    finish(dock, qtbot)
    state = dock.compressing.state
    assert 0 < state.done < state.total
    assert section.button.text().startswith("C&ontinue")


def test_prediction_by_click_compresses_first(with_slide, qtbot, bundle_folder):
    _, dock = with_slide
    dock.models.add(bundle_folder)
    QApplication.processEvents()
    section = dock.overlay_section
    assert "Compresses the slide first, with mean-rgb" in section.score.text()
    click_box(section.rows["prediction"].toggle)
    assert dock.compress_section.stop.isEnabled()
    qtbot.waitUntil(lambda: dock.overlays.stack.shown("prediction"), timeout=TIMEOUT_MS)
    finish(dock, qtbot)
    assert dock.compressing.state.complete
    assert "\N{PLUS-MINUS SIGN}" in section.score.text()
    assert "8 dihedral transforms of the grid" in section.score.text()


def test_prediction_and_saliency_by_click(with_slide, qtbot, bundle_folder):
    _, dock = with_slide
    dock.compressing.region = "whole"
    dock.compressing.start()
    finish(dock, qtbot)
    dock.models.add(bundle_folder)
    QApplication.processEvents()
    section = dock.overlay_section
    for kind in ("prediction", "saliency"):
        click_box(section.rows[kind].toggle)
        finish(dock, qtbot)
        assert dock.overlays.stack.shown(kind)
    assert "lesion" in section.score.text() or "normal" in section.score.text()
    assert section.caution.text() == "Not for: anything"
    assert not section.caution.isHidden()
    assert section.legend.title.text() == "Saliency: lesion"
    found, line = dock.reliability.found, section.reliability
    assert line.isVisibleTo(section)
    assert f"{MARKS[found.verdict]}</span> <b>Saliency is {found.verdict}</b>" in line.label.text()
    assert "agreement of views" in line.label.toolTip()
    assert not line.button.isVisibleTo(line), "nothing is left to be stopped"
    section.targets.setCurrentIndex(0)
    finish(dock, qtbot)
    assert section.legend.title.text() == "Saliency: normal"
    section.rows["saliency"].opacity.setValue(30)
    assert dock.overlays.stack.layer("saliency").opacity == 0.3
    picture = section.legend.grab().toImage()
    colors = {picture.pixelColor(x, 40).name() for x in range(picture.width())}
    assert len(colors) > 1


def click_box(box: QCheckBox) -> None:
    box.click()
    QApplication.processEvents()


def test_annotations_by_click(with_slide, qtbot, outlines_file, tmp_path, monkeypatch):
    _, dock = with_slide
    module = "napari_nic.plugin.widgets.annotation_section.QFileDialog"
    monkeypatch.setattr(f"{module}.getOpenFileName", lambda *_: (str(outlines_file), ""))
    click(dock.annotation_section.open, qtbot)
    finish(dock, qtbot)
    assert dock.annotation_section.classes.accessibleName() == "Classes: Tumour 1, Stroma 1, Mark 1"
    target = tmp_path / "saved"
    monkeypatch.setattr(f"{module}.getSaveFileName", lambda *_: (str(target), "ASAP XML (*.xml)"))
    click(dock.annotation_section.save, qtbot)
    assert target.with_name("saved.xml").exists()


def test_export_dialog_follows_the_format(with_slide, qtbot):
    _, dock = with_slide
    dock.compressing.region = "whole"
    dock.compressing.start()
    finish(dock, qtbot)
    dialog = ExportDialog(dock.exporting, dock)
    dialog.format.value = "npy"
    assert dialog.path.value.suffix == ".npy"
    dialog.format.value = "trident"
    assert dialog.path.value.suffix == ".h5"
    dialog.deleteLater()


def test_pointer_is_shown(with_slide, qtbot):
    viewer, dock = with_slide
    dock.compressing.region = "whole"
    dock.compressing.start()
    finish(dock, qtbot)
    viewer.cursor.position = (100.0, 200.0)
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, None)
    assert "cell 1, 3" in dock.overlay_section.pointer.text()
    dock.overlays.show("channel", on=True)
    finish(dock, qtbot)
    value = dock.overlays.overlay("channel").value_at(1, 3)
    assert dock.overlay_section.pointer.text().startswith(format_value(value)), "the pointer did not move"


def test_cards_are_shown_in_dialogs(with_slide, qtbot, bundle_folder, monkeypatch):
    _, dock = with_slide
    dock.models.add(bundle_folder)
    QApplication.processEvents()
    texts = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: texts.append(box.text()))
    click(dock.slide_section.chooser.card, qtbot)
    click(dock.overlay_section.about, qtbot)
    assert "mean-rgb" in texts[0]
    assert "Licence" in texts[0]
    assert "made-model" in texts[1]
    assert "Not for" in texts[1]


def test_export_button_exports(with_slide, qtbot, tmp_path, monkeypatch):
    _, dock = with_slide
    dock.compressing.region = "whole"
    dock.compressing.start()
    finish(dock, qtbot)

    def accept(dialog):
        dialog.format.value = "npy"
        dialog.path.value = tmp_path / "out.npy"
        return True

    monkeypatch.setattr(ExportDialog, "exec", accept)
    click(dock.export_section.button, qtbot)
    finish(dock, qtbot)
    assert np.load(tmp_path / "out.npy").shape[0] == 3


def test_no_slide_chosen_shows_none_and_each_can_be_chosen(with_slide):
    """The codes of a slide that is not there are looked at without any slide; others stay at hand."""
    _, dock = with_slide
    slides, layer = dock.slide_section.slides, dock.session.layer
    dock.session.select(None)
    assert slides.currentText() == ""
    slides.setCurrentIndex(0)
    assert dock.session.layer is layer
