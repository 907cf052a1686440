"""The list of classes: choose, add, rename, recolour, show, lock, and sets of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMenu,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
)

from napari_nic.plugin.controllers.class_list import ClassList, ClassRow
from napari_nic.plugin.widgets.rows import Section, row

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint
    from qtpy.QtGui import QKeyEvent

    from napari_nic.plugin.controllers.annotator import Annotator

NAME, KEY, COUNT, AREA, SHOWN, LOCKED = range(6)
HEADERS = ("Class", "Key", "n", "mm\N{SUPERSCRIPT TWO}", "Show", "Lock")
WIDTHS = {KEY: 30, COUNT: 44, AREA: 52, SHOWN: 38, LOCKED: 36}
ROWS = (4, 9)
"""So many rows are seen at least and at most, of the rest the list is scrolled: what is below is seen too."""

SWATCH = 12


class ClassTree(QTreeWidget):
    """Rows of classes; Enter or Space chooses one to draw in, F2 renames, Delete removes."""

    def __init__(self, section: ClassSection) -> None:
        super().__init__()
        self._section = section

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Do what a key asks for; digits choose classes, here as on the canvas."""
        key, item = event.key(), self.currentItem()
        name = "" if item is None else item.data(NAME, Qt.ItemDataRole.UserRole)
        if Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            self._section.choose_by_key(int(key) - int(Qt.Key.Key_0))
        elif name and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._section.choose(name)
        elif name and key == Qt.Key.Key_F2:
            self._section.rename()
        elif name and key == Qt.Key.Key_Delete:
            self._section.delete()
        elif name and key == Qt.Key.Key_V:
            self._section.classes.toggle_visible(name)
        elif name and key == Qt.Key.Key_L:
            self._section.classes.toggle_locked(name)
        else:
            super().keyPressEvent(event)


class ClassSection(Section):
    """The middle part of the dock."""

    def __init__(self, annotator: Annotator, classes: ClassList) -> None:
        super().__init__("Classes")
        self._annotator = annotator
        self.classes = classes
        self._is_filling = False
        self._shown: list[ClassRow] = []
        self.tree = ClassTree(self)
        self._set_up_tree()
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("New class")
        self.new_name.setAccessibleName("Name of a new class")
        self.new_name.returnPressed.connect(self._add)
        self.add_button = QPushButton("Add")
        self.add_button.clicked.connect(self._add)
        self.menu_button = QPushButton("Change")
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.menu_button.setMenu(self.menu)
        self.body.addWidget(self.tree)
        self.body.addWidget(row(self.new_name, self.add_button, self.menu_button))
        annotator.changed.connect(self.refresh_soon)
        annotator.edited.connect(self._on_edited)
        self.refresh()

    def _set_up_tree(self) -> None:
        tree = self.tree
        tree.setColumnCount(len(HEADERS))
        tree.setHeaderLabels(HEADERS)
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        # An empty box is as dark as what is around it in napari's dark theme.
        tree.setStyleSheet(
            "QTreeView::indicator:unchecked { border: 1px solid gray; width: 10px; height: 10px; }"
            "QTreeView::indicator:unchecked:selected { border-color: white; }"
        )
        tree.setIconSize(QSize(SWATCH, SWATCH))
        tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        tree.setAccessibleName("Classes")
        tree.setToolTip(
            "Click, or Enter, draws in a class. F2 renames, Delete removes, V shows or hides, L locks; a "
            "double click changes the colour"
        )
        header = tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in WIDTHS.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            tree.setColumnWidth(column, width)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._on_context_menu)
        tree.itemClicked.connect(self._on_clicked)
        tree.itemDoubleClicked.connect(self._on_double_clicked)
        tree.itemChanged.connect(self._on_checked)

    # -- showing -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what the document holds."""
        rows = self.classes.rows()
        has_slide = self._annotator.document is not None
        for control in (self.new_name, self.add_button, self.menu_button):
            control.setEnabled(has_slide)
        self._is_filling = True
        if [r.entry.name for r in rows] != [r.entry.name for r in self._shown]:
            self.tree.clear()
            self.tree.addTopLevelItems([QTreeWidgetItem() for _ in rows])
        for number, shown in enumerate(rows):
            item = self.tree.topLevelItem(number)
            self._fill(item, shown)
            if shown.entry.name == self._annotator.label:
                self.tree.setCurrentItem(item)
        self._shown = rows
        self._is_filling = False
        self._fit_height(len(rows))

    def _fit_height(self, count: int) -> None:
        tree = self.tree
        row_height = max(tree.sizeHintForRow(0), tree.fontMetrics().height())
        rows = min(max(count, ROWS[0]), ROWS[1])
        tree.setFixedHeight(tree.header().sizeHint().height() + rows * row_height + 2 * tree.frameWidth())

    def _fill(self, item: QTreeWidgetItem, shown: ClassRow) -> None:
        entry = shown.entry
        item.setData(NAME, Qt.ItemDataRole.UserRole, entry.name)
        item.setText(NAME, entry.name)
        item.setIcon(NAME, swatch(entry.color))
        font = item.font(NAME)
        font.setBold(entry.name == self._annotator.label)
        item.setFont(NAME, font)
        area = "" if shown.area_mm2 is None else short_area(shown.area_mm2)
        texts = {KEY: "" if entry.key is None else str(entry.key), COUNT: f"{shown.count:,}", AREA: area}
        for column, text in texts.items():
            item.setText(column, text)
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setToolTip(NAME, entry.name)
        item.setToolTip(COUNT, f"{shown.count:,} objects")
        item.setToolTip(
            AREA, "" if shown.area_mm2 is None else f"{shown.area_mm2:,.6g} mm\N{SUPERSCRIPT TWO}"
        )
        item.setCheckState(SHOWN, Qt.CheckState.Checked if entry.visible else Qt.CheckState.Unchecked)
        item.setCheckState(LOCKED, Qt.CheckState.Checked if entry.locked else Qt.CheckState.Unchecked)

    def _on_edited(self, edit: object) -> None:  # noqa: ARG002 -- the document is looked at anew
        self.refresh_soon()

    # -- doing -------------------------------------------------------------------------------------------

    def choose(self, name: str) -> None:
        """Draw in a class."""
        self._annotator.choose_class(name)

    def choose_by_key(self, key: int) -> None:
        """Draw in the class of a digit."""
        self._annotator.choose_class_by_key(key)

    def rename(self) -> None:
        """Ask for another name of the current row."""
        old = self.current
        if old:
            new, agreed = QInputDialog.getText(self, "Rename class", f"New name of {old}:", text=old)
            if agreed:
                self.classes.rename(old, new)

    def delete(self) -> None:
        """Remove the class of the current row; undo brings it back."""
        if self.current:
            self.classes.delete(self.current)

    def recolor(self) -> None:
        """Ask for another colour of the current row."""
        name = self.current
        entry = next((r.entry for r in self._shown if r.entry.name == name), None)
        if entry is not None:
            color = QColorDialog.getColor(QColor(*entry.color), self, f"Colour of {name}")
            if color.isValid():
                self.classes.recolor(name, (color.red(), color.green(), color.blue()))

    @property
    def current(self) -> str:
        """Name of the current row; empty if there is none."""
        item = self.tree.currentItem()
        return "" if item is None else str(item.data(NAME, Qt.ItemDataRole.UserRole))

    def _add(self) -> None:
        name = self.new_name.text().strip()
        if name:
            self.classes.add(name)
            self.new_name.clear()
        else:
            self.new_name.setFocus()

    def _on_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column not in (SHOWN, LOCKED):
            self.choose(item.data(NAME, Qt.ItemDataRole.UserRole))

    def _on_double_clicked(self, item: QTreeWidgetItem, column: int) -> None:  # noqa: ARG002 -- is current
        if column == NAME:
            self.recolor()

    def _on_checked(self, item: QTreeWidgetItem, column: int) -> None:
        if self._is_filling or column not in (SHOWN, LOCKED):
            return
        name = item.data(NAME, Qt.ItemDataRole.UserRole)
        toggle = self.classes.toggle_visible if column == SHOWN else self.classes.toggle_locked
        toggle(name)

    def _on_context_menu(self, at: QPoint) -> None:
        self.menu.popup(self.tree.viewport().mapToGlobal(at))

    def _fill_menu(self) -> None:
        menu, name = self.menu, self.current
        menu.clear()
        for title, action in (
            ("Rename...", self.rename),
            ("Colour...", self.recolor),
            ("Key...", self._ask_key),
            ("Delete", self.delete),
        ):
            menu.addAction(title, action).setEnabled(bool(name))
        menu.addSeparator()
        menu.addAction("Remember these classes as a set...", self._remember_set)
        for known in self.classes.sets():
            sub = menu.addMenu(f"Set {known}")
            sub.addAction("Use", lambda known=known: self.classes.use_set(known))
            sub.addAction("Forget", lambda known=known: self.classes.forget_set(known))

    def _ask_key(self) -> None:
        name = self.current
        entry = next((r.entry for r in self._shown if r.entry.name == name), None)
        if entry is not None:
            choices = ["none", *map(str, range(1, 10))]
            start = 0 if entry.key is None else entry.key
            text, agreed = QInputDialog.getItem(
                self, "Key of class", f"Key of {name}:", choices, start, False
            )
            if agreed:
                self.classes.set_key(name, None if text == "none" else int(text))

    def _remember_set(self) -> None:
        name, agreed = QInputDialog.getText(self, "Set of classes", "Name of the set:")
        if agreed:
            self.classes.remember_set(name)


def swatch(color: tuple[int, int, int]) -> QIcon:
    """Return a square of a colour."""
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(*color))
    icon = QIcon(picture)
    icon.addPixmap(picture, QIcon.Mode.Selected)  # else Qt tints it in the row that is chosen
    return icon


def short_area(mm2: float) -> str:
    """Write an area in six characters or little more: columns are narrow."""
    if mm2 >= 100:
        return f"{mm2:,.0f}"
    if mm2 >= 1:
        return f"{mm2:.2f}"
    return "0" if mm2 == 0 else f"{mm2:.4f}" if mm2 >= 0.0001 else "<0.0001"
