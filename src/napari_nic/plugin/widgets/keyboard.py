"""A dock by keyboard alone: a ring around what has the focus, and one order from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from qtpy.QtCore import QEvent, QObject, QRectF, Qt
from qtpy.QtGui import QFocusEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QApplication, QDialog, QDockWidget, QLayout, QScrollArea, QSplitter, QWidget

RING_WIDTH = 2
RING_RADIUS = 3
NOTICE = "NapariQtNotification"
LOST = "nic-lost-the-focus"
"""Property of controls that had the focus and wait for one of them to be enabled again."""


class FocusRing(QWidget):
    """Drawn over the control of a dock, or of a dialog of it, that has the keyboard's focus.

    napari's style takes Qt's own marks away. The ring has the colour of the text, which is told from every
    background that text is put on.

    Parameters
    ----------
    dock : QWidget
        Whose controls are marked.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._target: QWidget | None = None
        self._taken = False
        self.setObjectName("nic-focus-ring")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        QApplication.instance().focusChanged.connect(self._on_focus)

    @property
    def target(self) -> QWidget | None:
        """The control that is marked."""
        return self._target

    def _on_focus(self, old: QWidget | None, new: QWidget | None) -> None:  # noqa: ARG002 -- Qt's signature
        taken, self._taken = self._taken, False
        marked = self._target
        self._leave()
        if taken and marked is not None and new is not None and _is_notices_doing(new):
            marked.setFocus()
        elif new is not None and self._is_marked(new):
            self._target = new
            new.installEventFilter(self)
            self.setParent(new.parentWidget())
            self._follow()
            self.show()
            self.raise_()

    def _is_marked(self, widget: QWidget) -> bool:
        popup = widget.window().windowType() == Qt.WindowType.Popup
        takes_keys = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
        parent = widget.parentWidget()
        # A splitter takes every child for one of its panes.
        if popup or not takes_keys or parent is None or isinstance(parent, QSplitter):
            return False
        while parent is not None and parent is not self._dock:
            parent = parent.parentWidget()
        return parent is self._dock

    def _leave(self) -> None:
        if self._target is not None:
            self._target.removeEventFilter(self)
            self._target = None
            self.hide()
            # Not left in a dialog, which would take the ring with it at its end.
            self.setParent(self._dock)

    def _follow(self) -> None:
        if self._target is not None:
            self.setGeometry(self._target.geometry())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 -- Qt's name
        """Stay around the control when it moves; note whether code and no key or click takes its focus."""
        if watched is self._target and isinstance(event, QFocusEvent):
            self._taken = event.lostFocus() and event.reason() == Qt.FocusReason.OtherFocusReason
        if watched is self._target:
            if event.type() in (QEvent.Type.Move, QEvent.Type.Resize):
                self._follow()
            elif event.type() in (QEvent.Type.Hide, QEvent.Type.Show):
                self.setVisible(event.type() == QEvent.Type.Show)
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw the ring."""
        if self._target is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._dock.palette().color(self._dock.foregroundRole()), RING_WIDTH))
        inner = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.drawRoundedRect(inner, RING_RADIUS, RING_RADIUS)
        painter.end()


def _is_notices_doing(new: QWidget) -> bool:
    """Whether one of napari's notices gave the focus away: it does so when it closes, to the canvas.

    Who goes on with Enter or the arrows in a dock while a notice closes would do so in the canvas.
    """
    seen = (type(child).__name__ for child in new.window().findChildren(QDialog) if child.isVisible())
    parent: QWidget | None = new
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent is None and NOTICE in seen


@contextmanager
def keeping_focus(heir: QWidget, *controls: QWidget) -> Iterator[None]:
    """Enable and disable controls; one that loses the focus by it leaves it to `heir`.

    Qt hands it to whatever comes next, where the next press of Space does something that nobody asked for.
    While the heir is disabled itself nothing has the focus; the next call that enables it gives it the focus,
    unless something else was focused meanwhile.
    """
    focused = next((control for control in controls if control.hasFocus()), None)
    waiting = QApplication.focusWidget() is None and any(control.property(LOST) for control in controls)
    yield
    lost = waiting or (focused is not None and not focused.isEnabled())
    for control in controls:
        control.setProperty(LOST, lost and not heir.isEnabled())
    if lost and heir.isEnabled():
        heir.setFocus()
    elif lost and (taker := QApplication.focusWidget()) is not None:
        taker.clearFocus()


@contextmanager
def holding_focus() -> Iterator[None]:
    """Set values of fields; the focus stays where it was.

    superqt's spin box takes it whenever its text changes, hidden or not.
    """
    before = QApplication.focusWidget()
    yield
    if before is not None and QApplication.focusWidget() is not before:
        before.setFocus()


def order_tabs(page: QWidget) -> None:
    """Let Tab go from top to bottom and from left to right, as the page is laid out."""
    for before, after in pairwise(_stops(page)):
        QWidget.setTabOrder(before, after)


def _stops(widget: QWidget) -> Iterator[QWidget]:
    """Controls below a widget that Tab stops at, in the order of the layouts."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    elif isinstance(widget, QScrollArea) and widget.widget() is not None:
        yield from _stops(widget.widget())
    elif widget.layout() is not None:
        yield from _stops_of(widget.layout())


def _stops_of(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item.widget() is not None:
            yield from _stops(item.widget())
        elif item.layout() is not None:
            yield from _stops_of(item.layout())
