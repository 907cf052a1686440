"""Commands of napari's palette and menus: each does what a control of the view dock does.

The dock is opened if need be. The manifest names these functions.
"""

from __future__ import annotations

from napari import current_viewer

from napari_nic.errors import InvalidParameterError
from napari_nic.plugin.widgets.docking import VIEW, open_dock
from napari_nic.plugin.widgets.view_dock import ViewDock


def view_dock() -> ViewDock:
    """Return the view dock of the window that is used.

    Raises
    ------
    InvalidParameterError
        If no window is open.
    """
    viewer = current_viewer()
    if viewer is None:
        raise InvalidParameterError("no window of napari is open")
    return open_dock(viewer, ViewDock, VIEW, tabify=True)


def whole_slide() -> None:
    """Show the whole slide."""
    view_dock().navigator.fit()


def native() -> None:
    """Native magnification."""
    view_dock().navigator.show_native()


def magnify_1() -> None:
    """Magnification 1x."""
    view_dock().navigator.magnify(1)


def magnify_2() -> None:
    """Magnification 2x."""
    view_dock().navigator.magnify(2)


def magnify_5() -> None:
    """Magnification 5x."""
    view_dock().navigator.magnify(5)


def magnify_10() -> None:
    """Magnification 10x."""
    view_dock().navigator.magnify(10)


def magnify_20() -> None:
    """Magnification 20x."""
    view_dock().navigator.magnify(20)


def magnify_40() -> None:
    """Magnification 40x."""
    view_dock().navigator.magnify(40)


def next_stain() -> None:
    """Next stain channel."""
    view_dock().displaying.next_stain()


def as_scanned() -> None:
    """Show the slide as scanned."""
    view_dock().displaying.reset()


def add_bookmark() -> None:
    """Add a bookmark."""
    view_dock().bookmarks.add()


def next_bookmark() -> None:
    """Next bookmark."""
    view_dock().bookmarks.step(1)


def previous_bookmark() -> None:
    """Previous bookmark."""
    view_dock().bookmarks.step(-1)


def next_slide() -> None:
    """Next slide."""
    view_dock().slides.step(1)


def previous_slide() -> None:
    """Previous slide."""
    view_dock().slides.step(-1)


def export_figure() -> None:
    """Export figure."""
    view_dock().figure_section.ask_file()


def save_project() -> None:
    """Save project."""
    view_dock().project_section.ask_save()


def open_project() -> None:
    """Open project."""
    view_dock().project_section.ask_open()
