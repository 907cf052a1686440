"""Buttons of the annotator's tools, their signs drawn in the theme's text colour."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QToolButton, QWidget

SIZE = QSize(38, 30)
SIGN = 18.0
LINE = 1.6

Draw = Callable[[QPainter, QRectF, QColor], None]


class ToolButton(QToolButton):
    """A button that stays down while its tool is active."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.setCheckable(True)
        self.setFixedHeight(SIZE.height())
        self.setMinimumWidth(SIZE.width())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """Size that the row of buttons is laid out for."""
        return SIZE

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 -- Qt's name
        """Draw the button, then the sign on it; a bar below the active one is seen without colours too."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = QColor(self.palette().color(self.foregroundRole()))
        if not self.isEnabled():
            color.setAlpha(90)
        side = QRectF(0, 0, SIGN, SIGN)
        side.moveCenter(QRectF(self.rect()).center())
        painter.setPen(QPen(color, LINE))
        SIGNS[self.name](painter, side, color)
        if self.isChecked():
            painter.fillRect(QRectF(3, self.height() - 4, self.width() - 6, 2.5), color)
        painter.end()


def _at(box: QRectF, x: float, y: float) -> QPointF:
    """A point of a box by its shares."""
    return QPointF(box.left() + x * box.width(), box.top() + y * box.height())


def _points(box: QRectF, *shares: tuple[float, float]) -> QPolygonF:
    return QPolygonF([_at(box, x, y) for x, y in shares])


def _select(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setBrush(color)
    shares = ((0.2, 0), (0.2, 0.85), (0.42, 0.65), (0.58, 1), (0.72, 0.93), (0.57, 0.6), (0.85, 0.58))
    painter.drawPolygon(_points(box, *shares))


def _polygon(painter: QPainter, box: QRectF, color: QColor) -> None:
    shares = ((0.1, 0.3), (0.6, 0.05), (0.95, 0.5), (0.65, 0.95), (0.2, 0.8))
    painter.drawPolygon(_points(box, *shares))
    for x, y in shares:
        middle = _at(box, x, y)
        painter.fillRect(QRectF(middle.x() - 1.8, middle.y() - 1.8, 3.6, 3.6), color)


def _freehand(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    path = QPainterPath(_at(box, 0.1, 0.55))
    path.cubicTo(_at(box, 0, -0.1), _at(box, 0.6, 0.1), _at(box, 0.75, 0.2))
    path.cubicTo(_at(box, 1.2, 0.45), _at(box, 0.75, 1.1), _at(box, 0.45, 0.8))
    path.cubicTo(_at(box, 0.3, 0.65), _at(box, 0.2, 1.05), _at(box, 0.1, 0.55))
    painter.drawPath(path)


def _rectangle(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    painter.drawRect(box.adjusted(1, 3, -1, -3))


def _ellipse(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    painter.drawEllipse(box.adjusted(0, 3, 0, -3))


def _line(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    painter.drawPolyline(_points(box, (0.05, 0.9), (0.4, 0.35), (0.6, 0.6), (0.95, 0.1)))


def _arrow(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    painter.drawLine(_at(box, 0.05, 0.95), _at(box, 0.95, 0.05))
    painter.drawPolyline(_points(box, (0.5, 0.08), (0.95, 0.05), (0.92, 0.5)))


def _dots(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setBrush(color)
    for x, y in ((0.2, 0.3), (0.7, 0.15), (0.5, 0.6), (0.9, 0.75), (0.15, 0.85)):
        painter.drawEllipse(_at(box, x, y), 1.6, 1.6)


def _brush(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 2.2))
    painter.drawLine(_at(box, 0.98, 0.02), _at(box, 0.52, 0.52))
    painter.setPen(QPen(color, LINE))
    painter.setBrush(color)
    path = QPainterPath(_at(box, 0.5, 0.45))
    path.cubicTo(_at(box, 0.2, 0.4), _at(box, 0.3, 0.85), _at(box, 0, 0.95))
    path.cubicTo(_at(box, 0.4, 1.05), _at(box, 0.7, 0.9), _at(box, 0.6, 0.58))
    painter.drawPath(path)


def _eraser(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.drawPolygon(_points(box, (0.05, 0.65), (0.6, 0.05), (0.95, 0.4), (0.45, 0.95), (0.3, 0.95)))
    painter.drawLine(_at(box, 0.3, 0.38), _at(box, 0.68, 0.7))
    painter.fillRect(QRectF(_at(box, 0.2, 0.95), _at(box, 1, 1.03)), color)


def _wand(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 2.2))
    painter.drawLine(_at(box, 0.05, 0.95), _at(box, 0.55, 0.45))
    _star(painter, box, color, 0.7, 0.3)


def _similar(painter: QPainter, box: QRectF, color: QColor) -> None:
    cell = box.width() / 4
    for row, col in ((1, 0), (2, 0), (2, 1), (3, 1), (3, 0)):
        painter.fillRect(
            QRectF(box.left() + col * cell, box.top() + row * cell, cell - 1.2, cell - 1.2), color
        )
    _star(painter, box, color, 0.7, 0.3)


def _star(painter: QPainter, box: QRectF, color: QColor, x: float, y: float) -> None:
    painter.setPen(QPen(color, LINE))
    for dx, dy in ((0.28, 0), (0, 0.28), (0.17, 0.17), (0.17, -0.17)):
        painter.drawLine(_at(box, x - dx, y - dy), _at(box, x + dx, y + dy))


def _split(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.drawEllipse(box.adjusted(1, 3, -1, -3))
    pen = QPen(color, LINE, Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.drawLine(_at(box, 0.25, 1.05), _at(box, 0.75, -0.05))


def _measure(painter: QPainter, box: QRectF, color: QColor) -> None:  # noqa: ARG001
    painter.drawPolygon(_points(box, (0, 0.72), (0.72, 0), (1, 0.28), (0.28, 1)))
    for share in (0.2, 0.4, 0.6, 0.8):
        x, y = 0.72 * share, 0.72 * (1 - share)
        painter.drawLine(_at(box, x, y), _at(box, x + 0.13, y + 0.13))


SIGNS: dict[str, Draw] = {
    "select": _select,
    "polygon": _polygon,
    "freehand": _freehand,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "line": _line,
    "arrow": _arrow,
    "points": _dots,
    "brush": _brush,
    "eraser": _eraser,
    "wand": _wand,
    "similar": _similar,
    "split": _split,
    "measure": _measure,
}
