"""A slide without small levels is read in the background before it is shown."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_nic.plugin.readers import read_slide
from napari_nic.plugin.widgets import first_look
from napari_nic.slides.slide import Slide

pytestmark = pytest.mark.gui


@pytest.fixture
def flat_file(make_tiff, make_tissue, tmp_path):
    return make_tiff(tmp_path / "flat.tif", make_tissue(2100, 2300), factors=(1,))


@pytest.fixture
def readers_threads(monkeypatch):
    """The threads that decode tiles."""
    threads: list[threading.Thread] = []
    read = Slide.read_stored_tile

    def noting(self, level, row, col):
        threads.append(threading.current_thread())
        return read(self, level, row, col)

    monkeypatch.setattr(Slide, "read_stored_tile", noting)
    monkeypatch.setattr(first_look, "LARGE_PIXELS", 2**20)
    return threads


def test_the_window_lives_while_all_pixels_are_read(qtbot, flat_file, readers_threads):
    (layer,) = read_slide(flat_file)
    assert len(readers_threads) == 81
    assert threading.main_thread() not in readers_threads
    overview = layer[0][-1].compute()
    assert max(overview.shape) <= 1024
    assert len(readers_threads) == 81, "the overview is at hand"


def test_a_slide_that_is_not_waited_for_is_not_shown(qtbot, flat_file, readers_threads):
    def cancel() -> None:
        for dialog in QApplication.topLevelWidgets():
            if isinstance(dialog, QProgressDialog):
                dialog.findChild(QPushButton).click()

    QTimer.singleShot(0, cancel)
    assert read_slide(flat_file) == []


def test_what_has_small_levels_is_shown_at_once(qtbot, slide_path, readers_threads):
    assert len(read_slide(slide_path)) == 1
    assert readers_threads == []
