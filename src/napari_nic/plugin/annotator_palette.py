"""The annotator's commands for napari's palette: functions by the ends of their names, as ``tool_brush``.

The dock is opened if need be. The manifest names these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari import current_viewer

from napari_nic.errors import InvalidParameterError
from napari_nic.plugin.controllers.commands import BY_ACTION, PREFIX, Command
from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.docking import ANNOTATOR, open_dock


def __getattr__(name: str) -> Callable[[], None]:
    """Return what runs a command."""
    command = BY_ACTION.get(f"{PREFIX}{name}")
    if command is None:
        raise AttributeError(f"no command of the annotator is called {name}")
    return partial(run, command)


def run(command: Command) -> None:
    """Run a command in the window that is used.

    Raises
    ------
    InvalidParameterError
        If no window is open.
    """
    viewer = current_viewer()
    if viewer is None:
        raise InvalidParameterError("no window of napari is open")
    dock = open_dock(viewer, AnnotatorDock, ANNOTATOR, tabify=True)
    dock.link.open()
    command.run(dock.pointing)
