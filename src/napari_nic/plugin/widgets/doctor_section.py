"""Objects that may be labelled wrong: a list, and three buttons about the one that is looked at."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QPushButton, QTableWidget, QTableWidgetItem

from napari_nic.plugin.controllers.doctoring import DoctorController
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled

EXAMINE, CANCEL = "Examine", "Cancel"
HELP = "Rank the objects of this slide by how little their codes look like their class; nothing is changed"
HEADINGS = ("Class", "Looks like", "")

ROWS = 8
"""That are seen at once."""

MOST = 500
"""Rows that are listed: whoever has looked at so many examines anew."""


class DoctorSection(Section):
    """A button, a list, and what to do about an object of it.

    Parameters
    ----------
    doctor : DoctorController
    """

    def __init__(self, doctor: DoctorController) -> None:
        super().__init__("Annotation doctor")
        self.doctor = doctor
        self.button = QPushButton(EXAMINE)
        self.summary = quiet_label()
        self.table = QTableWidget(0, len(HEADINGS))
        self.next, self.keep = QPushButton("Next"), QPushButton("Keep")
        self.change, self.label = QPushButton("Change class to"), narrow_combo()
        self._build()
        self.button.clicked.connect(self._on_button)
        self.next.clicked.connect(doctor.look_at_next)
        self.keep.clicked.connect(doctor.keep)
        self.change.clicked.connect(lambda: doctor.change(self.label.currentText()))
        self.table.cellClicked.connect(lambda number, _: doctor.look_at(number))
        doctor.changed.connect(self.refresh_soon)
        self.refresh()

    def _build(self) -> None:
        self.next.setToolTip("Go to the next object of the list: it is selected, and the view moves there")
        self.keep.setToolTip("The class is right: take the object off the list")
        self.change.setToolTip("Give the object this class; undo takes it back")
        self.label.setAccessibleName("Class to change to")
        self.label.setToolTip("The class that it looks like, or another one")
        table = self.table
        table.setAccessibleName("Objects that look like another class")
        table.setHorizontalHeaderLabels(HEADINGS)
        table.verticalHeader().setVisible(False)
        header = table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.setMinimumHeight((ROWS + 1) * table.verticalHeader().defaultSectionSize())
        self.buttons = row(self.next, self.keep)
        self.change_row = row(self.change, self.label)
        for widget in (self.button, self.summary, self.table, self.buttons, self.change_row):
            self.body.addWidget(widget)

    def refresh(self) -> None:
        """Show what the controller holds."""
        doctor = self.doctor
        why = "" if doctor.is_running else doctor.why_not()
        self.button.setText(CANCEL if doctor.is_running else EXAMINE)
        set_enabled(self.button, why, HELP)
        self.summary.setText("Examining..." if doctor.is_running else doctor.summary() or why)
        self.summary.setVisible(bool(self.summary.text()))
        self._show_list()
        listed = bool(doctor.suspects)
        for widget in (self.table, self.buttons, self.change_row):
            widget.setVisible(listed)
        chosen = doctor.suspect
        self.keep.setEnabled(chosen is not None)
        self.change.setEnabled(chosen is not None)
        self._show_classes(chosen.looks_like if chosen is not None else "")

    def _show_list(self) -> None:
        suspects = self.doctor.suspects[:MOST]
        self.table.setRowCount(len(suspects))
        for number, suspect in enumerate(suspects):
            decided = self.doctor.decision(suspect)
            texts = (
                suspect.label,
                decided or suspect.looks_like,
                "" if decided else f"{suspect.likeliest:.2f}",
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(f"{suspect.reason}\nprobability of {suspect.label}: {suspect.own:.2f}")
                if decided:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
                self.table.setItem(number, column, item)
        if 0 <= self.doctor.current < len(suspects):
            self.table.selectRow(self.doctor.current)
        else:
            self.table.clearSelection()

    def _show_classes(self, likely: str) -> None:
        classes = self.doctor.classes()
        shown = [self.label.itemText(k) for k in range(self.label.count())]
        before = self.label.property("object")
        if shown != list(classes):
            self.label.clear()
            self.label.addItems(list(classes))
        if likely in classes and (before != self.doctor.current or shown != list(classes)):
            self.label.setCurrentText(likely)
            self.label.setProperty("object", self.doctor.current)

    def _on_button(self) -> None:
        if self.doctor.is_running:
            self.doctor.cancel()
        else:
            self.doctor.start()
