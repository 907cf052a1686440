"""The tree of objects, its filter, the way to the next one, and the operations menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPushButton,
    QTreeView,
)

from napari_nic.plugin import shortcuts
from napari_nic.plugin.controllers.object_list import Filter, ObjectList
from napari_nic.plugin.widgets.object_model import SIZE, WHAT, ObjectModel
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint
    from qtpy.QtGui import QKeyEvent

    from napari_nic.plugin.controllers.annotator import Annotator
    from napari_nic.plugin.controllers.object_operations import ObjectOperations

ALL = "All classes"
AREA = "Area in \N{MICRO SIGN}m\N{SUPERSCRIPT TWO}"
HEIGHT = 220
SIZE_WIDTH = 84
MOST_SELECTED = 2000
"""Of more selected objects only so many rows are marked."""

OPERATIONS = (
    ("Merge", "merge"),
    ("Subtract", "subtract"),
    ("Fill holes", "fill"),
    ("Expand or shrink...", "expand"),
    ("Simplify...", "simplify"),
    ("Make inverse, within the tissue", "invert"),
    ("Duplicate", "duplicate"),
    ("Copy, for another slide", "copy"),
    ("Paste at the same place", "paste"),
    ("Lock or unlock", "lock"),
)


class ObjectTree(QTreeView):
    """Rows of objects; Enter looks at one, Delete removes the selected ones."""

    def __init__(self, section: ObjectSection) -> None:
        super().__init__()
        self._section = section

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Do what a key asks for."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._section.look()
        elif event.key() == Qt.Key.Key_Delete:
            self._section.annotator.delete()
        else:
            super().keyPressEvent(event)


class ObjectSection(Section):
    """The lower part of the dock."""

    def __init__(self, annotator: Annotator, listed: ObjectList, operations: ObjectOperations) -> None:
        super().__init__("Objects")
        self.annotator = annotator
        self.listed = listed
        self._operations = operations
        self._is_selecting = False
        self.model = ObjectModel(listed)
        self._make_filter()
        self._make_tree()
        self._make_buttons()
        self.summary = quiet_label()
        self.body.addWidget(self.summary)
        annotator.changed.connect(self.refresh_soon)
        listed.changed.connect(self.refresh_soon)
        self.refresh()

    def close_down(self) -> None:
        """Let the list go."""
        self.model.close()

    def _make_filter(self) -> None:
        self.label = narrow_combo()
        self.label.setAccessibleName("List objects of this class")
        self.label.activated.connect(self._on_filter)
        self.text = QLineEdit()
        self.text.setPlaceholderText("Name")
        self.text.setAccessibleName("List objects whose name or class holds this")
        self.text.setClearButtonEnabled(True)
        self.text.textChanged.connect(self._on_filter)
        self.quantity: QComboBox = narrow_combo()
        self.quantity.setAccessibleName("Quantity that the limits are for")
        self.quantity.activated.connect(self._on_filter)
        self.least, self.most = QLineEdit(), QLineEdit()
        for field, word in ((self.least, "from"), (self.most, "to")):
            field.setPlaceholderText(word)
            field.setAccessibleName(f"List objects whose quantity is {word}")
            field.textChanged.connect(self._on_filter)
            field.setMaximumWidth(86)
        names = row(self.label, self.text)
        names.layout().setStretch(1, 1)
        self.body.addWidget(names)
        self.body.addWidget(row(self.quantity, self.least, self.most))

    def _make_tree(self) -> None:
        self.tree = ObjectTree(self)
        tree = self.tree
        tree.setModel(self.model)
        tree.setUniformRowHeights(True)
        tree.setMinimumHeight(HEIGHT)
        tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        tree.setAccessibleName("Objects")
        tree.setToolTip("Enter, or a double click, looks at an object; Delete removes the selected ones")
        header = tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.Fixed)
        tree.setColumnWidth(SIZE, SIZE_WIDTH)
        tree.setIndentation(14)
        tree.selectionModel().selectionChanged.connect(self._on_selected)
        tree.doubleClicked.connect(lambda _: self.look())
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._on_context_menu)
        self.body.addWidget(tree)

    def _make_buttons(self) -> None:
        self.previous, self.next = QPushButton("Previous"), QPushButton("Next")
        self.previous.clicked.connect(lambda: self.listed.go(-1))
        self.next.clicked.connect(lambda: self.listed.go(1))
        self.hide_button = QPushButton("Hide all")
        self.hide_button.setCheckable(True)
        self.hide_button.clicked.connect(self.annotator.toggle_hidden)
        self.menu_button = QPushButton("Operations")
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.menu_button.setMenu(self.menu)
        for pair in ((self.previous, self.next), (self.hide_button, self.menu_button)):
            line = row(*pair)
            line.layout().setStretch(1, 1)
            self.body.addWidget(line)

    # -- showing -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is listed and selected."""
        document = self.annotator.document
        names = [] if document is None else [entry.name for entry in document.classes]
        _fill(self.label, [ALL, *names])
        _fill(self.quantity, [AREA, *self.listed.measurements()] if self._asks_measurements() else [AREA])
        self.hide_button.setChecked(self.annotator.documents.hidden)
        for button, name in ((self.previous, "previous"), (self.next, "next"), (self.hide_button, "hide")):
            keys = " or ".join(shortcuts.keys_of(f"napari-nic:annotator_{name}"))
            button.setToolTip(f"{button.text()} ({keys}, while a tool is active)" if keys else button.text())
            button.setEnabled(document is not None)
        self.menu_button.setEnabled(document is not None)
        chosen = len(self.annotator.selected)
        self.summary.setText(
            f"{self.listed.summary()}, {chosen:,} selected" if chosen else self.listed.summary()
        )
        self._show_selected()

    def _asks_measurements(self) -> bool:
        """Whether objects are few enough to look through their measurements at each change."""
        document = self.annotator.document
        return document is not None and len(document) < MOST_SELECTED

    def _show_selected(self) -> None:
        wanted = self.annotator.selected[:MOST_SELECTED]
        chosen = self.tree.selectionModel()
        if {self.model.id_at(index) for index in chosen.selectedRows()} == set(wanted):
            return
        selection = QItemSelection()
        indexes = [index for identity in wanted if (index := self.model.index_of(identity)).isValid()]
        for index in indexes:
            selection.select(index, index.siblingAtColumn(SIZE))
        self._is_selecting = True
        chosen.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if indexes:
            chosen.setCurrentIndex(indexes[-1], QItemSelectionModel.SelectionFlag.NoUpdate)
            self.tree.scrollTo(indexes[-1])
        self._is_selecting = False

    # -- doing -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Move the view to the selected objects."""
        self.annotator.select(self.annotator.selected, reveal=True)

    def _on_selected(self) -> None:
        if not self._is_selecting:
            rows = self.tree.selectionModel().selectedRows()
            self.annotator.select([self.model.id_at(index) for index in rows])

    def _on_filter(self) -> None:
        label, quantity = self.label.currentText(), self.quantity.currentText()
        self.listed.set_filter(
            Filter(
                "" if label == ALL else label,
                self.text.text().strip(),
                _number(self.least.text()),
                _number(self.most.text()),
                "" if quantity == AREA else quantity,
            )
        )

    def _on_context_menu(self, at: QPoint) -> None:
        self.menu.popup(self.tree.viewport().mapToGlobal(at))

    def _fill_menu(self) -> None:
        self.menu.clear()
        for title, name in OPERATIONS:
            method = {"fill": "fill_holes", "lock": "toggle_lock"}.get(name, name)
            keys = shortcuts.keys_of(f"napari-nic:annotator_{name}")
            text = f"{title}\t{keys[0]}" if keys else title
            self.menu.addAction(text, getattr(self._operations, method))
        self.menu.addSeparator()
        self.menu.addAction("Delete", self.annotator.delete)


def _fill(combo: QComboBox, entries: list[str]) -> None:
    if [combo.itemText(number) for number in range(combo.count())] == entries:
        return
    chosen = combo.currentText()
    combo.blockSignals(True)
    combo.clear()
    combo.addItems(entries)
    combo.setCurrentIndex(max(0, combo.findText(chosen)))
    combo.blockSignals(False)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:  # empty, or not finished yet
        return None
