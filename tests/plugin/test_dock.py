"""The dock in a window: clicks, threads, the end of the viewer."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt, QThreadPool
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QMessageBox, QPushButton, QWidget

from napari_nic.compress import GridOptions
from napari_nic.compressed import CompressedSlide
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.legend import format_value
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets import dialogs
from napari_nic.plugin.widgets.compress_section import bar_text, clock_text, rate_text
from napari_nic.plugin.widgets.dock_base import WIDTH
from napari_nic.plugin.widgets.export_section import ExportDialog
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.slides import open_slide

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000


@pytest.fixture
def window(make_napari_viewer, qtbot):
    """A viewer and its dock."""
    Settings().set(ENCODER_SETTING, "mean-rgb")
    viewer = make_napari_viewer()
    dock = NicDock(viewer)
    viewer.window.add_dock_widget(dock, name="NIC")
    yield viewer, dock
    dock.shut_down()


@pytest.fixture
def with_slide(window, slide_file, add_slide):
    """The same with the made slide open."""
    viewer, dock = window
    add_slide(viewer, slide_file)
    QApplication.processEvents()
    return viewer, dock


def finish(dock: NicDock, qtbot) -> None:
    """Wait until nothing runs and everything is shown."""
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()


def click(button: QWidget, qtbot) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_empty_state_says_what_to_do(window):
    _, dock = window
    section = dock.slide_section
    assert not section.empty.isHidden()
    assert section.slide_row.isHidden()
    for button in (
        dock.compress_section.button,
        dock.overlay_section.rows["pca"].toggle,
        dock.annotation_section.open,
        dock.export_section.button,
        section.edit_tissue,
    ):
        assert not button.isEnabled()
        assert button.toolTip().startswith(("Open a slide", "Compress the slide"))


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


def test_slide_appears(with_slide):
    viewer, dock = with_slide
    section = dock.slide_section
    assert section.empty.isHidden()
    assert section.slides.currentText() == "made"
    assert section.about.text().startswith("1,500 x 1,100 px")
    assert dock.compress_section.button.isEnabled()
    assert viewer.canvas.overlays.scale_bar.visible


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
    assert dock.compressing.state.phase == "paused"
    assert "(paused)" in section.text.text()
    assert section.pause.toolTip() == "Go on"
    click(section.pause, qtbot)
    assert dock.compressing.state.phase == "running"
    click(section.stop, qtbot)
    finish(dock, qtbot)
    state = dock.compressing.state
    assert 0 < state.done < state.total
    assert section.button.text().startswith("&Compress the other")


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
    QApplication.processEvents()
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


def test_keys_work_in_the_dock(with_slide, qtbot):
    viewer, dock = with_slide
    viewer.window._qt_window.show()
    dock.activateWindow()
    dock.slide_section.whole.setFocus()
    dock.slide_section.whole.click()
    qtbot.waitUntil(dock.slide_section.whole.hasFocus)
    qtbot.keyClick(dock.slide_section.whole, Qt.Key.Key_C)
    assert dock.compressing.state.busy
    finish(dock, qtbot)
    shown = dock.overlays.stack.shown("pca")
    qtbot.keyClick(dock.slide_section.whole, Qt.Key.Key_P)
    assert dock.overlays.stack.shown("pca") is not shown


def test_every_control_is_reached_by_tab_and_named(with_slide):
    _, dock = with_slide
    for kind in (QPushButton, QCheckBox, QComboBox):
        for widget in dock.findChildren(kind):
            if isinstance(widget, QPushButton) and not widget.text():
                continue  # napari's and magicgui's own icon buttons
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    for combo in (
        dock.slide_section.slides,
        dock.slide_section.chooser.encoders,
        dock.overlay_section.models,
    ):
        assert combo.accessibleName()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_fits_320_pixels(with_slide, theme):
    viewer, dock = with_slide
    viewer.theme = theme
    dock.resize(WIDTH, 900)
    QApplication.processEvents()
    for section in dock.sections:
        assert section.minimumSizeHint().width() <= WIDTH
    picture = dock.grab().toImage()
    assert picture.width() == WIDTH * picture.devicePixelRatio()


def test_options_form_is_applied(with_slide):
    _, dock = with_slide
    form = dock.compress_section.options
    form.overlap.value = 50
    form.min_tissue.value = 0.6
    form.precision.value = "float32"
    assert dock.compressing.options == CompressOptions("auto", "float32", 0.5, 0.6)


def test_options_form_shows_what_the_store_was_made_with(with_slide, qtbot, slide_file, compress_file):
    _, dock = with_slide
    form = dock.compress_section.options
    form.overlap.value = 25
    compress_file(slide_file, options=GridOptions(stride=64, min_tissue=0.1))
    dock.session.find_store(any_encoder=False)
    assert (form.overlap.value, form.min_tissue.value) == (50, 0.1)
    assert dock.compressing.options == CompressOptions()
    assert dock.compressing.label() == "Slide compressed"
    form.overlap.value = 0
    assert dock.compressing.options == CompressOptions(overlap=0.0)
    assert dock.compressing.label() == "&Compress anew"
    form.overlap.value = 50
    assert dock.compressing.label() == "Slide compressed"
    dock.session.set_store(None)
    assert form.overlap.value == 50, "the user's own choice"


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


def test_long_lines_do_not_widen_the_dock(with_slide):
    _, dock = with_slide
    for line in (dock.slide_section.about, dock.overlay_section.caution):
        line.setText("a long line of text " * 20)
        line.show()
    QApplication.processEvents()
    assert dock.sizeHint().width() <= WIDTH


def test_bad_file_is_told_in_a_dialog_of_the_window(with_slide, qtbot, tmp_path, monkeypatch):
    viewer, _ = with_slide
    viewer.window._qt_window.show()
    path = tmp_path / "bad.svs"
    path.write_bytes(b"not a slide at all")
    told = []
    monkeypatch.setattr(
        dialogs,
        "show_error",
        lambda error, parent: told.append((error.file, parent.windowTitle())),
    )
    assert get_reader(str(path))(str(path)) == [(None,)]
    assert not told, "the event that brought the file goes first"
    qtbot.waitUntil(lambda: bool(told))
    assert told == [(path, viewer.title)]


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


def test_questions_become_dialogs(window, monkeypatch, unscaled_file, tmp_path):
    _, dock = window
    asking = dialogs.Dialogs(dock)
    monkeypatch.setattr(QMessageBox, "exec", lambda box: box.buttons()[0].click())
    assert asking.confirm("t", "x", yes="Replace", no="Keep") in (True, False)
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    assert asking.folder("t") == tmp_path
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: "")
    assert asking.folder("t") is None
    monkeypatch.setattr(dialogs.QInputDialog, "getDouble", lambda *_: (0.3, False))
    with open_slide(unscaled_file) as slide:
        assert asking.pixel_size(slide, "reason") is None


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


def test_unknown_pixel_size_is_asked_in_a_dialog(window, unscaled_file, add_slide, monkeypatch, qtbot):
    viewer, dock = window
    monkeypatch.setattr(dialogs.QInputDialog, "getDouble", lambda *_: (0.5, True))
    add_slide(viewer, unscaled_file)
    qtbot.waitUntil(lambda: dock.session.slide.pixel_size is not None)
    assert not dock.slide_section.set_mpp.isVisible()
    assert dock.compress_section.button.isEnabled()


def test_error_texts_say_file_expected_found_and_hint():
    from napari_nic.errors import UnreadableSlideError

    error = UnreadableSlideError(
        "no <reader> opens it", path=Path("/a/b.svs"), expected="a slide", hint="look"
    )
    text = dialogs.error_text(error)
    for part in ("No &lt;reader&gt; opens it", "b.svs", "Expected", "What to do"):
        assert part in text
    assert "--again" not in text
    assert "KeyError" in dialogs.error_text(KeyError("x"))


def test_texts_of_the_bar():
    from napari_nic.plugin.controllers.compressing import CompressState

    assert (rate_text(830), rate_text(4123)) == ("830", "4.1k")
    assert (clock_text(23), clock_text(725), clock_text(3723)) == ("0:23", "12:05", "1:02:03")
    state = CompressState("running", "", 1204, 1973, 4100.0, 23.0)
    assert bar_text(state) == "61 %   4.1k patches/s   0:23 left"
    assert bar_text(CompressState()) == ""


def test_bar_is_painted(qtbot):
    from napari_nic.plugin.legend import Bar
    from napari_nic.plugin.widgets.colour_bar import ColourBar

    bar = ColourBar()
    qtbot.addWidget(bar)
    colors = np.zeros((2, 3), np.uint8)
    colors[0, 0] = colors[1, 2] = 255
    bar.set_bar(Bar(colors, -1, 1, "raw", "against", "for"))
    bar.resize(200, bar.sizeHint().height())
    picture = bar.grab().toImage()
    assert picture.pixelColor(5, 5).red() > 200
    assert picture.pixelColor(190, 5).blue() > 200
