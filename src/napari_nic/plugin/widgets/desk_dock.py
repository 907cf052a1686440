"""Docks that work with the NIC dock there is, which may be opened, closed and opened again beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QPushButton

from napari_nic.plugin.controllers.desk_link import DeskLink
from napari_nic.plugin.news import DESK_NEWS
from napari_nic.plugin.widgets.dock_base import WindowDock
from napari_nic.plugin.widgets.docking import NIC, find_dock, open_dock
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.rows import Section, quiet_label
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QShowEvent
    from qtpy.QtWidgets import QWidget

NO_DESK = "The NIC dock, whose slide and annotations are worked on here, was closed."
OPEN_DESK = "Open the NIC dock"


class DeskDock(WindowDock):
    """A dock that knows its way to the window's NIC dock.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.

    Attributes
    ----------
    link : DeskLink
        Follows the NIC dock there is.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        viewer = self.viewer
        self.link = DeskLink(lambda: find_dock(viewer, NicDock), self.open_desk)
        DESK_NEWS.changed.connect(self._look_for_desk)

    def open_desk(self) -> NicDock:
        """Return the window's NIC dock, which is made if there is none; one that was hidden stays so."""
        return open_dock(self.viewer, NicDock, NIC, show=False)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 -- Qt's name
        """Look for the NIC dock, which may have been opened meanwhile."""
        super().showEvent(event)
        self._look_for_desk()

    def close_down(self) -> None:
        """Stop all work and let the NIC dock go."""
        super().close_down()
        DESK_NEWS.changed.disconnect(self._look_for_desk)
        self.link.close()

    def _look_for_desk(self) -> None:
        if not self.is_shut_down:
            self.link.look()


class BoundDock(DeskDock):
    """A dock whose controllers and sections are made for one NIC dock, and anew for the next one.

    While there is none it says so, and offers to open one.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        self._desk: NicDock | None = None
        self.link.desk_changed.connect(self._on_desk)
        self.link.open()
        self._on_desk()

    @property
    def is_bound(self) -> bool:
        """Whether there is a NIC dock to work with."""
        return self._desk is not None

    def bind(self, desk: NicDock) -> Sequence[QWidget]:
        """Make the controllers that work with a NIC dock; return the sections that show them."""
        raise NotImplementedError

    def unbind(self) -> None:
        """Close those controllers: their NIC dock is about to close, or this one is."""
        raise NotImplementedError

    def close_down(self) -> None:
        """Stop all work and let the viewer go."""
        super().close_down()
        self._let_desk_go()

    def _on_desk(self) -> None:
        desk = find_dock(self.viewer, NicDock)
        if desk is self._desk:
            return
        if self._desk is not None:
            self.runner.shutdown()  # what was begun for the other one tells nothing any more
            self._let_desk_go()
            self.runner = self.make_runner()
        self._desk = desk
        self.show_sections((_NoDesk(self),) if desk is None else self.bind(desk))

    def _let_desk_go(self) -> None:
        if self._desk is not None:
            self.unbind()
            self._desk = None


class _NoDesk(Section):
    """Says that there is no NIC dock, and opens one."""

    def __init__(self, dock: BoundDock) -> None:
        super().__init__("")
        self.button = QPushButton(OPEN_DESK)
        self.button.clicked.connect(lambda: dock.link.open())
        self.body.addWidget(quiet_label(NO_DESK, wrap=True))
        self.body.addWidget(self.button)
        dock.first_control = self.button
