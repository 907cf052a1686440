"""What all docks share: a page that scrolls, work in the background, and an end with the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from napari.utils.theme import get_theme
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_nic.plugin.widgets.keyboard import FocusRing, order_tabs
from napari_nic.plugin.worker import Runner, ThreadRunner

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QKeyEvent, QShowEvent

WIDTH = 320
MARGIN = 6
SIDE_MARGIN = 1
PLUGIN = "napari-nic"


class ClosingDock(QWidget):
    """Calls :meth:`close_down` once, when the window is really closed or the dock is taken out of it."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = self._window_closing = self._framed = self._moving = False
        self._window: QWidget | None = None
        self.focus_ring = FocusRing(self)
        self._scroll: QScrollArea | None = None
        self.first_control: QWidget | None = None
        """Takes the focus when the dock is opened: else it is reached by Tab through the whole window."""

    def show_sections(self, sections: Sequence[QWidget]) -> None:
        """Stack sections on a page that scrolls up and down; those that were shown before go."""
        if self._scroll is None:
            self._scroll = self._add_scroll()
        elif (old := self._scroll.takeWidget()) is not None:
            old.deleteLater()  # not now: one of its buttons may be what asked for it
        page = QWidget()
        column = QVBoxLayout(page)
        # Narrow at the sides: in a low window a scroll bar takes its part of the 320 px too.
        column.setContentsMargins(SIDE_MARGIN, MARGIN, SIDE_MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        for section in sections:
            column.addWidget(section)
        column.addStretch(1)
        self._scroll.setWidget(page)
        order_tabs(page)

    def _add_scroll(self) -> QScrollArea:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it scrolls to what has the focus by itself
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(WIDTH)
        return scroll

    @property
    def is_shut_down(self) -> bool:
        """Whether its work has ended for good."""
        return self._closed

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let the dock be taken out of its frame in the body without ending its work: it gets another."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    def close_down(self) -> None:
        """Stop all work, store what is finished, and let the viewer go."""
        raise NotImplementedError

    def may_close(self) -> bool:
        """Ask what becomes of work that would be lost with the window; False keeps it open."""
        return True

    def shut_down(self) -> None:
        """Close down; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self.close_down()
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def escape(self) -> bool:
        """Stop what runs; False if nothing does, and Escape is napari's then as all other keys are."""
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Take Escape while something runs; leave every other key that no control took to napari."""
        if event.key() == Qt.Key.Key_Escape and self.escape():
            event.accept()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 -- Qt's name
        """Watch the window that the dock now stands in."""
        super().showEvent(event)
        self._name_title()
        if self.first_control is not None and not event.spontaneous():
            soon(self, self.first_control.setFocus)
        window = self._window_of_program()
        if not self._closed and window is not None and window is not self._window:
            if self._window is not None:
                self._window.removeEventFilter(self)
            self._window = window
            window.installEventFilter(self)

    def _window_of_program(self) -> QWidget | None:
        """Return the window whose end is the dock's: not its own frame, where it floats."""
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parentWidget()
        if parent is not None:
            return parent
        return None if self.window() is self else self.window()

    def _name_title(self) -> None:
        """Let the title in the frame, which napari cuts off in a narrow dock, be read in its tooltip."""
        frame = self.parentWidget()
        bar = frame.titleBarWidget() if isinstance(frame, QDockWidget) else None
        for label in [] if bar is None else bar.findChildren(QLabel):
            label.setToolTip(label.text())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 -- Qt's name
        """Shut down once the window is really closed: it may ask first and stay."""
        asks = event.type() == QEvent.Type.Close and isinstance(watched, QMainWindow) and not self._closed
        if asks and not self.may_close():
            event.ignore()
            return True
        if watched is self._window:
            if event.type() == QEvent.Type.Close:
                self._window_closing = True
            elif event.type() == QEvent.Type.Show:
                self._window_closing = False
            elif event.type() == QEvent.Type.Hide and self._window_closing:
                self.shut_down()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        """Shut down when the dock is taken out of its window."""
        if event.type() == QEvent.Type.ParentChange:
            taken_out = self._framed and self.parent() is None
            self._framed = self.parent() is not None
            if taken_out and not self._moving:
                self.shut_down()
                # Nobody shows it again. Python cannot tell: its controls call functions that hold it, circles
                # through Qt that the garbage collector does not see.
                self.deleteLater()
        return super().event(event)


class WindowDock(ClosingDock):
    """A dock of a napari window, with what does its work in the background.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.

    Attributes
    ----------
    viewer : napari.Viewer
        The viewer itself.
    runner : Runner
        Ends with the dock.
    """

    least_height: ClassVar[int] = 300
    """Below another dock it would be given next to nothing: what it is for shall be seen."""

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__()
        self.viewer = plain_viewer(napari_viewer)
        self._given_runner = runner
        self.runner = self.make_runner()
        self.setMinimumHeight(self.least_height)

    def make_runner(self) -> Runner:
        """Return what starts the dock's work from now on."""
        return self._given_runner or ThreadRunner()

    def close_down(self) -> None:
        """Cancel all work, and wait until what is finished is stored."""
        self.runner.shutdown()


def plain_viewer(viewer: Any) -> napari.Viewer:
    """Return the viewer itself: napari hands plugins a stand-in whose layers compare as other ones."""
    plain: napari.Viewer = getattr(viewer, "__wrapped__", viewer)
    return plain


def silence(*controllers: object) -> None:
    """Let nobody hear of controllers any more: their widgets are about to be deleted."""
    for controller in controllers:
        for name in dir(type(controller)):
            if isinstance(getattr(type(controller), name), Signal):
                getattr(controller, name).disconnect()


def soon(owner: QObject, action: Callable[[], object], *, after_ms: int = 0) -> None:
    """Call something when the present event is dealt with, unless its owner is gone by then.

    What ``QTimer.singleShot`` with an owner does in PySide6; PyQt6 has no such call.
    """
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.timeout.connect(action)
    timer.timeout.connect(timer.deleteLater)
    timer.start(after_ms)


def stand_out(button: QPushButton, theme_name: str) -> None:
    """Paint the one button of the daily work in the theme's accent colour."""
    theme = get_theme(theme_name)
    button.setStyleSheet(
        f"QPushButton:enabled {{ background-color: {theme.current.as_hex()}; font-weight: bold; }}"
        f"QPushButton:enabled:hover {{ background-color: {theme.highlight.as_hex()}; }}"
    )
