"""Small buttons whose signs are drawn in the theme's text colour, so that they read in dark and light."""

from __future__ import annotations

from typing import Literal

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QToolButton, QWidget

Glyph = Literal["pause", "play", "cross", "info", "plus", "folder"]

SIDE = 24
_DISABLED_ALPHA = 90


class GlyphButton(QToolButton):
    """A square button with a drawn sign; `name` is what screen readers and tooltips say."""

    def __init__(self, glyph: Glyph, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self.setFixedSize(QSize(SIDE, SIDE))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.set_name(name)

    def set_name(self, name: str) -> None:
        """Say what the button does."""
        self.setAccessibleName(name)
        self.setToolTip(name)

    def set_glyph(self, glyph: Glyph) -> None:
        """Draw another sign."""
        self._glyph = glyph
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 -- Qt's name
        """Draw the button, then the sign on it."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = QColor(self.palette().color(self.foregroundRole()))
        if not self.isEnabled():
            color.setAlpha(_DISABLED_ALPHA)
        box = QRectF(self.rect()).adjusted(7, 7, -7, -7)
        _DRAW[self._glyph](painter, box, color)
        painter.end()


def _pause(painter: QPainter, box: QRectF, color: QColor) -> None:
    width = box.width() / 3
    painter.fillRect(QRectF(box.left(), box.top(), width, box.height()), color)
    painter.fillRect(QRectF(box.right() - width, box.top(), width, box.height()), color)


def _play(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    tip = QPointF(box.right(), box.center().y())
    painter.drawPolygon(QPolygonF([box.topLeft(), tip, box.bottomLeft()]))


def _cross(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 2))
    painter.drawLine(box.topLeft(), box.bottomRight())
    painter.drawLine(box.topRight(), box.bottomLeft())


def _info(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 1.5))
    painter.drawEllipse(box.adjusted(-3, -3, 3, 3))
    middle = box.center().x()
    painter.setPen(QPen(color, 2))
    painter.drawPoint(QPointF(middle, box.top() + 1))
    painter.drawLine(QPointF(middle, box.top() + 4), QPointF(middle, box.bottom()))


def _plus(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 2))
    painter.drawLine(QPointF(box.left(), box.center().y()), QPointF(box.right(), box.center().y()))
    painter.drawLine(QPointF(box.center().x(), box.top()), QPointF(box.center().x(), box.bottom()))


def _folder(painter: QPainter, box: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 1.5))
    top, tab = box.top() + 1, box.left() + box.width() / 2
    painter.drawRect(QRectF(box.left() - 1, top + 2, box.width() + 2, box.height() - 2))
    painter.drawLine(QPointF(box.left() - 1, top), QPointF(tab, top))
    painter.drawLine(QPointF(box.left() - 1, top), QPointF(box.left() - 1, top + 2))
    painter.drawLine(QPointF(tab, top), QPointF(tab + 2, top + 2))


_DRAW = {"pause": _pause, "play": _play, "cross": _cross, "info": _info, "plus": _plus, "folder": _folder}
