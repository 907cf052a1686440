"""Annotations in a real window: drawn with the mouse, and asked about when it closes."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import shapely
from napari._app_model.actions._file import new_shapes
from napari.layers.shapes._shapes_mouse_bindings import add_rectangle
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMessageBox, QProgressDialog

from napari_nic.annotations import UNCLASSIFIED, read_annotations
from napari_nic.annotations.colors import UNCLASSIFIED_COLOR
from napari_nic.errors import AnnotationError, NotSavedError
from napari_nic.jobs import Progress
from napari_nic.plugin import annotation_jobs, outlines, readers
from napari_nic.plugin import annotation_layers as module
from napari_nic.plugin.readers import read_annotation_file

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("collected")]


def press_and_drag(viewer, start, end):
    """Drag the mouse over the canvas between two places of the world."""

    class Mouse:
        view_direction = None
        up_direction = None
        dims_displayed = (0, 1)
        dims_point = (0, 0)
        modifiers = ()
        pos = (0, 0)
        button = 1
        handled = False

    layer = viewer.layers.selection.active
    assert add_rectangle in layer.mouse_drag_callbacks
    for kind, place, callbacks in (
        ("mouse_press", start, mouse_press_callbacks),
        ("mouse_move", end, mouse_move_callbacks),
        ("mouse_release", end, mouse_release_callbacks),
    ):
        event = Mouse()
        event.type, event.is_dragging, event.position = kind, kind == "mouse_move", place
        callbacks(layer, ReadOnlyWrapper(event, exceptions=("handled",)))


def test_a_rectangle_drawn_in_a_new_layer_is_saved_where_it_was_drawn(with_slide, qtbot, tmp_path):
    viewer, dock = with_slide
    viewer.layers.selection.active = dock.session.layer
    new_shapes(viewer)
    QApplication.processEvents()
    layer = viewer.layers.selection.active
    layer.mode = "add_rectangle"
    press_and_drag(viewer, (50.0, 60.0), (150.0, 260.0))
    QApplication.processEvents()
    (drawn,) = dock.annotating.annotations().annotations
    (kept,) = dock.documents.document.objects()
    assert kept.annotation == drawn, "a drawing by the mouse is an edit when the button is let go"
    assert np.allclose(drawn.geometry.bounds, np.array([60.25, 50.25, 260.25, 150.25]) / 0.5, atol=0.1)
    assert drawn.label == UNCLASSIFIED
    assert np.allclose(layer.edge_color[0][:3] * 255, UNCLASSIFIED_COLOR, atol=1)
    assert dock.annotation_section.save.isEnabled()
    box = dock.annotation_section.drawn
    box.lineEdit().setText("Tumour")
    qtbot.keyClick(box.lineEdit(), Qt.Key.Key_Return)
    press_and_drag(viewer, (200.0, 60.0), (250.0, 260.0))
    QApplication.processEvents()
    assert [a.label for a in dock.annotating.annotations().annotations][-1] == "Tumour"
    dock.annotating.save(tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert features[1]["properties"]["classification"]["name"] == "Tumour"
    assert dock.annotating.may_close()


@pytest.mark.parametrize("button", ["Cancel", "Discard"])
def test_the_window_asks_before_it_closes(with_slide, monkeypatch, button):
    viewer, dock = with_slide
    layer = viewer.add_shapes(ndim=2)
    layer.add(np.array([(0, 0), (0, 50), (50, 50)]), shape_type="polygon")
    asked = []

    def answer(box):
        asked.append(box.text())
        chosen = next(b for b in box.buttons() if b.text() == button)
        monkeypatch.setattr(QMessageBox, "clickedButton", lambda _box: chosen)
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    window = viewer.window._qt_window
    window.show()
    QApplication.processEvents()
    event = QCloseEvent()
    stays = dock.eventFilter(window, event)
    assert "not saved" in asked[0]
    assert stays == (button == "Cancel")
    assert event.isAccepted() == (button == "Discard")
    window.hide()


def test_a_file_with_one_outline_that_napari_cannot_draw(with_slide, tmp_path, monkeypatch):
    """The others are shown, the one is named, and all are saved."""
    viewer, dock = with_slide
    real = outlines.can_be_filled
    monkeypatch.setattr(outlines, "can_be_filled", lambda loop: len(loop) != 3 and real(loop))
    rings = [[[x, 0], [x + 40, 0], [x + 40, 40], [x, 40], [x, 0]] for x in range(0, 400, 50)]
    rings.insert(3, [[500, 500], [600, 500], [600, 600], [500, 500]])
    features = [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    layers = read_annotation_file(tmp_path / "a.geojson")
    ((data, options, _),) = layers
    layer = viewer.add_shapes(data, **options)
    assert len(layer.data) == 8
    tag = module.annotation_tag(layer)
    assert tag.hidden == (3,)
    assert any("1 shape of a was not drawn" in note and "number 4" in note for note in tag.notes())
    assert len(dock.annotating.annotations()) == 9
    assert dock.annotating.may_close()


def test_outlines_whose_corners_nearly_meet_do_not_take_the_layer_with_them(with_slide):
    """Repaired outlines cross in points that single precision cannot tell apart."""
    viewer, _ = with_slide
    rng = np.random.default_rng(1)
    shapes = []
    for _ in range(200):
        ring = rng.uniform(0, 300, (int(rng.integers(4, 40)), 2)) + rng.uniform(0, 60_000, 2)
        area = shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)
        if area.area > 0:
            shapes.append(module.Annotation("A", "polygon", area))
    annotations = module.AnnotationSet(tuple(shapes))
    ((data, options, _),) = module.annotation_layers(annotations, None, "x")
    layer = viewer.add_shapes(data, **options)
    assert len(layer.data) == len(shapes)
    assert module.annotation_tag(layer).hidden == ()


def test_a_hundred_thousand_outlines_are_a_picture_that_can_be_looked_at(with_slide, monkeypatch):
    viewer, dock = with_slide
    monkeypatch.setattr(module, "MAX_SHAPES", 50)
    corners = np.stack(np.meshgrid(np.arange(0, 1000, 50), np.arange(0, 500, 50)), -1).reshape(-1, 2)
    shapes = [module.Annotation("N", "polygon", shapely.box(x, y, x + 20, y + 20)) for x, y in corners]
    dock.annotating._add(module.AnnotationSet(tuple(shapes)), "nuclei", None)
    QApplication.processEvents()
    (layer,) = dock.annotating.layers()
    assert layer.multiscale
    assert len(dock.annotating.annotations()) == 200
    assert dock.annotating.may_close()
    viewer.screenshot(flash=False)
    assert dock.annotation_section.save.isEnabled()


def test_the_section_says_how_far_a_file_is_read_and_cancels_it(with_slide, qtbot, tmp_path, monkeypatch):
    _, dock = with_slide
    going_on = threading.Event()

    def slowly(_path, _slide, token):
        yield Progress(25, 100, "Reading outlines", "bytes")
        while not going_on.wait(0.01):
            token.checkpoint()
        raise AssertionError("it was not cancelled")

    monkeypatch.setattr(annotation_jobs, "iter_read_file", slowly)
    dock.annotating.open(tmp_path / "many.geojson")
    section = dock.annotation_section
    qtbot.waitUntil(lambda: section.opening.text() == "Opening many.geojson: reading outlines, 25%")
    assert not section.open.isEnabled()
    qtbot.mouseClick(section.cancel, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.open.isEnabled())
    assert section.opening_row.isHidden()


def test_a_dropped_file_says_how_far_it_is_read(with_slide, tmp_path, monkeypatch):
    shown = []

    def job(_path, _slide, _token):
        yield Progress(1, 2, "Reading outlines", "bytes")
        for _ in range(3000):
            if shown:
                break
            pause.wait(0.01)
        return annotation_jobs.ReadFile(module.AnnotationSet(), [])

    def look():
        boxes = [box for box in QApplication.topLevelWidgets() if isinstance(box, QProgressDialog)]
        shown.extend(box.labelText() for box in boxes if box.value() == box.maximum() // 2)

    pause = threading.Event()
    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(20)
    monkeypatch.setattr(annotation_jobs, "iter_read_file", job)
    monkeypatch.setattr(readers, "LARGE_BYTES", 0)
    (tmp_path / "a.geojson").write_text("{}")
    assert read_annotation_file(tmp_path / "a.geojson") == []
    assert shown[0] == "Opening a.geojson: reading outlines"


@pytest.fixture
def with_drawing(with_slide, monkeypatch):
    """A shape that is not saved, and any number of shapes is many."""
    viewer, dock = with_slide
    monkeypatch.setattr(annotation_jobs, "MANY_SHAPES", 0)
    layer = viewer.add_shapes(ndim=2)
    layer.add(np.array([(0, 0), (0, 50), (50, 50)]), shape_type="polygon")
    QApplication.processEvents()
    assert dock.annotating.unsaved.is_unsaved(layer)
    return viewer, dock


def test_saving_many_shapes_leaves_the_window_alive(with_drawing, tmp_path, monkeypatch):
    """It is written elsewhere while the window goes on, and is there when saving has ended."""
    _, dock = with_drawing
    write, lived, threads = annotation_jobs.write_annotations, threading.Event(), []

    def slowly(*args, **options):
        threads.append(threading.current_thread())
        assert lived.wait(30)  # nobody but the event loop sets it
        return write(*args, **options)

    timer = QTimer()
    timer.timeout.connect(lived.set)
    timer.start(20)
    monkeypatch.setattr(annotation_jobs, "write_annotations", slowly)
    assert dock.annotating.save(tmp_path / "a.geojson")
    assert threads[0] is not threading.main_thread()
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 1
    assert dock.annotating.may_close()


def test_saving_many_shapes_can_be_cancelled(with_drawing, tmp_path, monkeypatch):
    """What was there before is kept, and the shapes still count as unsaved."""
    viewer, dock = with_drawing
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')

    def write(_annotations, _path, *, token, **_slide):
        pause = threading.Event()
        for _ in range(3000):
            token.checkpoint()
            pause.wait(0.01)
        raise AssertionError("nobody cancelled")

    timer = QTimer()
    timer.timeout.connect(lambda: [box.canceled.emit() for box in dock.findChildren(QProgressDialog)])
    timer.start(20)
    monkeypatch.setattr(annotation_jobs, "write_annotations", write)
    assert not dock.annotating.save(tmp_path / "a.geojson")
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
    assert dock.annotating.unsaved.is_unsaved(viewer.layers[-1])


@pytest.mark.parametrize("fails", [False, True])
def test_the_window_closes_when_the_shapes_are_saved_and_not_before(
    with_drawing, tmp_path, monkeypatch, fails
):
    viewer, dock = with_drawing
    path, errors = tmp_path / ("a.geojson" if not fails else "no.such"), []
    monkeypatch.setattr(type(dock.session.asking), "leaving", lambda *_: "save")
    monkeypatch.setattr(type(dock.session.asking), "save_to", lambda *_: path)
    monkeypatch.setattr(type(dock.session.asking), "tell_error", lambda _, error: errors.append(error))
    assert dock.annotating.may_close() is not fails
    assert path.exists() is not fails
    assert [type(error) for error in errors] == [AnnotationError] * fails
    assert dock.annotating.unsaved.is_unsaved(viewer.layers[-1]) is fails


def backups(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("**/before-*"))


def test_napari_s_own_save_is_as_safe_as_ours(with_slide, slide_file, outlines_file, qtbot):
    """File > Save Selected Layers: what was there is kept, ids too, and the file is known as ours."""
    viewer, dock = with_slide
    dock.annotating.open(outlines_file)
    qtbot.waitUntil(lambda: "outlines" in viewer.layers, timeout=20_000)
    before = outlines_file.read_bytes()
    layer = viewer.layers["outlines"]
    layer.add(np.array([(10, 10), (10, 60), (60, 60)]), shape_type="polygon")
    other = viewer.add_shapes(ndim=2, name="not selected")
    other.add(np.array([(300, 10), (300, 60), (360, 60)]), shape_type="polygon")
    viewer.layers.selection = {layer, viewer.layers["outlines (points)"]}
    assert viewer.layers.save(str(outlines_file), selected=True, plugin="napari-nic") == [str(outlines_file)]
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=20_000)
    (copy,) = backups(slide_file.parent)
    assert (slide_file.with_name("made.nic.document") / copy).read_bytes() == before
    read = read_annotations(outlines_file)
    assert {a.id for a in read.annotations} >= {"id-Tumour", "id-Stroma", "id-Mark"}
    assert len(read) == 4
    drawn = next(item for item in dock.documents.document.objects() if item.id not in before.decode())
    assert drawn.id in {a.id for a in read.annotations}, "it is the same object when the file is read again"
    asked = []
    dock.session.asking.confirm = lambda *texts, **_: asked.append(texts)
    dock.annotating.files.check()
    assert not asked, "no other program changed it"
    assert not dock.annotating.unsaved.is_unsaved(layer)
    assert dock.annotating.unsaved.is_unsaved(other)
    viewer.layers.save(str(outlines_file), selected=True, plugin="napari-nic")
    assert len(backups(slide_file.parent)) == 2, "once for each content"
    dock.annotating.save(outlines_file.with_name("all.geojson"))


def test_code_that_saves_hears_what_went_wrong(with_slide, outlines_file, tmp_path, qtbot):
    """napari takes a ValueError for a plugin that cannot write such layers, and only warns."""
    viewer, dock = with_slide
    dock.annotating.open(outlines_file)
    qtbot.waitUntil(lambda: "outlines" in viewer.layers, timeout=20_000)
    viewer.layers.selection = {viewer.layers["outlines"]}
    other = tmp_path / "notes.geojson"
    other.write_text("my notes, not annotations")
    dock.session.asking.tell_error = lambda error: pytest.fail(f"told twice: {error}")
    with pytest.raises(NotSavedError, match="no annotations is not replaced") as caught:
        viewer.layers.save(str(other), selected=True, plugin="napari-nic")
    assert caught.value.file == other
    assert not isinstance(caught.value, ValueError)
    assert other.read_text() == "my notes, not annotations"


def test_without_the_nic_dock_napari_s_save_keeps_what_it_replaces(make_napari_viewer, outlines_file, home):
    viewer = make_napari_viewer()
    layer = viewer.add_shapes([np.array([(0.0, 0.0), (0, 9), (9, 9)])], shape_type="polygon")
    layer.features = {"label": ["a"]}
    before = outlines_file.read_bytes()
    viewer.layers.save(str(outlines_file), plugin="napari-nic")
    assert len(read_annotations(outlines_file)) == 1
    (copy,) = backups(home)
    assert (home / "annotations" / copy).read_bytes() == before
