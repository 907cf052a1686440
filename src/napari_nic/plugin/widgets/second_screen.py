"""A second canvas beside the first one, in the same window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSplitter, QWidget

if TYPE_CHECKING:
    import napari

ARM, GAP = 14, 4
CROSS, HALO = QColor(0, 90, 255), QColor(255, 255, 255, 200)


class Crosshair(QWidget):
    """Marks the middle of a canvas: what a landmark is taken at."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFixedSize(2 * ARM + 4, 2 * ARM + 4)
        canvas.installEventFilter(self)
        self._center()
        self.hide()

    def _center(self) -> None:
        self.move((self._canvas.width() - self.width()) // 2, (self._canvas.height() - self.height()) // 2)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 -- Qt's name
        """Stay in the middle."""
        if event.type() == QEvent.Type.Resize:
            self._center()
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw a cross with an open middle: nothing hides what is pointed at."""
        painter = QPainter(self)
        middle = self.width() // 2
        for pen in (QPen(HALO, 4), QPen(CROSS, 2)):
            painter.setPen(pen)
            for near, far in ((-ARM, -GAP), (GAP, ARM)):
                painter.drawLine(middle + near, middle, middle + far, middle)
                painter.drawLine(middle, middle + near, middle, middle + far)
        painter.end()


class SplitScreen:
    """Puts a second canvas to the right of the window's own.

    napari's viewer widget is a splitter with the canvas in it; a second viewer widget becomes its neighbour.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.model = ViewerModel(title="Second view")
        self._first = viewer.window._qt_viewer
        self._widget = QtViewer(self.model)
        self.model.theme = viewer.theme
        self._viewer = viewer
        viewer.events.theme.connect(self._on_theme)
        splitter: QSplitter = self._first
        self._orientation = splitter.orientation()
        splitter.setOrientation(Qt.Orientation.Horizontal)
        splitter.addWidget(self._widget)
        splitter.setSizes([1000, 1000])
        self.crosses = [Crosshair(one.canvas.native) for one in (self._first, self._widget)]

    def show_crosses(self, on: bool) -> None:
        """Mark the middle of both canvases, or not."""
        for cross in self.crosses:
            cross.setVisible(on)

    def close(self) -> None:
        """Give the window its one canvas back."""
        self._viewer.events.theme.disconnect(self._on_theme)
        for cross in self.crosses:
            cross.setParent(None)
            cross.deleteLater()
        self.crosses = []
        self._widget.setParent(None)
        self._first.setOrientation(self._orientation)
        self._widget.close()
        self._widget.deleteLater()

    def _on_theme(self, event: object) -> None:  # noqa: ARG002 -- napari passes the event
        self.model.theme = self._viewer.theme
