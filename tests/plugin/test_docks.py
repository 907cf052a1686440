"""One dock of a kind in a window, whichever way it is asked for."""

from __future__ import annotations

import pytest
from napari._app_model import get_app_model
from npe2 import PluginManager
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.plugin.widgets.compare_dock import CompareDock
from napari_nic.plugin.widgets.docking import (
    ANNOTATOR,
    COHORT,
    COMPARE,
    LEARNING,
    MENU_NAME,
    NIC,
    PAINTING,
    SHRINK,
    SIMILAR,
    TRAINING,
    VIEW,
    find_dock,
    open_dock,
)
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.painting_dock import PaintingDock
from napari_nic.plugin.widgets.probe_dock import ProbeDock
from napari_nic.plugin.widgets.shrink_dock import ShrinkDock
from napari_nic.plugin.widgets.similar_dock import SimilarDock
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = pytest.mark.gui

KINDS = {
    NIC: NicDock,
    TRAINING: TrainDock,
    COHORT: CohortDock,
    VIEW: ViewDock,
    SIMILAR: SimilarDock,
    LEARNING: ProbeDock,
    COMPARE: CompareDock,
    ANNOTATOR: AnnotatorDock,
    SHRINK: ShrinkDock,
    PAINTING: PaintingDock,
}
COMMANDS = {
    NIC: "napari-nic.dock",
    TRAINING: "napari-nic.train",
    COHORT: "napari-nic.cohort",
    VIEW: "napari-nic.view",
    SIMILAR: "napari-nic.similar",
    LEARNING: "napari-nic.probe",
    COMPARE: "napari-nic.compare",
    ANNOTATOR: "napari-nic.annotator",
    SHRINK: "napari-nic.shrink",
    PAINTING: "napari-nic.paint_labels",
}


def by_menu(_, title):
    get_app_model().commands.execute_command(COMMANDS[title]).result()


def by_napari(viewer, title):
    return viewer.window.add_plugin_dock_widget("napari-nic", title)[1]


def by_us(viewer, title):
    return open_dock(viewer, KINDS[title], title)


WAYS = {"menu": by_menu, "napari": by_napari, "us": by_us}


@pytest.fixture
def viewer(make_napari_viewer, collected):
    """A viewer with napari's menus, whose docks are shut down at the end."""
    Settings().set(ENCODER_SETTING, "mean-rgb")
    made = make_napari_viewer()
    made.window._qt_window.show()
    yield made
    for kind in KINDS.values():
        for dock in made.window._qt_window.findChildren(kind):
            dock.shut_down()


def docks(viewer, title):
    """All docks of a kind that are in the window, however they were framed."""
    QApplication.processEvents()
    return viewer.window._qt_window.findChildren(KINDS[title])


def frame(dock) -> QDockWidget:
    parent = dock.parentWidget()
    while not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", ["menu", "napari", "us"])
def test_whoever_asks_gets_the_one_nic_dock(viewer, first, second):
    WAYS[first](viewer, NIC)
    (dock,) = docks(viewer, NIC)
    WAYS[second](viewer, NIC)
    assert docks(viewer, NIC) == [dock]
    assert not dock.is_shut_down
    assert dock.compressing.why_not() == "Open a slide first", "it still works"


@pytest.mark.parametrize("title", [TRAINING, COHORT, VIEW, SIMILAR, COMPARE, ANNOTATOR, SHRINK, PAINTING])
def test_other_docks_are_one_of_a_kind_too(viewer, title):
    by_us(viewer, title)
    (dock,) = docks(viewer, title)
    assert by_napari(viewer, title) is dock
    by_menu(viewer, title)
    assert docks(viewer, title) == [dock]
    assert not dock.is_shut_down


@pytest.mark.parametrize("way", WAYS)
def test_cohort_browser_works_with_the_dock_there_is(viewer, way):
    WAYS[way](viewer, NIC)
    by_menu(viewer, COHORT)
    (browser,), (nic,) = docks(viewer, COHORT), docks(viewer, NIC)
    assert browser.cohort._desk() is nic
    frame(nic).hide()
    assert browser.cohort._desk() is nic
    assert frame(nic).isHidden(), "who closed it wants the room"
    by_us(viewer, NIC)
    assert not frame(nic).isHidden()
    assert docks(viewer, NIC) == [nic]


def test_a_dock_that_was_taken_out_is_made_anew(viewer):
    first = by_us(viewer, NIC)
    viewer.window.remove_dock_widget(first)
    assert first.is_shut_down
    assert find_dock(viewer, NicDock) is None
    second = by_us(viewer, NIC)
    assert second is not first
    assert docks(viewer, NIC) == [second]


def test_docks_have_the_names_that_the_menu_looks_for(viewer):
    manifest = PluginManager.instance().get_manifest("napari-nic")
    assert MENU_NAME.format(NIC) == f"{NIC} ({manifest.display_name})"
    assert {widget.display_name for widget in manifest.contributions.widgets} == set(KINDS)
    by_us(viewer, NIC)
    (dock,) = docks(viewer, NIC)
    by_menu(viewer, NIC)
    assert frame(dock).isHidden(), "the menu's tick takes it away"
    by_menu(viewer, NIC)
    assert not frame(dock).isHidden()


def test_docks_see_the_layers_themselves_and_no_stand_ins(viewer):
    dock = by_napari(viewer, NIC)
    assert dock.session.viewer is viewer


@pytest.mark.parametrize("title", [TRAINING, COHORT, VIEW, SIMILAR, COMPARE, ANNOTATOR, SHRINK, PAINTING])
def test_a_dock_that_is_opened_has_the_focus(viewer, qtbot, title):
    """Else a user of the keyboard has to go there by Tab, through everything else in the window."""
    window = viewer.window._qt_window
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    by_menu(viewer, title)
    dock = find_dock(viewer, KINDS[title])
    qtbot.waitUntil(lambda: dock.isAncestorOf(QApplication.focusWidget() or window))
    assert QApplication.focusWidget() is dock.first_control


def test_a_dock_that_floats_ends_with_the_window(make_napari_viewer, collected, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer, NicDock, NIC)
    frame(dock).setFloating(True)
    qtbot.waitUntil(lambda: dock.window() is frame(dock))
    frame(dock).hide()
    frame(dock).show()
    assert not dock.is_shut_down, "hiding it is not its end"
    viewer.close()
    assert dock.is_shut_down
    assert dock.runner.closed
