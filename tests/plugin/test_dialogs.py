"""Questions and bad news as dialogs of the window."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtWidgets import QMessageBox

from napari_nic.annotations import format_of
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.widgets import dialogs
from napari_nic.slides import open_slide

pytestmark = pytest.mark.gui


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


def test_annotations_are_saved_in_the_format_that_was_chosen(window, monkeypatch, tmp_path):
    _, dock = window
    asking, start = dialogs.Dialogs(dock), tmp_path / "slide.v2.geojson"
    for label, suffix in dialogs.ANNOTATION_FILTERS.items():
        for typed, expected in (
            (str(start), f"slide.v2{suffix}"),
            (str(tmp_path / "mine"), f"mine{suffix}"),
            (str(tmp_path / "a.xml"), "a.xml"),
        ):
            monkeypatch.setattr(dialogs.QFileDialog, "getSaveFileName", lambda *_, f=label, t=typed: (t, f))
            found = asking.save_to("Save", start)
            assert found.name == expected
            format_of(found)  # that it can be written
    monkeypatch.setattr(dialogs.QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    assert asking.save_to("Save", start) is None


def test_a_folder_of_labels_is_opened_by_a_button(with_slide, monkeypatch, tmp_path):
    _, dock = with_slide
    opened = []
    monkeypatch.setattr(dock.annotating, "open", opened.append)
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "a.zarr"))
    dock.annotation_section.folder.click()
    monkeypatch.setattr(dialogs.QFileDialog, "getExistingDirectory", lambda *_: "")
    dock.annotation_section.folder.click()
    assert opened == [tmp_path / "a.zarr"]


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
