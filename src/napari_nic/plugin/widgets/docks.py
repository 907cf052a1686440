"""One dock of a kind in a window, whoever asks for it: napari's menu, its API, a reader or another dock.

napari finds its docks by name, and its menu and :meth:`add_plugin_dock_widget` name one dock differently. So
the manifest names the classes below: asked for a second dock they give back the first one, which then moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_nic.plugin.widgets.dock_base import plain_viewer
from napari_nic.plugin.widgets.docking import Dock, find_dock

if TYPE_CHECKING:
    import napari


def _one(viewer: napari.Viewer, kind: Callable[..., Dock]) -> Dock:
    """Return the dock that napari is about to frame: a new one, or the one there is, out of its old frame."""
    viewer = plain_viewer(viewer)
    dock = find_dock(viewer, kind)
    if dock is None:
        return kind(viewer)
    with dock.moving():
        viewer.window.remove_dock_widget(dock)
    return dock


class NicEntry(QWidget):
    """What the manifest calls for the NIC dock."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's NIC dock."""
        from napari_nic.plugin.widgets.nic_dock import NicDock

        return _one(napari_viewer, NicDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class TrainEntry(QWidget):
    """What the manifest calls for the dock that trains encoders."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's training dock."""
        from napari_nic.plugin.widgets.train_dock import TrainDock

        return _one(napari_viewer, TrainDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class CohortEntry(QWidget):
    """What the manifest calls for the cohort browser."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's cohort browser."""
        from napari_nic.plugin.widgets.cohort_dock import CohortDock

        return _one(napari_viewer, CohortDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class ViewEntry(QWidget):
    """What the manifest calls for the dock of looking."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's view dock."""
        from napari_nic.plugin.widgets.view_dock import ViewDock

        return _one(napari_viewer, ViewDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class SimilarEntry(QWidget):
    """What the manifest calls for the dock that asks the codes."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's dock of similarity."""
        from napari_nic.plugin.widgets.similar_dock import SimilarDock

        return _one(napari_viewer, SimilarDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class ProbeEntry(QWidget):
    """What the manifest calls for the dock that learns while strokes are drawn."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's dock of learning."""
        from napari_nic.plugin.widgets.probe_dock import ProbeDock

        return _one(napari_viewer, ProbeDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class CompareEntry(QWidget):
    """What the manifest calls for the dock that compares readers."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's comparing dock."""
        from napari_nic.plugin.widgets.compare_dock import CompareDock

        return _one(napari_viewer, CompareDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class AnnotatorEntry(QWidget):
    """What the manifest calls for the annotator."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's annotator."""
        from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock

        return _one(napari_viewer, AnnotatorDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class ShrinkEntry(QWidget):
    """What the manifest calls for the dock that makes slides smaller."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's shrinking dock."""
        from napari_nic.plugin.widgets.shrink_dock import ShrinkDock

        return _one(napari_viewer, ShrinkDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""


class PaintingEntry(QWidget):
    """What the manifest calls for the dock that labels are painted by."""

    def __new__(cls, napari_viewer: napari.Viewer) -> Any:
        """Return the window's painting dock."""
        from napari_nic.plugin.widgets.painting_dock import PaintingDock

        return _one(napari_viewer, PaintingDock)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        """Never run: napari reads from it that it has to give a viewer."""
