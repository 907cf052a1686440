"""One dock of a kind in a window: finding it, and opening it where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from qtpy.QtWidgets import QDockWidget, QWidget

from napari_nic.plugin.widgets.dock_base import ClosingDock, plain_viewer

if TYPE_CHECKING:
    import napari

MENU_NAME = "{} (Neural Image Compression)"
"""What napari's menu calls a dock: its title and the manifest's display name. A dock of this name is what the
menu shows and hides."""

NIC, TRAINING, COHORT, VIEW = "NIC", "Train encoder", "Cohort browser", "View"
SIMILAR = "Find similar"
LEARNING = "Learn while drawing"
COMPARE = "Compare"
ANNOTATOR = "Annotator"
SHRINK = "Shrink slide"
PAINTING = "Paint labels"
"""Titles of the docks in the manifest."""

Dock = TypeVar("Dock", bound=ClosingDock)


def find_dock(viewer: napari.Viewer, kind: Callable[..., Dock]) -> Dock | None:
    """Return the window's dock of this class, hidden or not; None if there is none, or it was shut down."""
    inner = (getattr(dock, "__wrapped__", dock) for dock in plain_viewer(viewer).window.dock_widgets.values())
    found: Any = next((dock for dock in inner if type(dock) is kind and not dock.is_shut_down), None)
    return cast("Dock | None", found)


def open_dock(
    viewer: napari.Viewer, kind: Callable[..., Dock], title: str, *, tabify: bool = False, show: bool = True
) -> Dock:
    """Return the window's dock of this kind, which is made if there is none.

    Parameters
    ----------
    viewer : napari.Viewer
    kind : type
        Class of the dock.
    title : str
        In the manifest.
    tabify : bool
        Put a new dock behind the others instead of below them.
    show : bool
        Bring a dock that was hidden, or lies behind another one, to the front.
    """
    viewer = plain_viewer(viewer)
    dock = find_dock(viewer, kind)
    if dock is None:
        dock = kind(viewer)
        viewer.window.add_dock_widget(dock, name=MENU_NAME.format(title), tabify=tabify)
    elif show and (frame := _frame_of(dock)) is not None:
        frame.show()
        frame.raise_()
    return dock


def _frame_of(dock: QWidget) -> QDockWidget | None:
    parent = dock.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
