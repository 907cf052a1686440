"""The legend under the overlays: class colours, or a gradient with its values, unit and direction."""

from __future__ import annotations

import html

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QMessageBox, QSizePolicy, QVBoxLayout, QWidget

from napari_nic.plugin.legend import Bar, Legend, format_value
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import quiet_label, row

BAR_HEIGHT = 12
SWATCH = 12
GAP = 4


class ColourBar(QWidget):
    """A painted gradient with its values beneath."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar: Bar | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_bar(self, bar: Bar | None) -> None:
        """Show this gradient, or nothing."""
        self._bar = bar
        self.setVisible(bar is not None)
        if bar is not None:
            ends = ", ".join(format_value(tick) for tick in bar.ticks())
            self.setAccessibleName(f"Colour bar {ends} {bar.unit}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """One bar, one line of values, and one of what its ends mean."""
        lines = 2 if self._bar is not None and self._bar.high_means else 1
        return QSize(120, BAR_HEIGHT + GAP + lines * QFontMetrics(self.font()).height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw the gradient, a tick for each value, and the values."""
        if self._bar is None:
            return
        painter = QPainter(self)
        place = QRect(0, 0, self.width(), BAR_HEIGHT)
        painter.drawImage(place, _gradient(self._bar.colors))
        painter.setPen(self.palette().color(self.foregroundRole()))
        ticks = self._bar.ticks()
        for index, tick in enumerate(ticks):
            share = (tick - self._bar.low) / (self._bar.high - self._bar.low)
            x = round(share * (self.width() - 1))
            painter.drawLine(x, BAR_HEIGHT - 3, x, BAR_HEIGHT + 2)
            unit = f" {self._bar.unit}" if self._bar.unit and index == len(ticks) - 1 else ""
            self._write(painter, x, format_value(tick) + unit)
        self._write(painter, 0, self._bar.low_means, line=1)
        self._write(painter, self.width(), self._bar.high_means, line=1)
        painter.end()

    def _write(self, painter: QPainter, x: int, text: str, *, line: int = 0) -> None:
        metrics = painter.fontMetrics()
        width = metrics.horizontalAdvance(text)
        left = min(max(0, x - width // 2), self.width() - width)
        painter.drawText(left, BAR_HEIGHT + GAP + metrics.ascent() + line * metrics.height(), text)


class Swatches(QWidget):
    """Class colours and names, flowing over as many lines as they need."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[tuple[str, tuple[int, int, int]], ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_entries(self, entries: tuple[tuple[str, tuple[int, int, int]], ...]) -> None:
        """Show these classes, or nothing."""
        self._entries = entries
        self.setVisible(bool(entries))
        self.setAccessibleName("Classes: " + ", ".join(name for name, _ in entries))
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:  # noqa: N802 -- Qt's name
        """Lines are broken by the width."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 -- Qt's name
        """Height of all lines."""
        places = self._places(width)
        return places[-1].bottom() + 1 if places else 0

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """Height at the present width."""
        return QSize(120, self.heightForWidth(max(120, self.width())))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw a square and a name for each class."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        for (name, color), place in zip(self._entries, self._places(self.width()), strict=True):
            top = place.top() + (place.height() - SWATCH) // 2
            painter.fillRect(QRect(place.left(), top, SWATCH, SWATCH), QColor(*color))
            painter.drawRect(QRect(place.left(), top, SWATCH - 1, SWATCH - 1))
            text = place.adjusted(SWATCH + GAP, 0, 0, 0)
            painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)
        painter.end()

    def _places(self, width: int) -> list[QRect]:
        metrics = QFontMetrics(self.font())
        height = max(SWATCH, metrics.height()) + 2
        x = y = 0
        places = []
        for name, _ in self._entries:
            needed = SWATCH + GAP + metrics.horizontalAdvance(name)
            if x and x + needed > width:
                x, y = 0, y + height
            places.append(QRect(x, y, min(needed, width), height))
            x += needed + 3 * GAP
        return places


class LegendBox(QWidget):
    """Title, classes or gradient; method and meaning are behind the (i), and in its tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, GAP, 0, 0)
        layout.setSpacing(GAP)
        self.title = quiet_label()
        self.about = GlyphButton("info", "How this was made, and what it does not say")
        self.about.clicked.connect(self._show_note)
        self.bar = ColourBar()
        self.swatches = Swatches()
        for widget in (row(self.title, self.about), self.bar, self.swatches):
            layout.addWidget(widget)
        self._note = ""
        self.set_legend(None)

    def set_legend(self, legend: Legend | None) -> None:
        """Show this legend, or nothing."""
        self.setVisible(legend is not None)
        if legend is None:
            return
        self._note = legend.note
        self.title.setText(legend.title)
        self.bar.set_bar(legend.bar)
        self.swatches.set_entries(legend.swatches)
        self.about.setToolTip(f"<p>{html.escape(legend.note)}</p>")
        self.about.setVisible(bool(legend.note))

    def _show_note(self) -> None:
        QMessageBox.information(self, self.title.text(), self._note)


def _gradient(colors: np.ndarray) -> QImage:
    """Return an image one pixel high; drawn over a rectangle it becomes the bar."""
    line = np.ascontiguousarray(colors, np.uint8)
    image = QImage(line.tobytes(), len(line), 1, 3 * len(line), QImage.Format.Format_RGB888)
    return image.copy()
