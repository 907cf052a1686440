"""The training dock in a window: what it shows, clicks, threads, the end of the viewer."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt, QThreadPool
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_nic.encoders.store import user_encoders_folder
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.controllers.training import TrainState
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets import dialogs
from napari_nic.plugin.widgets.dock_base import WIDTH
from napari_nic.plugin.widgets.docking import find_dock
from napari_nic.plugin.widgets.loss_plot import MOST_POINTS, TRAINING_COLOR, LossPlot, _thin
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.patch_strip import PatchStrip
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.train_progress import bar_text, sentence, why_not_cancel

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000


@pytest.fixture
def window(make_napari_viewer, qtbot, monkeypatch):
    """A viewer with both docks; training measures on few patches."""
    monkeypatch.setattr("napari_nic.training.publish.EVALUATION_PATCHES", 32)
    monkeypatch.setattr("napari_nic.training.objectives.metric.SENSITIVITY_PATCHES", 4)
    Settings().set(ENCODER_SETTING, "mean-rgb")
    viewer = make_napari_viewer()
    nic, dock = NicDock(viewer), TrainDock(viewer)
    viewer.window.add_dock_widget(nic, name="NIC")
    viewer.window.add_dock_widget(dock, name="Train encoder")
    yield viewer, dock, nic
    dock.shut_down()
    nic.shut_down()


@pytest.fixture
def with_slide(window, slide_file, add_slide):
    """The same with the made slide open, and a tiny encoder filled in."""
    viewer, dock, nic = window
    add_slide(viewer, slide_file)
    dock.training.fill_in(name="tiny", code_size=4, steps=5, device="cpu")
    QApplication.processEvents()
    return viewer, dock, nic


def finish(dock: TrainDock, qtbot) -> None:
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()


def click(widget, qtbot) -> None:
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def test_empty_state_says_what_to_do(window):
    _, dock, _ = window
    assert not dock.progress_section.button.isEnabled()
    assert "Open a slide" in dock.progress_section.text.text()
    assert dock.form_section.source.text() == "No slide is open"
    assert dock.progress_section.plot.isHidden()
    assert dock.progress_section.strip.isHidden()


def test_click_trains_and_the_encoder_can_be_chosen(with_slide, qtbot):
    _, dock, nic = with_slide
    assert dock.form_section.source.text() == "Tissue of made"
    click(dock.progress_section.button, qtbot)
    assert not dock.progress_section.button.isEnabled()
    assert not dock.form_section.name.isEnabled()
    assert dock.progress_section.stop.isEnabled()
    assert dock.progress_section.bar.maximum() > 0, "a bar that moves by itself paints the window without end"
    finish(dock, qtbot)
    chooser = nic.slide_section.chooser.encoders
    assert chooser.findData("tiny") >= 0
    assert chooser.currentData() == "mean-rgb", "nobody asked to work with the new one"
    assert "Trained: choose tiny" in dock.progress_section.text.text()
    assert dock.progress_section.button.text() == "Train anew"
    assert dock.form_section.name.isEnabled()
    assert "training loss" in dock.progress_section.plot.toolTip()


def start_slowly(dock: TrainDock, qtbot) -> None:
    dock.training.fill_in(steps=100_000)
    dock.training.start()
    qtbot.waitUntil(lambda: dock.training.state.done > 0, timeout=TIMEOUT_MS)


def no_threads_left() -> bool:
    names = [thread.name for thread in threading.enumerate()]
    return not any(name.startswith("patches") for name in names)


def test_cancel_and_go_on_by_click(with_slide, qtbot):
    _, dock, _ = with_slide
    start_slowly(dock, qtbot)
    click(dock.progress_section.stop, qtbot)
    finish(dock, qtbot)
    done = dock.training.steps_done()
    assert done > 0
    assert dock.progress_section.button.text() == f"Go on from step {done:,}"
    dock.training.fill_in(steps=done + 2)
    click(dock.progress_section.button, qtbot)
    finish(dock, qtbot)
    assert dock.training.state.done == done + 2
    assert no_threads_left()


def test_closing_the_viewer_leaves_a_checkpoint_and_no_thread(with_slide, qtbot):
    viewer, dock, _ = with_slide
    viewer.window._qt_window.show()
    start_slowly(dock, qtbot)
    viewer.close()
    assert dock._closed
    assert no_threads_left()
    assert QThreadPool.globalInstance().activeThreadCount() == 0
    assert dock.training.steps_done() > 0
    assert not (user_encoders_folder() / "tiny").exists()


def test_taking_the_dock_out_ends_its_work(with_slide, qtbot):
    viewer, dock, _ = with_slide
    viewer.window._qt_window.show()
    start_slowly(dock, qtbot)
    viewer.window.remove_dock_widget(dock)
    assert dock._closed
    assert dock.runner.jobs == ()


def test_plus_menu_shows_the_dock(window):
    viewer, dock, nic = window
    frame = next(f for f in viewer.window._qt_window.findChildren(QDockWidget) if f.isAncestorOf(dock))
    frame.hide()
    nic.slide_section.chooser.train_action.trigger()
    assert not frame.isHidden()
    assert find_dock(viewer, TrainDock) is dock


def test_form_fills_the_controller(window, qtbot, tmp_path, monkeypatch):
    _, dock, _ = window
    form = dock.form_section
    click(form.on_tiles, qtbot)
    assert dock.training.form.source == "tiles"
    assert form.mpp_row.isHidden()
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    click(form.add, qtbot)
    click(form.add, qtbot)
    assert dock.training.form.paths == (str(tmp_path),)
    assert not form.mpp_row.isHidden()
    form.mpp.setValue(0.25)
    form.codes.setValue(32)
    form.steps.setValue(700)
    form.device.setCurrentText("cpu")
    form.method.setCurrentIndex(form.method.findData("vicreg"))
    form.name.clear()
    qtbot.keyClicks(form.name, "mine-2")
    filled = dock.training.form
    assert (filled.mpp, filled.code_size, filled.steps, filled.device) == (0.25, 32, 700, "cpu")
    assert (filled.method, filled.name) == ("vicreg", "mine-2")
    click(form.clear, qtbot)
    assert dock.training.form.paths == ()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_fits_320_pixels(with_slide, theme):
    viewer, dock, _ = with_slide
    viewer.theme = theme
    dock.resize(WIDTH, 900)
    for section in (dock.form_section, dock.progress_section):
        assert section.minimumSizeHint().width() <= WIDTH


def test_texts():
    state = TrainState("running", "training", 50, 200, 0.1234, 640.0, 15.0)
    assert bar_text(state) == "25 %   640 patches/s   0:15 left"
    assert sentence(state) == "50 of 200 steps, loss 0.123"
    assert sentence(TrainState("running", "reading made")) == "Reading made..."
    finishing = TrainState("running", "training", 200, 200, 0.1, 640.0, 0.0)
    assert "saving" in sentence(finishing)
    assert bar_text(finishing) == ""
    assert "being saved" in why_not_cancel(finishing)
    assert why_not_cancel(state) == ""
    assert sentence(TrainState()) == ""


def test_plot_is_painted(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(300, plot.sizeHint().height())
    empty = plot.grab().toImage()
    curve = [(step, 1 / step) for step in range(1, 1000)]
    plot.set_curves([*curve, (1000, float("nan"))], [(100, 0.5), (200, 0.3)], total=1000)
    image = plot.grab().toImage()
    assert image != empty
    colors = {image.pixelColor(x, y).getRgb()[:3] for x in range(300) for y in range(image.height())}
    near = np.abs(np.array(list(colors)) - TRAINING_COLOR).max(1).min()
    assert near <= 16, "screens of few colours round, and edges are smoothed"
    assert plot.describe() == "training loss 0.001 at step 999, validation loss 0.3 at step 200"


def test_long_curves_are_thinned_to_their_end():
    points = [(step, 0.0) for step in range(5000)]
    thin = _thin(points)
    assert len(thin) <= MOST_POINTS + 1
    assert thin[0] == points[0]
    assert thin[-1] == points[-1]
    assert _thin([]) == ()


def test_strip_shows_as_many_patches_as_fit(qtbot):
    strip = PatchStrip()
    qtbot.addWidget(strip)
    picture = np.zeros((20, 120, 3), np.uint8)
    picture[:10] = (255, 0, 0)
    picture[10:] = (0, 0, 255)
    strip.set_picture(picture)
    strip.resize(300, strip.heightForWidth(300))
    assert strip.columns(300) == 5
    assert strip.height() == 120
    image = strip.grab().toImage()
    assert image.pixelColor(10, 10).getRgb()[:3] == (255, 0, 0)
    assert image.pixelColor(10, 110).getRgb()[:3] == (0, 0, 255)
    strip.set_picture(None)
    assert strip.isHidden()
