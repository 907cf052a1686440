"""Painting class labels: the window that follows the view, strokes, undo, saving, outlines."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from shapely.geometry import box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, DrawingClass
from napari_nic.geometry import RegionPx
from napari_nic.names import PAINTING_SUFFIX
from napari_nic.painting import PaintedLabels, PaintingFiles, read_header
from napari_nic.plugin.controllers.label_painting import LabelPainting
from napari_nic.plugin.controllers.painted_classes import PaintedNames
from napari_nic.plugin.controllers.painted_exchange import PaintedExchange
from napari_nic.plugin.painting_window import MOST_WINDOW, window_around
from napari_nic.plugin.widgets.docking import PAINTING, open_dock
from napari_nic.plugin.widgets.painting_dock import PaintingDock

pytestmark = pytest.mark.gui
TIMEOUT_MS = 20_000
WHOLE = RegionPx(0, 0, 1100, 1500)


class Hand:
    """A hand on the mouse, over a window that is painted in."""

    def __init__(self, viewer, dock) -> None:
        self.viewer, self.dock, self.painting = viewer, dock, dock.painting
        self.canvas = viewer.window._qt_window._qt_viewer.canvas.native
        viewer.window._qt_window.show()
        viewer.window._qt_window.resize(1300, 900)
        turn(10)
        viewer.reset_view()
        turn()

    def begin(self, qtbot) -> None:
        self.dock.section.button.click()
        qtbot.waitUntil(lambda: self.painting.is_on, timeout=TIMEOUT_MS)
        turn()

    def at(self, x, y) -> QPoint:
        world = np.array([y, x]) * 0.5 - 0.25
        camera = self.viewer.scene.camera
        offset = (world - np.array(camera.center[-2:])) * camera.zoom
        return QPoint(round(self.canvas.width() / 2 + offset[1]), round(self.canvas.height() / 2 + offset[0]))

    def look(self, x, y, zoom) -> None:
        self.viewer.scene.camera.center = (y * 0.5, x * 0.5)
        self.viewer.scene.camera.zoom = zoom
        turn()

    def stroke(self, *places) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(self.canvas, self.at(*places[0]))
        turn()
        QTest.mousePress(self.canvas, left, none, self.at(*places[0]))
        for place in places[1:]:
            QTest.mouseMove(self.canvas, self.at(*place))
            turn()
        QTest.mouseRelease(self.canvas, left, none, self.at(*places[-1]))
        turn()

    def seen(self, level=0) -> np.ndarray:
        labels = self.painting.open_painting.labels
        return labels.read(level, RegionPx(0, 0, *labels.shapes[level]))


def turn(times=2) -> None:
    for _ in range(times):
        QApplication.processEvents()


@pytest.fixture
def hand(with_slide):
    viewer, desk = with_slide
    classes = (DrawingClass("tumor", (200, 0, 0)), DrawingClass("stroma", (0, 200, 0)))
    desk.documents.document.set_classes("classes", classes)
    desk.documents.set_current_class("tumor")
    dock = open_dock(viewer, PaintingDock, PAINTING)
    yield Hand(viewer, dock)
    dock.shut_down()
    gc.collect()


def test_strokes_at_two_magnifications_are_undone_saved_and_opened_again(hand, qtbot, slide_file):
    hand.begin(qtbot)
    painting = hand.painting
    layer = painting.layer
    hand.look(600, 500, 8.0)
    assert painting.level == 0
    layer.brush_size = 20
    hand.stroke((560, 500), (640, 500))
    fine = hand.seen()
    assert fine[500, 600] == painting.classes["tumor"]
    assert fine[500, 700] == 0
    assert 15 <= np.count_nonzero(fine[:, 600]) <= 25

    hand.look(750, 550, 0.5)
    assert painting.level == 2
    assert painting.mpp == 2.0
    hand.painting.documents.set_current_class("stroma")
    assert layer.selected_label == painting.classes["stroma"]
    layer.brush_size = 15
    hand.stroke((300, 900), (900, 900))
    both = hand.seen()
    assert both[900, 600] == painting.classes["stroma"]
    assert np.array_equal(both[:700], fine[:700]), "what was painted finely stays as it is"
    assert np.count_nonzero(both[:, 600] == painting.classes["stroma"]) % 4 == 0

    hand.look(1400, 100, 8.0)
    QTest.keyClick(hand.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    turn()
    assert np.array_equal(hand.seen(), fine)
    x = hand.viewer.scene.camera.center[-1] / 0.5
    assert abs(x - 600) < 30, "the view went where the stroke was"
    hand.dock.section.redo.click()
    assert np.array_equal(hand.seen(), both)

    qtbot.waitUntil(lambda: painting.open_painting.labels.is_saved, timeout=TIMEOUT_MS)
    hand.dock.section.button.click()
    turn()
    assert not painting.is_on
    assert layer not in hand.viewer.layers
    files = PaintingFiles.open(slide_file.with_name(f"made{PAINTING_SUFFIX}"), _fingerprint(hand))
    assert np.array_equal(PaintedLabels((1100, 1500), files).read(0, WHOLE), both)
    assert files.header.classes["tumor"] == 1
    files.close()
    hand.begin(qtbot)
    assert np.array_equal(hand.seen(), both)


def _fingerprint(hand):
    return hand.painting.session.slide.fingerprint


def test_eraser_fill_and_polygon_of_napari_are_strokes_too(hand, qtbot):
    hand.begin(qtbot)
    painting, layer = hand.painting, hand.painting.layer
    hand.look(750, 550, 1.0)
    layer.mode = "polygon"
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    corners = ((500, 400), (900, 400), (900, 700), (500, 700), (500, 400))
    for place in corners:
        QTest.mouseMove(hand.canvas, hand.at(*place))
        QTest.mouseClick(hand.canvas, left, none, hand.at(*place))
        turn()
    level = painting.level
    hand.viewer.scene.camera.zoom = 8.0
    assert painting.level == level, "the window stays below a polygon that is begun"
    hand.viewer.scene.camera.zoom = 1.0
    QTest.mouseDClick(hand.canvas, left, none, hand.at(*corners[0]))  # which closes it at its first corner
    turn()
    area = np.count_nonzero(hand.seen())
    assert 60_000 < area < 140_000
    layer.mode = "erase"
    layer.brush_size = 30
    hand.stroke((600, 450), (850, 450))
    erased = hand.seen()
    assert 0 < np.count_nonzero(erased) < area
    assert painting.titles[0] == "erase"
    painting.documents.set_current_class("stroma")
    layer.mode = "fill"
    hand.stroke((800, 600))
    assert hand.seen()[600, 800] == painting.classes["stroma"]
    for _ in range(3):
        painting.undo()
    assert hand.seen().max() == 0


def test_outlines_are_made_with_holes_and_painted_in_again(hand, qtbot):
    hand.begin(qtbot)
    painting, exchange = hand.painting, hand.dock.exchange
    document = painting.documents.document
    ring = box(200, 300, 800, 900).difference(box(400, 500, 600, 700))
    item = AnnotationObject.new(Annotation("stroma", "polygon", ring))
    document.put("draw", item)
    hand.look(500, 500, 2.0)
    hand.dock.section.take.click()
    qtbot.waitUntil(lambda: not exchange.busy, timeout=TIMEOUT_MS)
    assert np.count_nonzero(hand.seen()) == ring.area
    turn()
    hand.dock.section.tolerance.setValue(0)
    hand.dock.section.make.click()
    qtbot.waitUntil(lambda: not exchange.busy, timeout=TIMEOUT_MS)
    (made,) = [one for one in document.objects() if one.id != item.id]
    assert made.label == "stroma"
    assert made.annotation.geometry.equals(ring)
    document.undo()
    assert [one.id for one in document.objects()] == [item.id]


def test_a_level_is_exported(hand, qtbot, tmp_path):
    import tifffile

    hand.begin(qtbot)
    hand.look(750, 550, 0.5)
    hand.painting.layer.brush_size = 20
    hand.stroke((300, 500), (900, 500))
    hand.dock.exchange.export(tmp_path / "out.tif")
    qtbot.waitUntil(lambda: not hand.dock.exchange.busy, timeout=TIMEOUT_MS)
    assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), hand.seen(2))


def test_closing_the_dock_saves_what_was_painted(hand, qtbot, slide_file):
    hand.begin(qtbot)
    hand.look(600, 500, 4.0)
    hand.stroke((560, 500), (640, 500))
    seen, fingerprint = hand.seen(), _fingerprint(hand)
    hand.dock.shut_down()
    files = PaintingFiles.open(slide_file.with_name(f"made{PAINTING_SUFFIX}"), fingerprint)
    assert np.array_equal(PaintedLabels((1100, 1500), files).read(0, WHOLE), seen)
    assert seen.max() == 1
    files.close()


def test_a_number_without_a_class_is_not_painted(hand, qtbot):
    hand.begin(qtbot)
    layer = hand.painting.layer
    layer.selected_label = 77
    assert layer.selected_label == hand.painting.classes["tumor"]
    layer.selected_label = hand.painting.classes["stroma"]
    assert hand.painting.documents.current_class == "stroma"
    document = hand.painting.documents.document
    document.set_classes("recolour", [DrawingClass("tumor", (1, 2, 3)), DrawingClass("fat", (9, 9, 9))])
    assert np.allclose(layer.colormap.color_dict[hand.painting.classes["tumor"]][:3] * 255, (1, 2, 3))
    assert hand.painting.classes["fat"] == 3


class Desk:
    """What painting needs of the NIC dock."""

    def __init__(self, session, documents) -> None:
        self.session, self.documents = session, documents


@pytest.fixture
def painting(opened, runner):
    from napari_nic.plugin.controllers.document import DocumentController

    documents = DocumentController(opened, runner)
    made = LabelPainting(Desk(opened, documents), runner)
    yield made
    made.close()
    documents.close()


def test_a_painting_that_cannot_be_opened_is_told_and_left_alone(painting, answers, slide_file):
    painting.begin()
    assert painting.is_on
    painting.stop()
    file = slide_file.with_name(f"made{PAINTING_SUFFIX}") / "zarr.json"
    file.write_text("{")
    painting.begin()
    assert not painting.is_on
    assert "cannot be read" in str(answers.errors[0])
    assert file.read_text() == "{"


def test_a_painting_in_a_folder_that_may_not_be_written_goes_home(painting, slide_file, home):
    folder = slide_file.parent
    folder.chmod(0o555)
    try:
        (folder / "probe").touch()
    except OSError:
        painting.begin()
        assert painting.place is not None
        assert painting.place.is_relative_to(home)
    finally:
        folder.chmod(0o755)


def test_removing_the_layer_or_the_slide_ends_painting(painting):
    painting.begin()
    viewer = painting.session.viewer
    viewer.layers.remove(painting.layer)
    assert not painting.is_on
    painting.begin()
    viewer.layers.remove(painting.session.layer)
    assert not painting.is_on
    assert "Open a slide" in painting.why_not()
    painting.begin()
    assert not painting.is_on


def test_what_cannot_be_saved_is_told_once_and_tried_again(painting, answers, monkeypatch):
    painting.begin()
    files = painting.open_painting.files
    from napari_nic.errors import StoreError

    def refuse(*_):
        raise StoreError("the disk is full", path=files.path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "save", refuse)
        for value in (1, 2):
            painting.layer.data[:50, :50] = value
            painting.layer.events.paint(value=[])
        assert len(answers.errors) == 1
        assert painting.saving_text.startswith("Not saved")
    painting.layer.data[:50, :50] = 1
    painting.layer.events.paint(value=[])
    assert painting.saving_text.startswith("Saved")


def test_nothing_to_undo_is_told(painting, runner, answers):
    painting.begin()
    painting.undo()
    painting.redo()
    assert [text.partition(" in ")[0] for text in answers.notices] == [
        "there is nothing to undo",
        "there is nothing to redo",
    ]
    exchange = PaintedExchange(painting, runner)
    exchange.make_annotations(1.0)
    exchange.paint_annotations()
    assert answers.notices[2:] == [
        "nothing is painted yet",
        "there are no areas to paint, or they are painted already",
    ]


def rename(painting, old, new) -> None:
    """Rename a class as the annotator's list does."""
    document = painting.documents.document
    classes = [replace(e, name=new) if e.name == old else e for e in document.classes]
    document.put(f"rename class {old}", classes=classes)


def paint(painting, value) -> None:
    painting.layer.data[:50, :50] = value
    painting.layer.events.paint(value=[])


def test_a_class_that_is_renamed_is_renamed_in_the_painting_too(painting, slide_file, answers):
    document = painting.documents.document
    document.set_classes("classes", (DrawingClass("tumor", (9, 0, 0)), DrawingClass("fat", (0, 9, 0))))
    painting.documents.set_current_class("tumor")
    painting.begin()
    paint(painting, 1)
    rename(painting, "tumor", "carcinoma")
    assert painting.open_painting.files.header.classes["carcinoma"] == 1
    assert "tumor" not in painting.open_painting.files.header.classes
    document.undo()
    assert painting.open_painting.files.header.classes["tumor"] == 1
    painting.stop()
    names = PaintedNames(painting.session, painting.documents)
    rename(painting, "tumor", "adenoma")  # while nobody paints
    header = read_header(slide_file.with_name(f"made{PAINTING_SUFFIX}"))
    assert header.classes == {"adenoma": 1, "fat": 2}
    assert header.colors["adenoma"] == (9, 0, 0)
    names.close()
    painting.documents.set_current_class("adenoma")
    painting.begin()
    assert painting.classes == {"adenoma": 1, "fat": 2}
    document.set_classes("delete class adenoma", (DrawingClass("fat", (0, 9, 0)),))
    assert "adenoma" in painting.classes, "what is painted in a class that was deleted stays"
    assert not answers.errors


def test_classes_that_are_joined_stay_two_in_the_painting_and_it_is_said(painting, answers):
    document = painting.documents.document
    document.set_classes("classes", (DrawingClass("a", (9, 0, 0)), DrawingClass("b", (9, 0, 0))))
    painting.documents.set_current_class("a")
    painting.begin()
    paint(painting, 1)
    paint(painting, 2)
    document.set_classes("delete", (DrawingClass("b", (9, 0, 0)),))
    rename(painting, "b", "a")
    assert painting.classes == {"a": 1, "b": 2}
    assert answers.notices[-1] == "what is painted as b stays so: a was painted too"


def test_a_class_for_which_no_number_is_left_is_not_painted_in_another_one_s(painting):
    classes = tuple(DrawingClass(f"c{n}", (n % 256, 0, 0)) for n in range(255))
    painting.documents.document.set_classes("classes", classes)
    painting.documents.set_current_class("c0")
    painting.begin()
    paint(painting, 1)
    assert painting.why_not_class() == ""
    painting.documents.document.set_classes("more", (*classes, DrawingClass("one more", (1, 1, 1))))
    painting.documents.set_current_class("one more")
    assert "at most 255 classes" in painting.why_not_class()
    assert not painting.layer.editable
    painting.documents.set_current_class("c7")
    assert painting.layer.editable
    assert painting.layer.mode == "paint"
    assert painting.layer.selected_label == 8


@pytest.mark.parametrize("view", [(0, 0, 900, 1600), (5000, 70_000, 2000, 3000), (99_500, 10, 500, 500)])
def test_windows_hold_the_view_and_no_more_than_a_texture_does(view):
    region = RegionPx(*view)
    window = window_around(region, (100_000, 120_000))
    assert window.intersect(region) == region
    assert max(window.height, window.width) <= MOST_WINDOW


def test_following_the_view_takes_milliseconds(painting):
    painting.begin()
    camera = painting.session.viewer.scene.camera
    start = time.process_time()
    for step in range(200):
        camera.center = (200 + step % 3, 200)
    assert (time.process_time() - start) / 200 < 0.02
