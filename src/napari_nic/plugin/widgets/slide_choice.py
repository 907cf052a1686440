"""A folder of slides was dropped or opened: choose which ones to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_nic.plugin.widgets.rows import quiet_label
from napari_nic.wording import counted

SIZE = (460, 420)


class SlideChoice(QDialog):
    """A list with a search field; Enter and a double click open.

    Parameters
    ----------
    folder : Path
    slides : sequence of Path
        Below it.
    parent : QWidget or None
    """

    def __init__(self, folder: Path, slides: Sequence[Path], parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Slides in {folder.name}")
        self.resize(*SIZE)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("Search")
        self.search.textChanged.connect(self._filter)
        self.list = QListWidget()
        self.list.setAccessibleName("Slides")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        for path in slides:
            item = QListWidgetItem(str(path.relative_to(folder.absolute())))
            item.setData(Qt.ItemDataRole.UserRole, str(path))
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.itemActivated.connect(lambda _: self.accept())
        self.list.itemSelectionChanged.connect(self._refresh)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.open = self.buttons.addButton("&Open", QDialogButtonBox.ButtonRole.AcceptRole)
        self.open.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        about = quiet_label(
            f"{counted(len(slides), 'slide')}; next and previous slide step through all of them"
        )
        column = QVBoxLayout(self)
        for widget in (self.search, self.list, about, self.buttons):
            column.addWidget(widget)
        self.list.setFocus()
        self._refresh()

    def chosen(self) -> tuple[Path, ...]:
        """What is marked, in the order of the list."""
        items = [self.list.item(row) for row in range(self.list.count())]
        return tuple(
            Path(item.data(Qt.ItemDataRole.UserRole))
            for item in items
            if item.isSelected() and not item.isHidden()
        )

    def _filter(self, text: str) -> None:
        for row in range(self.list.count()):
            item = self.list.item(row)
            item.setHidden(text.lower() not in item.text().lower())
        self._refresh()

    def _refresh(self) -> None:
        self.open.setEnabled(bool(self.chosen()))


def choose_slides(folder: Path, slides: Sequence[Path], parent: QWidget | None) -> tuple[Path, ...] | None:
    """Ask which slides to open; None if none."""
    dialog = SlideChoice(folder, slides, parent)
    try:
        return dialog.chosen() if dialog.exec() else None
    finally:
        dialog.deleteLater()
