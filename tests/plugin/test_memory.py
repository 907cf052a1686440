"""What was closed or taken away is not kept: not the dock, not a slide with its tiles, not a store."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.utils import resize_dask_cache
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.painting_dock import PaintingDock
from napari_nic.plugin.widgets.probe_dock import ProbeDock
from napari_nic.plugin.widgets.shrink_dock import ShrinkDock
from napari_nic.plugin.widgets.similar_dock import SimilarDock
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = [
    pytest.mark.gui,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # a slide that goes with its layer closes itself
]

Alive = dict[str, "weakref.ref[Any]"]


@pytest.fixture
def open_viewer(make_napari_viewer: Callable[..., Any]) -> Callable[[], Any]:
    """Open a window with the NIC dock; nobody keeps the dock but napari."""

    def make() -> Any:
        Settings().set(ENCODER_SETTING, "mean-rgb")
        viewer = make_napari_viewer()
        viewer.window.add_dock_widget(NicDock(viewer), name="NIC")
        return viewer

    return make


def dock_of(viewer: Any) -> NicDock:
    (dock,) = viewer.window._qt_window.findChildren(NicDock)
    return dock


def wait(viewer: Any, qtbot: Any) -> None:
    runner = dock_of(viewer).runner
    qtbot.waitUntil(lambda: not runner.jobs, timeout=60_000)


def work(viewer: Any, path: Path, qtbot: Any) -> Alive:
    """Open a slide, compress it, show an overlay, paint tissue; return what must not stay."""
    viewer.open(path, plugin="napari-nic")
    dock = dock_of(viewer)
    dock.compressing.start(whole=True)
    wait(viewer, qtbot)
    dock.overlays.show("pca", on=True)
    wait(viewer, qtbot)
    dock.tissue.edit()
    wait(viewer, qtbot)
    assert dock.session.store is not None
    return {
        "slide": weakref.ref(dock.session.slide),
        "store": weakref.ref(dock.session.store),
        "layer": weakref.ref(dock.session.layer),
        "tiles": weakref.ref(dock.session.slide._tiles),
    }


def left(alive: Alive) -> list[str]:
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # else only a running loop does it
        gc.collect()
    return [name for name, ref in alive.items() if ref() is not None]


def test_a_closed_window_keeps_nothing(open_viewer, slide_file, outlines_file, qtbot):
    viewer = open_viewer()
    alive = work(viewer, slide_file, qtbot)
    viewer.open(outlines_file, plugin="napari-nic")
    dock = dock_of(viewer)
    alive |= {"dock": weakref.ref(dock), "session": weakref.ref(dock.session), "viewer": weakref.ref(viewer)}
    del dock
    viewer.close()
    del viewer
    assert left(alive) == []


def test_a_slide_whose_layers_were_removed_is_not_kept(open_viewer, slide_file, qtbot):
    """The window stays: hundreds of slides are looked at in a day."""
    viewer = open_viewer()
    alive = work(viewer, slide_file, qtbot)
    viewer.layers.clear()
    assert left(alive) == []
    assert dock_of(viewer).session.slide is None


def test_a_slide_that_another_one_replaced_is_not_kept(open_viewer, slide_file, unscaled_file, qtbot):
    viewer = open_viewer()
    alive = work(viewer, slide_file, qtbot)
    dock_of(viewer).session.asking.pixel_size = lambda *_: 0.5
    viewer.open(unscaled_file, plugin="napari-nic")
    for layer in [layer for layer in viewer.layers if tag_of(layer).slide is alive["slide"]()]:
        viewer.layers.remove(layer)
    del layer
    wait(viewer, qtbot)
    assert left(alive) == []


def test_napari_keeps_no_pixels_of_slides(open_viewer, slide_file):
    """Its cache is one of the process, of a quarter of the machine's memory; a slide has one of its own."""
    viewer = open_viewer()
    kept = resize_dask_cache().cache
    before = set(kept.data)
    viewer.open(slide_file, plugin="napari-nic")
    (layer,) = viewer.layers
    viewer.screenshot(flash=False)
    assert tag_of(layer).slide is not None
    assert set(kept.data) == before


def test_a_dock_that_was_taken_out_hears_of_nothing_more(open_viewer, slide_file, qtbot):
    viewer = open_viewer()
    alive = work(viewer, slide_file, qtbot)
    dock = dock_of(viewer)
    alive |= {"dock": weakref.ref(dock), "session": weakref.ref(dock.session)}
    controllers = [dock.overlays, dock.tissue, dock.annotating, dock.compressing]  # not collected yet
    viewer.window.remove_dock_widget(dock)
    del dock
    left(alive)
    for layer in viewer.layers:
        layer.visible = not layer.visible
        layer.opacity = 0.3
        if hasattr(layer, "paint"):
            layer.paint((1, 1), 1)
        layer.name = "another"
    viewer.scene.camera.zoom = 2
    del layer, controllers
    viewer.layers.clear()
    assert left(alive) == []


@pytest.mark.parametrize(
    "kind",
    [
        NicDock,
        TrainDock,
        CohortDock,
        ViewDock,
        SimilarDock,
        ProbeDock,
        AnnotatorDock,
        ShrinkDock,
        PaintingDock,
    ],
)
def test_a_dock_that_was_taken_out_is_not_kept(make_napari_viewer, kind):
    viewer = make_napari_viewer()
    dock = kind(viewer)
    viewer.window.add_dock_widget(dock, name="a dock")
    alive = {"dock": weakref.ref(dock)}
    viewer.window.remove_dock_widget(dock)
    del dock
    assert left(alive) == []
