"""A small live plot of losses over steps, painted in the theme's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_nic.colors import ORANGE, SKY

Point = tuple[int, float]

HEIGHT = 140
GAP = 4
MOST_POINTS = 600
"""Points that are drawn of a curve; more than there are pixels show nothing more."""

TRAINING_COLOR, VALIDATION_COLOR = SKY, ORANGE
"""Sky blue and orange of the Okabe-Ito palette: told apart by colour-blind eyes, on dark and on light."""

LOG_RATIO = 5.0
"""From this ratio of the largest to the smallest loss on, the axis is logarithmic."""


class LossPlot(QWidget):
    """Training loss as a line, validation losses as dots joined by a line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training: tuple[Point, ...] = ()
        self._validation: tuple[Point, ...] = ()
        self._total = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Loss over the steps of training")

    def set_curves(self, training: Sequence[Point], validation: Sequence[Point], *, total: int) -> None:
        """Show these losses.

        Parameters
        ----------
        training, validation : sequence of (int, float)
            Step and loss; what is not finite is left out.
        total : int
            Steps in all: the right end of the axis.
        """
        self._training = _thin([point for point in training if math.isfinite(point[1])])
        self._validation = tuple(point for point in validation if math.isfinite(point[1]))
        self._total = total
        self.setToolTip(self.describe())
        self.update()

    def describe(self) -> str:
        """The last losses, in a line."""
        named = (("training", self._training), ("validation", self._validation))
        return ", ".join(
            f"{name} loss {_text(points[-1][1])} at step {points[-1][0]:,}"
            for name, points in named
            if points
        )

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """As wide as there is room."""
        return QSize(120, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw axes, numbers, both curves and what they are."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        metrics = painter.fontMetrics()
        points = (*self._training, *self._validation)
        if not points:
            painter.setPen(ink)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "The loss appears here")
            painter.end()
            return
        axis = _Axis.of([value for _, value in points])
        frame = self._frame(axis, metrics)
        _paint_axes(painter, frame, axis, max(self._total, points[-1][0]), ink)
        scale = _Scale(frame, axis, max(self._total, max(step for step, _ in points)))
        painter.setPen(QPen(QColor(*TRAINING_COLOR), 1.5))
        painter.drawPolyline(scale.polygon(self._training))
        painter.setPen(QPen(QColor(*VALIDATION_COLOR), 1.5))
        painter.drawPolyline(scale.polygon(self._validation))
        painter.setBrush(QColor(*VALIDATION_COLOR))
        for point in scale.polygon(self._validation):
            painter.drawEllipse(point, 2.0, 2.0)
        self._paint_key(painter, frame, ink)
        painter.end()

    def _frame(self, axis: _Axis, metrics: QFontMetrics) -> QRectF:
        left = max(metrics.horizontalAdvance(text) for text in axis.texts()) + 2 * GAP
        bottom = metrics.height() + GAP
        return QRectF(self.rect()).adjusted(left, metrics.height() / 2, -GAP, -bottom)

    def _paint_key(self, painter: QPainter, frame: QRectF, ink: QColor) -> None:
        """Name the curves in the upper right corner, where a falling loss leaves room."""
        metrics = painter.fontMetrics()
        top = frame.top() + GAP
        entries = [("training", TRAINING_COLOR)] + [("held out", VALIDATION_COLOR)] * bool(self._validation)
        width = max(metrics.horizontalAdvance(name) for name, _ in entries)
        for name, color in entries:
            left = frame.right() - width
            painter.setPen(QPen(QColor(*color), 2))
            middle = top + metrics.height() / 2
            painter.drawLine(QPointF(left - 4 * GAP, middle), QPointF(left - GAP, middle))
            painter.setPen(ink)
            painter.drawText(QPointF(left, top + metrics.ascent()), name)
            top += metrics.height()


class _Axis:
    """The losses' axis: linear, or logarithmic where they span much."""

    def __init__(self, low: float, high: float, *, logarithmic: bool) -> None:
        self.low, self.high, self.logarithmic = low, high, logarithmic

    @classmethod
    def of(cls, values: Sequence[float]) -> _Axis:
        low, high = min(values), max(values)
        if low > 0 and high / low >= LOG_RATIO:
            return cls(low, high, logarithmic=True)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return cls(low - room, high + room, logarithmic=False)

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the bottom and 1 at the top."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> tuple[float, float, float]:
        """Bottom, middle and top."""
        middle = math.sqrt(self.low * self.high) if self.logarithmic else (self.low + self.high) / 2
        return self.low, middle, self.high

    def texts(self) -> list[str]:
        """The ticks as they are written."""
        return [_text(tick) for tick in self.ticks()]


class _Scale:
    """From (step, loss) to the widget's pixels."""

    def __init__(self, frame: QRectF, axis: _Axis, total: int) -> None:
        self._frame, self._axis, self._total = frame, axis, max(1, total)

    def polygon(self, points: Sequence[Point]) -> QPolygonF:
        frame = self._frame
        return QPolygonF(
            [
                QPointF(
                    frame.left() + frame.width() * step / self._total,
                    frame.bottom() - frame.height() * self._axis.share(value),
                )
                for step, value in points
            ]
        )


def _paint_axes(painter: QPainter, frame: QRectF, axis: _Axis, total: int, ink: QColor) -> None:
    metrics = painter.fontMetrics()
    faint = QColor(ink)
    faint.setAlphaF(0.25)
    for tick, text in zip(axis.ticks(), axis.texts(), strict=True):
        y = frame.bottom() - frame.height() * axis.share(tick)
        painter.setPen(faint)
        painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
        painter.setPen(ink)
        x = frame.left() - GAP - metrics.horizontalAdvance(text)
        painter.drawText(QPointF(x, y + metrics.ascent() / 2 - 1), text)
    painter.setPen(ink)
    below = frame.bottom() + GAP + metrics.ascent()
    painter.drawText(QPointF(frame.left(), below), "0")
    end = f"{total:,} steps"
    painter.drawText(QPointF(frame.right() - metrics.horizontalAdvance(end), below), end)


def _thin(points: Sequence[Point]) -> tuple[Point, ...]:
    """Leave points out evenly, never the last, until a curve can be painted quickly."""
    every = -(-len(points) // MOST_POINTS) or 1
    return (*points[:-1:every], *points[-1:])


def _text(value: float) -> str:
    return f"{value:.3g}"
