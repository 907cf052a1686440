"""Two readings against each other: choice, numbers, and what the colours of the difference mean."""

from __future__ import annotations

import html

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHeaderView, QPushButton, QTableWidget, QTableWidgetItem

from napari_nic.colors import to_hex
from napari_nic.plugin.controllers.reader_comparing import CHANGED, ReaderComparing
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled

COMPARE = "Compare"
CANCEL = "Cancel"
HELP = (
    "Dice, distances of boundaries and more of the areas of both, class by class; the difference is painted"
)
BUSY = "Comparing..."


class CompareSection(Section):
    """Choosers, a button and a table.

    Parameters
    ----------
    comparing : ReaderComparing
    """

    def __init__(self, comparing: ReaderComparing) -> None:
        super().__init__("Compare")
        self.comparing = comparing
        self.first, self.second, self.label = narrow_combo(), narrow_combo(), narrow_combo()
        self.first.setToolTip("The reference: sensitivity is the share of its areas that the other one has")
        self.second.setToolTip("What is compared with the reference")
        self.label.setToolTip("The class whose numbers and difference are shown")
        for combo, name in ((self.first, "Reference"), (self.second, "Compared with"), (self.label, "Class")):
            combo.setAccessibleName(name)
        self.button = QPushButton(COMPARE)
        self.table = QTableWidget(0, 2)
        self.state, self.legend = quiet_label(), quiet_label()
        self._build()
        self.first.activated.connect(self._on_sides)
        self.second.activated.connect(self._on_sides)
        self.label.activated.connect(self._on_label)
        self.button.clicked.connect(self._on_button)
        comparing.changed.connect(self.refresh_soon)
        self.refresh()

    def _build(self) -> None:
        table = self.table
        table.setAccessibleName("How well both agree")
        table.horizontalHeader().setVisible(False)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.body.addWidget(row(self.first, label="&First"))
        self.body.addWidget(row(self.second, label="&Second"))
        self.body.addWidget(self.button)
        self.body.addWidget(self.state)
        self.label_row = row(self.label, label="C&lass")
        for widget in (self.label_row, self.table, self.legend):
            self.body.addWidget(widget)

    def refresh(self) -> None:
        """Show what the controller holds."""
        comparing, sources = self.comparing, self.comparing.sources()
        self._choose_sides(sources)
        _fill(self.first, sources, comparing.first)
        _fill(self.second, sources, comparing.second)
        _fill(self.label, comparing.labels(), comparing.label)
        self.button.setText(CANCEL if comparing.is_running else COMPARE)
        why = "" if comparing.is_running else comparing.why_not()
        set_enabled(self.button, why, HELP)
        self.state.setText(BUSY if comparing.is_running else CHANGED if comparing.is_outdated else why)
        self.state.setVisible(bool(self.state.text()))
        rows = comparing.rows()
        self._show_rows(rows)
        for widget in (self.label_row, self.table):
            widget.setVisible(bool(rows))
        legend = comparing.legend()
        self.legend.setText("&nbsp; ".join(_key(name, color) for name, color in legend))
        self.legend.setVisible(bool(legend and rows))

    def _choose_sides(self, sources: tuple[str, ...]) -> None:
        """Choose the first two of what there is, where nothing or something that is gone is chosen."""
        comparing = self.comparing
        if len(sources) >= 2 and not {comparing.first, comparing.second} <= set(sources):
            first = comparing.first if comparing.first in sources else sources[0]
            second = next(name for name in sources if name != first)
            comparing.set_sides(first, comparing.second if comparing.second in sources else second)

    def _show_rows(self, rows: tuple[tuple[str, str, str], ...]) -> None:
        self.table.setRowCount(len(rows))
        for number, (name, value, meaning) in enumerate(rows):
            for column, text in enumerate((name, value)):
                item = QTableWidgetItem(text)
                item.setToolTip(meaning)
                self.table.setItem(number, column, item)
        self.table.resizeRowsToContents()
        height = sum(self.table.rowHeight(number) for number in range(len(rows)))
        self.table.setFixedHeight(height + 2 * self.table.frameWidth())

    def _on_sides(self) -> None:
        self.comparing.set_sides(self.first.currentText(), self.second.currentText())

    def _on_label(self) -> None:
        self.comparing.set_label(self.label.currentText())

    def _on_button(self) -> None:
        if self.comparing.is_running:
            self.comparing.cancel()
        else:
            self.comparing.start()


def _key(name: str, color: tuple[int, int, int]) -> str:
    return f"<span style='color:{to_hex(color)}'>\N{BLACK SQUARE}</span> {html.escape(name)}"


def _fill(combo: QComboBox, texts: tuple[str, ...], chosen: str) -> None:
    """Show texts; without a signal, and only where something is new."""
    if [combo.itemText(k) for k in range(combo.count())] != list(texts):
        combo.blockSignals(True)
        combo.clear()
        combo.addItems(list(texts))
        combo.blockSignals(False)
    combo.setCurrentIndex(texts.index(chosen) if chosen in texts else -1)
