"""Comparing readers in the window, and the annotation doctor: controllers without Qt, then the dock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from shapely.geometry import box

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.editing import AnnotationObject
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.doctoring import DoctorController
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.reader_comparing import ReaderComparing
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.layers import tag_of


@dataclass
class Desk:
    """What of the NIC dock is needed."""

    session: Session
    models: ModelController
    documents: DocumentController
    runner: Any
    annotating: AnnotationController


@pytest.fixture
def desk(opened, runner):
    models, tissue = ModelController(opened), TissueController(opened, runner)
    overlays = OverlayController(opened, CompressController(opened, runner, tissue), models, runner)
    documents = DocumentController(opened, runner)
    annotating = AnnotationController(opened, overlays, runner, documents=documents)
    yield Desk(opened, models, documents, runner, annotating)
    annotating.close()
    overlays.close()
    models.close()


@pytest.fixture
def comparing(desk):
    made = ReaderComparing(desk, desk.runner)
    yield made
    made.close()


@pytest.fixture
def doctor(desk):
    made = DoctorController(desk, desk.runner)
    yield made
    made.close()


def add(session: Session, name: str, *areas: tuple[str, Any]) -> Any:
    """Lay a reader's areas on the slide, as opening a file does."""
    shapes = tuple(Annotation(label, "polygon", geometry) for label, geometry in areas)
    ((data, options, _),) = annotation_layers(AnnotationSet(shapes), session.slide, name)
    return session.viewer.add_shapes(data, **options)


def layer_of(session: Session, kind: str) -> Any:
    return next((one for one in session.viewer.layers if (tag := tag_of(one)) and tag.name == kind), None)


def test_two_layers_are_two_readers(desk, comparing):
    session = desk.session
    assert comparing.why_not().startswith("Open two annotation files")
    add(session, "ada", ("T", box(400, 300, 800, 700)), ("S", box(0, 0, 100, 100)))
    add(session, "ben", ("T", box(400, 300, 800, 500)))
    assert comparing.sources() == ("ada", "ben")
    assert comparing.why_not() == "Choose two readers or models"
    comparing.set_sides("ada", "ada")
    assert comparing.why_not() == "Choose two different ones"
    comparing.set_sides("ada", "ben")
    comparing.start()
    assert comparing.labels() == ("T", "S")
    rows = {name: value for name, value, _ in comparing.rows()}
    assert rows["Sensitivity"] == "0.500"
    assert rows["Precision"] == "1.000"
    assert rows["Pixel AUC"] == "\N{EN DASH}"
    assert float(rows["Cohen's kappa"]) < 1
    layer = layer_of(session, "difference")
    assert layer.name.startswith("Difference: T")
    assert [name for name, _ in comparing.legend()] == ["both", "only ada", "only ben"]
    comparing.set_label("S")
    assert layer.name.startswith("Difference: S")
    assert not comparing.is_running


def test_points_are_no_reader(desk, comparing):
    session = desk.session
    add(session, "ada", ("T", box(400, 300, 800, 700)))
    session.viewer.add_points(np.array([[10.0, 20.0], [30, 40]]), name="mitoses")
    assert comparing.sources() == ("ada",)
    assert comparing.why_not().startswith("Open two annotation files")


def test_a_difference_lies_where_the_areas_are(desk, comparing):
    session = desk.session
    add(session, "ada", ("T", box(400, 300, 800, 700)))
    add(session, "ben", ("T", box(400, 300, 800, 500)))
    comparing.set_sides("ada", "ben")
    comparing.start()
    layer = layer_of(session, "difference")
    shown = np.argwhere(np.isfinite(layer.data))
    low, high = (layer.data_to_world(tuple(corner)) for corner in (shown.min(axis=0), shown.max(axis=0)))
    # Half a micrometre a pixel; napari's world begins at the centre of pixel 0.
    np.testing.assert_allclose(low, (300 * 0.5, 400 * 0.5), atol=1)
    np.testing.assert_allclose(high, (700 * 0.5, 800 * 0.5), atol=1)


def test_an_edit_makes_numbers_outdated_and_other_sides_forget_them(desk, comparing):
    session = desk.session
    for name in ("ada", "ben", "cy"):
        add(session, name, ("T", box(400, 300, 800, 700)))
    comparing.set_sides("ada", "ben")
    comparing.start()
    assert not comparing.is_outdated
    desk.documents.document.put("draw", AnnotationObject.new(Annotation("T", "polygon", box(0, 0, 9, 9))))
    assert comparing.is_outdated
    comparing.start()
    assert not comparing.is_outdated
    comparing.set_sides("ada", "cy")
    assert comparing.rows() == ()
    assert layer_of(session, "difference") is None


def test_a_model_takes_part_once_there_are_codes(desk, comparing, slide_file, compress_file, bundle_folder):
    desk.session.open_store(compress_file(slide_file))
    desk.models.add(bundle_folder)
    add(desk.session, "ada", ("lesion", box(500, 300, 1000, 800)))
    assert comparing.sources() == (
        "ada",
        "prediction of made-model",
        "saliency of made-model for lesion",
    )
    comparing.set_sides("ada", "prediction of made-model")
    comparing.start()
    assert desk.session.asking.errors == []
    assert "lesion" in comparing.labels()
    comparing.set_label("lesion")
    assert {name: value for name, value, _ in comparing.rows()}["Pixel AUC"] != "\N{EN DASH}"
    comparing.set_sides("prediction of made-model", "saliency of made-model for lesion")
    comparing.start()
    assert desk.session.asking.errors == []


def test_comparing_can_be_cancelled(desk, comparing):
    for name in ("ada", "ben"):
        add(desk.session, name, ("T", box(400, 300, 800, 700)))
    comparing.set_sides("ada", "ben")
    desk.runner.hold = True
    comparing.start()
    assert comparing.is_running
    comparing.cancel()
    desk.runner.finish()
    assert not comparing.is_running
    assert comparing.rows() == ()


def put_objects(desk) -> list[str]:
    """Objects on dark and on light tissue of the slide, two of them in the wrong class; return all ids."""
    store = desk.session.store
    green = store.read()[..., 1].astype(float)
    cells = np.argwhere(store.encoded())
    cells = cells[np.argsort(green[tuple(cells.T)])]
    half, items = len(cells) // 2, []
    for rank, (row, col) in enumerate(cells):
        y, x = store.grid.patch_corner_px(int(row), int(col))
        side = store.grid.stride_px * store.grid.downsample[0]
        label = "dark" if (rank < half) != (rank in (0, len(cells) - 1)) else "light"
        items.append(
            AnnotationObject.new(Annotation(label, "polygon", box(x + 2, y + 2, x + side - 2, y + side - 2)))
        )
    desk.documents.document.put("draw", *items)
    return [item.id for item in items]


def test_the_doctor_leads_from_one_object_to_the_next(desk, doctor, slide_file, compress_file):
    assert doctor.why_not() == "There are no annotations to examine"
    desk.documents.document.put(
        "draw", AnnotationObject.new(Annotation("dark", "point", box(0, 0, 1, 1).centroid))
    )
    assert doctor.why_not().startswith("Compress the slide first")
    desk.session.open_store(compress_file(slide_file))
    ids = put_objects(desk)
    doctor.start()
    assert desk.session.asking.errors == []
    found = [suspect.id for suspect in doctor.suspects]
    assert {ids[0], ids[-1]} == set(found[:2])
    assert "Balanced accuracy" in doctor.summary()
    assert "1 could not be scored" in doctor.summary()
    doctor.look_at_next()
    assert doctor.suspect.id == found[0]
    right = doctor.suspect.looks_like
    doctor.change(right)
    document = desk.documents.document
    assert document[found[0]].label == right
    assert doctor.decision(doctor.suspects[0]) == f"changed to {right}"
    assert doctor.suspect.id == found[1], "and on to the next"
    desk.documents.undo()
    assert document[found[0]].label != right
    assert doctor.decision(doctor.suspects[0]) == "", "an undo takes the decision back"
    doctor.keep()
    assert found[1] not in [suspect.id for suspect in doctor.suspects]
    doctor.look_at(0)
    document.remove("delete", found[0])
    assert doctor.decision(doctor.suspects[0]) == "deleted"
    doctor.change("dark")
    assert any("gone" in notice for notice in desk.session.asking.notices)


def test_what_cannot_be_examined_is_told(desk, doctor, slide_file, compress_file):
    desk.session.open_store(compress_file(slide_file))
    add(desk.session, "ada", ("T", box(400, 300, 800, 700)))
    doctor.start()
    (error,) = desk.session.asking.errors
    assert "not two classes" in str(error)
    assert doctor.suspects == ()


@pytest.fixture
def dock(with_slide, collected):
    from napari_nic.plugin.widgets.compare_dock import CompareDock

    viewer, nic = with_slide
    made = CompareDock(viewer)
    viewer.window.add_dock_widget(made, name="Compare")
    viewer.window._qt_window.resize(1400, 1100)
    viewer.window._qt_window.show()
    QApplication.processEvents()
    yield made, nic, viewer
    made.shut_down()


@pytest.mark.gui
def test_two_files_are_compared_by_clicks(dock, qtbot, tmp_path: Path):
    made, nic, _ = dock
    section = made.compare_section
    assert not section.button.isEnabled()
    assert "Open two annotation files" in section.button.toolTip()
    add(nic.session, "ada", ("T", box(400, 300, 800, 700)), ("S", box(0, 0, 100, 100)))
    add(nic.session, "ben <b>", ("T", box(400, 300, 800, 500)))
    qtbot.waitUntil(lambda: section.button.isEnabled())
    assert [section.first.currentText(), section.second.currentText()] == ["ada", "ben <b>"]
    qtbot.mouseClick(section.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.table.rowCount() == 11 and section.legend.isVisible(), timeout=20_000)
    assert section.table.item(0, 1).text() == "0.667"
    assert "only ben &lt;b&gt;" in section.legend.text()
    section.label.setFocus()
    qtbot.keyClick(section.label, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: section.table.item(0, 1).text() == "0.000", timeout=20_000)
    assert made.comparing.label == "S"
    assert layer_of(nic.session, "difference") is not None


@pytest.mark.gui
def test_the_doctor_by_clicks(dock, qtbot, slide_file, compress_file):
    made, nic, viewer = dock
    section = made.doctor_section
    nic.session.open_store(compress_file(slide_file))
    ids = put_objects(nic)
    qtbot.waitUntil(lambda: section.button.isEnabled())
    qtbot.mouseClick(section.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.table.isVisible(), timeout=20_000)
    assert not section.keep.isEnabled()
    viewer.scene.camera.center = (0, 0, 0)
    qtbot.mouseClick(section.next, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.keep.isEnabled())
    suspect = made.doctor.suspect
    assert suspect.id in (ids[0], ids[-1])
    assert nic.documents.selected in ((), (suspect.id,))
    x, y = suspect.center_px
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (y * 0.5, x * 0.5), atol=1)
    assert section.label.currentText() == suspect.looks_like
    qtbot.mouseClick(section.change, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.table.item(0, 1).text().startswith("changed to"))
    assert nic.documents.document[suspect.id].label == suspect.looks_like
    before = section.table.rowCount()
    qtbot.mouseClick(section.keep, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.table.rowCount() == before - 1)
