"""Building blocks that the sections share: headed groups, labelled rows, quiet labels."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

if TYPE_CHECKING:
    from magicgui.widgets import Widget

LABEL_WIDTH = 66
"""Width of the labels at the left: the controls stand in one column, at 320 px beside a scroll bar too."""

SPACING = 4


class ProgressBar(QProgressBar):
    """A bar that is drawn together with what else has changed.

    Qt's own draws itself at once when its value changes. The window is then composed for it alone, canvas and
    all, and for the canvas once more: where OpenGL is done in software, 20 ms of the main thread each.
    """

    def setValue(self, value: int) -> None:  # noqa: N802 -- Qt's name
        """Show `value` of the range."""
        self.setUpdatesEnabled(False)
        super().setValue(value)
        self.setUpdatesEnabled(True)


class Section(QFrame):
    """A group of rows under a heading, with a line above it."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.refresh)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, SPACING)
        self.body.setSpacing(SPACING)
        if title:
            heading = QLabel(f"<b>{title}</b>")
            heading.setContentsMargins(0, SPACING, 0, 0)
            self.body.addWidget(_line())
            self.body.addWidget(heading)

    def refresh(self) -> None:
        """Show what the controllers hold."""

    def refresh_soon(self) -> None:
        """Refresh once when the event loop comes round: opening a slide changes many things at once."""
        self._soon.start()


def row(*widgets: QWidget, label: str = "", buddy: QWidget | None = None) -> QWidget:
    """Put widgets side by side, the first one stretched, behind a label of the common width.

    `label` may hold an ``&`` accelerator for `buddy` (the first widget by default).
    """
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    if label:
        text = QLabel(label)
        text.setFixedWidth(LABEL_WIDTH)
        text.setBuddy(buddy or widgets[0])
        layout.addWidget(text)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == 0 else 0)
    return box


def card_table(rows: Mapping[str, object]) -> str:
    """Rich text of names and values for a card; what is empty is left out, what is nested is spelt out."""
    cells = "".join(
        f"<tr><td style='padding-right:8px'>{html.escape(_words(name))}</td>"
        f"<td>{html.escape(_spell(value))}</td></tr>"
        for name, value in rows.items()
        if value not in ("", None, {}, ())
    )
    return f"<table>{cells}</table>"


def _words(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _spell(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')}: {_spell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_spell(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def form(widgets: Sequence[Widget]) -> QWidget:
    """Lay magicgui widgets out behind their labels, in two straight columns."""
    box = QWidget()
    layout = QFormLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    for widget in widgets:
        layout.addRow(widget.label, widget.native)
    return box


def quiet_label(text: str = "", *, wrap: bool = True) -> QLabel:
    """Return a label for explanations: wrapped, or on one line and elided, its tooltip the whole text."""
    label: QLabel
    if wrap:
        label = QLabel(text)
        label.setWordWrap(True)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    else:
        label = QElidingLabel(text)
        label.setElideMode(Qt.TextElideMode.ElideRight)
        # Else the dock opens as wide as the longest text, and the canvas gets what is left.
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def narrow_combo() -> QComboBox:
    """Return a combo box that shrinks below its longest entry instead of widening the dock."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def set_enabled(widget: QWidget, why_not: str, tooltip: str) -> None:
    """Enable a control, or disable it and say why in its tooltip."""
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or tooltip)


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    line.setObjectName("nic-line")
    return line
