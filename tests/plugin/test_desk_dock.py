"""Docks beside a NIC dock that is closed and opened again: none is tied to the closed one."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from shapely.geometry import box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject
from napari_nic.pipeline import GridOptions
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.plugin.widgets.compare_dock import CompareDock
from napari_nic.plugin.widgets.desk_dock import OPEN_DESK
from napari_nic.plugin.widgets.docking import find_dock, open_dock
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.probe_dock import ProbeDock
from napari_nic.plugin.widgets.similar_dock import SimilarDock
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("collected")]

BOUND = (AnnotatorDock, ProbeDock, CompareDock)
ALL = (*BOUND, SimilarDock, ViewDock, CohortDock)
TIMEOUT_MS = 20_000
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def viewer(make_napari_viewer, slide_file, compress_file, add_slide):
    """A window with the made slide, compressed, and no dock yet."""
    Settings().set(ENCODER_SETTING, "mean-rgb")
    compress_file(slide_file, options=GridOptions(min_tissue=0, stride=32))
    made = make_napari_viewer()
    made.window._qt_window.show()
    add_slide(made, slide_file)
    yield made
    for kind in (*ALL, NicDock):
        for dock in made.window._qt_window.findChildren(kind):
            dock.shut_down()


def turn() -> None:
    for _ in range(3):
        QApplication.processEvents()


def open_docks(viewer, *kinds):
    """Open docks one after the other; return them."""
    for kind in kinds:
        open_dock(viewer, kind, kind.__name__)
    turn()
    return [find_dock(viewer, kind) for kind in kinds]


def close(viewer, dock) -> None:
    viewer.window.remove_dock_widget(dock)
    turn()


def session_of(dock):
    """What a dock works with, however it reaches it."""
    if isinstance(dock, AnnotatorDock):
        return dock.annotator.session
    if isinstance(dock, ProbeDock):
        return dock.probing.session
    if isinstance(dock, CompareDock):
        return dock.comparing._desk.session
    return dock.open_desk().session if isinstance(dock, CohortDock) else dock.link.session


@pytest.mark.parametrize("order", [(NicDock, *ALL), (*ALL, NicDock)], ids=["first", "last"])
def test_docks_follow_to_the_next_nic_dock(viewer, order, qtbot):
    """All are open beside it, and were opened after it, or before it."""
    by_kind = dict(zip(order, open_docks(viewer, *order), strict=True))
    first = by_kind.pop(NicDock)
    docks = list(by_kind.values())
    assert all(session_of(dock) is first.session for dock in docks)
    close(viewer, first)
    assert [dock.link.session for dock in docks] == [None] * len(docks)
    second = open_dock(viewer, NicDock, "NIC")
    turn()
    assert second is not first
    assert all(session_of(dock) is second.session for dock in docks)
    assert second.session.slide.name == "made"
    for dock in docks[:3]:
        close(viewer, dock)
        assert dock.is_shut_down
    close(viewer, second)
    for dock in docks[3:]:
        close(viewer, dock)


def test_a_dock_without_one_says_so_and_opens_one(viewer, qtbot):
    nic, *docks = open_docks(viewer, NicDock, *BOUND)
    close(viewer, nic)
    for dock in docks:
        assert not dock.is_bound
        assert not dock.escape()
        assert dock.first_control.text() == OPEN_DESK
    button = docks[0].first_control
    qtbot.mouseClick(button, LEFT)
    turn()
    for dock in docks:
        assert dock.is_bound
        assert session_of(dock) is find_dock(viewer, NicDock).session
    assert docks[0].first_control is not button
    section = docks[1].section
    close(viewer, docks[1])
    heard = []
    section.refresh_soon = lambda: heard.append(1)
    find_dock(viewer, NicDock).annotating.changed.emit()
    assert not heard, "a closed dock hears no more"


def test_drawing_goes_on_where_it_was_with_the_next_nic_dock(viewer, qtbot):
    nic, dock = open_docks(viewer, NicDock, AnnotatorDock)
    dock.classes.add("Tumor")
    dock.annotator.document.put("draw", drawn("Tumor", 100))
    dock.annotator.set_tool("brush")
    layers = {layer.name for layer in viewer.layers}
    close(viewer, nic)
    assert len(viewer.layers) == len(layers) - 1, "the tool's own layer went, and no other"
    nic = open_dock(viewer, NicDock, "NIC")
    qtbot.waitUntil(lambda: not nic.runner.jobs, timeout=TIMEOUT_MS)
    document = dock.annotator.document
    assert document is nic.documents.document
    assert [item.label for item in document.objects()] == ["Tumor"]
    (layer,) = (layer for layer in viewer.layers if hasattr(layer, "shape_type"))
    assert len(layer.data) == 1
    document.put("draw", drawn("Tumor", 600))
    assert len(layer.data) == 2, "shown where the others are"
    dock.annotator.undo()
    assert len(layer.data) == 1
    assert dock.class_section.tree.topLevelItemCount() >= 1


def test_what_was_learned_goes_on_with_the_next_nic_dock(viewer, qtbot):
    dock, nic = open_docks(viewer, ProbeDock, NicDock)
    bright = nic.session.store.read().astype(float).mean(axis=2)
    for label, index in (("tissue", bright.argmin()), ("glass", bright.argmax())):
        row, col = np.unravel_index(index, bright.shape)
        nic.documents.document.put("draw", drawn(label, col * 32, row * 32))
    qtbot.waitUntil(lambda: dock.probing.is_shown and not dock.runner.jobs, timeout=TIMEOUT_MS)
    pupil = dock.probing.pupil
    close(viewer, nic)
    nic = open_dock(viewer, NicDock, "NIC")
    turn()
    assert dock.probing.pupil is pupil
    qtbot.waitUntil(lambda: dock.probing.is_shown and not dock.runner.jobs, timeout=TIMEOUT_MS)
    assert set(dock.probing.learned.counts) == {"tissue", "glass"}
    nic.documents.document.put("draw", drawn("glass", 700, 700))
    qtbot.waitUntil(lambda: dock.probing.learned.counts["glass"][0] == 2, timeout=TIMEOUT_MS)
    qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)


def drawn(label: str, x: int, y: int = 100) -> AnnotationObject:
    return AnnotationObject.new(Annotation(label, "polygon", box(x, y, x + 96, y + 96)))
