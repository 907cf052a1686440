"""Tools of the annotator: buttons, what they draw with, undo and redo, and whose the keys are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QPushButton, QWidget

from napari_nic.plugin import shortcuts
from napari_nic.plugin.controllers.commands import TOOL_COMMANDS
from napari_nic.plugin.controllers.tool_settings import LARGEST_TOLERANCE, LARGEST_UM, SMALLEST_UM
from napari_nic.plugin.legend import UM
from napari_nic.plugin.tools.toolbox import TOOLS
from napari_nic.plugin.widgets.keyboard import holding_focus
from napari_nic.plugin.widgets.rows import SPACING, Section, quiet_label, row
from napari_nic.plugin.widgets.tool_glyphs import ToolButton

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.annotator import Annotator

PER_ROW = 7
NO_TOOL = "Keys: napari's. Take a tool to draw"
NO_SLIDE = "Open a slide to annotate it"
SHAPES = {"disc": "Disc", "square": "Square"}


class ToolSection(Section):
    """The upper part of the dock."""

    def __init__(self, annotator: Annotator) -> None:
        super().__init__("")
        self._annotator = annotator
        self.buttons: dict[str, ToolButton] = {}
        self.body.addWidget(self._make_buttons())
        self._make_sizes()
        self._make_history()
        self.keys = quiet_label()
        self.message = quiet_label()
        self.message.setAccessibleName("What the annotator has to say")
        self.body.addWidget(self.keys)
        self.body.addWidget(self.message)
        self._end = shortcuts.on_change(self.refresh_soon)
        annotator.changed.connect(self.refresh_soon)
        annotator.told.connect(self._on_told)
        self.refresh()

    def close_down(self) -> None:
        """Let the keys go."""
        self._end()

    def _make_buttons(self) -> QWidget:
        box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING)
        for number, tool in enumerate(TOOLS):
            button = ToolButton(tool.name)
            button.setAccessibleName(tool.title)
            button.clicked.connect(partial(self._on_tool, tool.name))
            grid.addWidget(button, number // PER_ROW, number % PER_ROW)
            self.buttons[tool.name] = button
        return box

    def _make_sizes(self) -> None:
        self.brush = _spin(SMALLEST_UM, LARGEST_UM, 1, f" {UM}")
        self.brush.setToolTip("Width of the brush on the glass. Keys: [ and ], or Ctrl and the wheel")
        self.brush.valueChanged.connect(self._on_brush)
        self.shape = QComboBox()
        self.shape.addItems(list(SHAPES.values()))
        self.shape.setToolTip("Shape of the brush")
        self.shape.activated.connect(self._on_shape)
        self.brush_row = row(self.brush, self.shape, label="&Brush")
        self.tolerance = _spin(0, LARGEST_TOLERANCE, 1, "")
        self.tolerance.setToolTip(
            "How far colours may be from that of the click (CIELAB, Delta E). Keys: [ and ], or Ctrl and the "
            "wheel"
        )
        self.tolerance.valueChanged.connect(self._on_tolerance)
        self.tolerance_row = row(self.tolerance, label="&Delta E")
        self.similarity = _spin(-1, 1, 3, "")
        self.similarity.setSingleStep(0.02)
        self.similarity.setToolTip(
            "Least cosine of a cell's code and that of the click, both taken from the mean of the slide. "
            "Keys: [ and ], or Ctrl and the wheel"
        )
        self.similarity.valueChanged.connect(self._on_similarity)
        self.similarity_row = row(self.similarity, label="&Similarity")
        self.snap = QCheckBox("Snap to the tissue")
        self.snap.setToolTip(
            "Corners near the outline of the tissue jump onto it, and between two of them the polygon or"
            " freehand line follows it. Hold Ctrl to draw freely"
        )
        self.snap.clicked.connect(lambda on: self._annotator.set_snaps(snaps=on))
        for widget in (self.brush_row, self.tolerance_row, self.similarity_row, self.snap):
            self.body.addWidget(widget)

    def _make_history(self) -> None:
        self.undo, self.redo = QPushButton(), QPushButton()
        self.undo.clicked.connect(self._annotator.undo)
        self.redo.clicked.connect(self._annotator.redo)
        history = row(self.undo, self.redo)
        history.layout().setStretch(1, 1)
        self.body.addWidget(history)

    def refresh(self) -> None:
        """Show what the annotator holds."""
        annotator = self._annotator
        document = annotator.document
        for command, tool in zip(TOOL_COMMANDS, TOOLS, strict=True):
            button = self.buttons[tool.name]
            keys = " or ".join(shortcuts.keys_of(command.name))
            button.setToolTip(f"<b>{tool.title}</b>{f' ({keys})' if keys else ''}<br>{tool.help}")
            button.setChecked(annotator.tool_name == tool.name)
        with holding_focus():
            _set(self.brush, annotator.brush.size_um)
            _set(self.tolerance, annotator.tolerance)
            _set(self.similarity, annotator.similarity)
        self.brush.setSuffix(f" {UM}" if annotator.known_pixel is not None or document is None else " px")
        self.shape.setCurrentText(SHAPES[annotator.brush.shape])
        self.tolerance_row.setVisible(annotator.tool_name == "wand")
        self.similarity_row.setVisible(annotator.tool_name == "similar")
        self.brush_row.setVisible(annotator.tool_name not in ("wand", "similar"))
        self.snap.setChecked(annotator.snaps)
        self.snap.setEnabled(document is not None)
        self._show_history("undo", self.undo, "" if document is None else document.undo_title)
        self._show_history("redo", self.redo, "" if document is None else document.redo_title)
        self.keys.setText(self._whose_keys())

    def _show_history(self, name: str, button: QPushButton, title: str) -> None:
        keys = " or ".join(shortcuts.keys_of(f"napari-nic:annotator_{name}"))
        text = f"{name.capitalize()} {title}" if title else name.capitalize()
        button.setEnabled(bool(title))
        shown = button.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, 128)
        button.setText(shown.replace("&", "&&"))
        button.setToolTip(f"{text} ({keys})" if keys else text)

    def _whose_keys(self) -> str:
        annotator = self._annotator
        if annotator.document is None:
            return NO_SLIDE
        if annotator.tool is None:
            return NO_TOOL
        return (
            f"<b>{annotator.tool.title}</b> in class <b>{_plain(annotator.label)}</b>. Keys: the annotator's;"
            " Escape gives them back"
        )

    def _on_tool(self, name: str) -> None:
        self._annotator.set_tool("" if self._annotator.tool_name == name else name)

    def _on_brush(self, value: float) -> None:
        self._annotator.set_brush(value)

    def _on_shape(self, index: int) -> None:
        self._annotator.set_brush(self._annotator.brush.size_um, "square" if index else "disc")

    def _on_tolerance(self, value: float) -> None:
        self._annotator.set_tolerance(value)

    def _on_similarity(self, value: float) -> None:
        self._annotator.set_similarity(value)

    def _on_told(self, text: str) -> None:
        self.message.setText(text)


def _spin(least: float, most: float, decimals: int, suffix: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(least, most)
    spin.setDecimals(decimals)
    spin.setSuffix(suffix)
    spin.setKeyboardTracking(False)
    return spin


def _set(spin: QDoubleSpinBox, value: float) -> None:
    spin.blockSignals(True)
    spin.setValue(value)
    spin.blockSignals(False)


def _plain(text: str) -> str:
    """Text of anybody's as it stands in rich text."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
