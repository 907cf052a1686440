"""What is drawn is kept beside the slide, and is there when the slide is opened again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from shapely.geometry import box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, Journal, read_journal
from napari_nic.editing import journal as journal_module
from napari_nic.errors import AnnotationError, StoreBusyError, StoreError
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController

BOX = np.array([(10.0, 10.0), (10, 50), (40, 50), (40, 10)])


class Window:
    """All that a window has of annotations, without the window."""

    def __init__(self, settings, answers, runner, add_slide, path) -> None:
        self.viewer, self.is_closed = ViewerModel(), False
        self.session = Session(self.viewer, settings, answers)
        tissue = TissueController(self.session, runner)
        self.overlays = OverlayController(
            self.session,
            CompressController(self.session, runner, tissue),
            ModelController(self.session),
            runner,
        )
        self.documents = DocumentController(self.session, runner)
        self.annotating = AnnotationController(self.session, self.overlays, runner, documents=self.documents)
        if path is not None:
            add_slide(self.viewer, path)

    @property
    def document(self):
        return self.documents.document

    def draw(self, label="Tumour", at=0.0) -> AnnotationObject:
        item = AnnotationObject.new(Annotation(label, "polygon", box(at, 30, at + 40, 90)))
        self.document.put("draw", item)
        return item

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self.annotating.close()
        self.overlays.close()
        self.session.close()


@pytest.fixture
def open_window(settings, answers, runner, add_slide):
    windows = []

    def open_one(path=None):
        windows.append(Window(settings, answers, runner, add_slide, path))
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


@pytest.fixture
def window(open_window, slide_file):
    return open_window(slide_file)


def folder_of(slide_file):
    return slide_file.with_name("made.nic.document")


def test_nothing_is_written_for_a_slide_that_is_looked_at(window, slide_file, outlines_file):
    window.annotating.open(outlines_file)
    window.documents.select(["id-Tumour"])
    assert sorted(path.name for path in slide_file.parent.iterdir()) == ["made.tif"]
    assert window.documents.saving_text == ""


def test_every_edit_is_on_the_disk_at_once(window, slide_file, answers):
    item = window.draw()
    kept = read_journal(folder_of(slide_file), window.session.slide.fingerprint)
    assert kept.state.objects == (item,)
    assert window.documents.saving_text == "saved 0 s ago"
    window.documents.undo()
    assert read_journal(folder_of(slide_file), window.session.slide.fingerprint).state.objects == ()
    assert answers.errors == []


def test_what_was_drawn_is_there_when_the_slide_is_opened_again(
    open_window, slide_file, outlines_file, answers
):
    first = open_window(slide_file)
    first.documents.author = "Anna"
    first.annotating.open(outlines_file)
    shapes = next(layer for layer in first.annotating.layers() if hasattr(layer, "shape_type"))
    shapes.add(BOX, shape_type="polygon")
    first.document.remove("delete", "id-Stroma")
    objects, classes = first.document.objects(), first.document.classes
    first.close()
    second = open_window(slide_file)
    assert second.document.objects() == objects
    assert second.document.classes == classes
    assert "3 annotations as they were left, last edited" in answers.notices[-1]
    assert answers.notices[-1].endswith("by Anna")
    shown = {a.geometry.wkt for a in second.annotating.annotations().annotations}
    assert shown == {item.annotation.geometry.wkt for item in objects}
    assert second.annotating.may_close(), "it is kept: nothing is lost"
    second.draw(at=300)
    third = read_journal(folder_of(slide_file), second.session.slide.fingerprint)
    assert [item.id for item in third.state.objects] == [item.id for item in second.document.objects()]


def test_discarding_leads_back_to_what_was_opened(open_window, slide_file, answers):
    first = open_window(slide_file)
    kept = first.draw()
    first.close()
    second = open_window(slide_file)
    second.draw(at=200)
    assert not second.annotating.may_close()
    answers.leave = "discard"
    assert second.annotating.may_close()
    second.close()
    assert open_window(slide_file).document.objects() == (kept,)
    assert (folder_of(slide_file) / "discarded.jsonl").exists(), "in case"


def test_discarding_a_first_drawing_leaves_nothing_to_come_back(open_window, slide_file, answers):
    first = open_window(slide_file)
    first.draw()
    answers.leave = "discard"
    assert first.annotating.may_close()
    first.close()
    assert len(open_window(slide_file).document) == 0


def test_a_second_window_is_told_who_edits(window, open_window, slide_file, answers):
    first = window.draw()
    second = open_window(slide_file)
    assert second.document.objects() == (first,)
    second.draw(at=100)
    assert isinstance(answers.errors[-1], StoreBusyError)
    assert "this program" in second.documents.saving_text
    second.draw(at=200)
    assert len(answers.errors) == 1, "it is said once"
    window.close()
    second.documents.keeping.try_again()
    assert second.documents.saving_text == "saved 0 s ago"
    kept = read_journal(folder_of(slide_file), second.session.slide.fingerprint)
    assert len(kept.state.objects) == 3


def test_what_another_window_drew_meanwhile_is_not_lost(window, open_window, slide_file, answers):
    """The second one has read the document before the first one went on, and writes when that is closed."""
    first = window.draw()
    second = open_window(slide_file)
    window.draw(at=100)
    window.document.put("move", first.with_geometry(box(1, 1, 2, 2)))
    window.close()
    second.document.put("move", first.with_geometry(box(3, 3, 4, 4)))
    kept = read_journal(folder_of(slide_file), second.session.slide.fingerprint)
    assert sorted(item.annotation.geometry.bounds[0] for item in kept.state.objects) == [1, 3, 100]
    assert kept.state.objects == second.document.objects()
    assert "edited meanwhile" in answers.notices[-1]


def test_beside_a_slide_that_may_not_be_written_to_home_is_taken(
    window, open_window, slide_file, home, answers, monkeypatch
):
    opened = Journal.open

    def refuse(journal):
        if journal.folder.parent == slide_file.parent:
            raise StoreError("not allowed to write here", path=journal.folder)
        opened(journal)

    monkeypatch.setattr(Journal, "open", refuse)
    item = window.draw()
    assert "nothing can be written beside made" in answers.notices[-1]
    assert [path.name for path in (home / "annotations").iterdir()] == ["made.nic.document"]
    window.close()
    assert open_window(slide_file).document.objects() == (item,)


def test_a_full_disk_is_told_and_what_waits_is_written_later(window, slide_file, answers, monkeypatch):
    window.draw()

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", full)
        window.draw(at=100)
        assert "no space" in str(answers.errors[-1])
        assert window.documents.saving_text.startswith("not kept: ")
    window.documents.keeping.try_again()
    kept = read_journal(folder_of(slide_file), window.session.slide.fingerprint)
    assert len(kept.state.objects) == 2
    assert window.documents.saving_text == "saved 0 s ago"


def test_a_damaged_line_is_told_and_a_copy_is_kept(open_window, slide_file, answers):
    first = open_window(slide_file)
    for number in range(3):
        first.draw(at=100.0 * number)
    first.close()
    path = folder_of(slide_file) / "document.jsonl"
    content = path.read_bytes().replace(b'"wkb"', b'"wkB"', 1)
    path.write_bytes(content)
    second = open_window(slide_file)
    assert "damaged line" in answers.notices[-1]
    second.draw(at=500)
    assert (folder_of(slide_file) / "damaged.jsonl").read_bytes() == content


def test_a_journal_of_another_slide_is_told_and_left_alone(open_window, slide_file, answers):
    first = open_window(slide_file)
    first.draw()
    first.close()
    path = folder_of(slide_file) / "document.jsonl"
    before = path.read_bytes()
    with slide_file.open("ab") as file:
        file.write(b"another slide of that name")
    second = open_window(slide_file)
    assert len(second.document) == 0
    assert "belongs to another slide" in answers.notices[-1]
    second.draw()
    assert path.read_bytes() == before
    with pytest.raises(AnnotationError):
        read_journal(folder_of(slide_file), second.session.slide.fingerprint)


def test_edits_are_on_the_disk_when_the_window_has_closed(open_window, slide_file, runner):
    window = open_window(slide_file)
    window.draw()
    runner.hold = True
    late = window.draw(at=100)
    assert window.documents.saving_text == "saving..."
    runner.shutdown()
    window.close()
    runner.hold = False
    assert late in open_window(slide_file).document.objects()


def test_a_slide_that_is_closed_while_it_is_written_is_written_to_its_end(open_window, slide_file, runner):
    window = open_window(slide_file)
    window.draw()
    runner.hold = True
    window.draw(at=100)
    window.draw(at=200)
    window.viewer.layers.clear()
    window.annotating.ask_removed()
    runner.finish()
    runner.hold = False
    assert len(open_window(slide_file).document) == 3


def test_a_slide_that_was_moved_is_known_with_its_document(open_window, slide_file, tmp_path):
    first = open_window(slide_file)
    item = first.draw()
    first.close()
    shutil.move(slide_file.parent, tmp_path / "elsewhere")
    assert open_window(tmp_path / "elsewhere" / "made.tif").document.objects() == (item,)


def shapes_named(window) -> dict[str, int]:
    return {layer.name: len(layer.data) for layer in window.viewer.layers if hasattr(layer, "selected_data")}


def test_shapes_come_back_in_layers_of_their_names(open_window, slide_file, outlines_file, answers):
    first = open_window(slide_file)
    first.annotating.open(outlines_file)
    mine = first.viewer.add_shapes(ndim=2, name="Shapes")
    mine.add(BOX, shape_type="polygon")
    mine.name = "reader B"
    first.viewer.layers["outlines"].add(BOX + 300, shape_type="polygon")
    before = shapes_named(first)
    assert before == {"outlines": 3, "outlines (points)": 1, "reader B": 1}
    first.close()
    second = open_window(slide_file)
    assert shapes_named(second) == before
    assert second.annotating.can_reload()
    second.draw(at=600)
    assert shapes_named(second)["reader B"] == 2, "the last one, as before"
    third = open_window(slide_file)
    assert shapes_named(third) == shapes_named(second)


def test_a_layer_that_was_taken_away_comes_back_with_its_name(window, outlines_file):
    window.annotating.open(outlines_file)
    before = shapes_named(window)
    window.viewer.layers.remove("outlines")
    window.annotating.ask_removed()
    assert "outlines" not in shapes_named(window)
    window.documents.undo()
    assert shapes_named(window) == before
    assert window.annotating.can_reload()


@pytest.mark.parametrize("how", ["nothing", "changed", "removed", "drawn"])
def test_reload_asks_if_what_was_kept_is_not_in_the_file(
    open_window, slide_file, outlines_file, answers, how
):
    first = open_window(slide_file)
    first.annotating.open(outlines_file)
    first.draw(at=900)
    first.document.remove("delete", first.document.objects()[-1].id)
    if how == "changed":
        first.document.put("class", first.document["id-Stroma"].with_label("Tumour"))
    elif how == "removed":
        first.document.remove("delete", "id-Stroma")
    elif how == "drawn":
        first.viewer.layers["outlines"].add(BOX + 300, shape_type="polygon")
    first.close()
    second = open_window(slide_file)
    answers.questions.clear()
    answers.agree = False
    objects = second.document.objects()
    second.annotating.reload()
    asked = [text for text in answers.questions if text.startswith("Reload")]
    assert bool(asked) == (how != "nothing")
    assert second.document.objects() == objects
    answers.agree = True
    second.annotating.reload()
    assert sorted(item.id for item in second.document.objects()) == ["id-Mark", "id-Stroma", "id-Tumour"]
    assert second.document["id-Stroma"].label == "Stroma"
    assert shapes_named(second) == {"outlines": 2, "outlines (points)": 1}
