"""Bookmarks of the slide that is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton

from napari_nic.plugin.controllers.bookmarking import Bookmarks
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import row, set_enabled

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

HEIGHT = 96
ADD = "Remember this place and magnification (Alt+Enter)"


class BookmarkList(QListWidget):
    """Enter and a double click go to a place, F2 names it, Delete forgets it."""

    def __init__(self, bookmarks: Bookmarks) -> None:
        super().__init__()
        self._bookmarks = bookmarks
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("Bookmarks")
        self.setToolTip("Enter or a double click goes there, F2 renames, Delete removes")
        self.setEditTriggers(QListWidget.EditTrigger.EditKeyPressed)
        self.itemDoubleClicked.connect(lambda item: bookmarks.go_to(self.row(item)))
        self.itemChanged.connect(lambda item: bookmarks.rename(self.row(item), item.text()))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Go to or forget a place; arrows move the mark, all else is the list's."""
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        editing = self.state() == QListWidget.State.EditingState
        if plain and not editing and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._bookmarks.go_to(self.currentRow())
        elif plain and not editing and event.key() == Qt.Key.Key_Delete:
            self._bookmarks.remove(self.currentRow())
        elif event.modifiers() & Qt.KeyboardModifier.AltModifier:
            event.ignore()  # the window's
        else:
            super().keyPressEvent(event)


class PlacesSection(Fold):
    """The list, a button that adds to it, and one that takes away.

    Parameters
    ----------
    bookmarks : Bookmarks
    """

    def __init__(self, bookmarks: Bookmarks) -> None:
        super().__init__("Bookmarks")
        self._bookmarks = bookmarks
        self.list = BookmarkList(bookmarks)
        self.add = QPushButton("Add bookmark")
        self.add.clicked.connect(lambda: bookmarks.add())
        self.go = QPushButton("Go")
        self.go.clicked.connect(lambda: bookmarks.go_to(self.list.currentRow()))
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(lambda: bookmarks.remove(self.list.currentRow()))
        self.body.addWidget(self.list)
        self.body.addWidget(row(self.add, self.go, self.remove))
        bookmarks.changed.connect(self.refresh)
        self.list.currentRowChanged.connect(lambda _: self._refresh_buttons())
        self.refresh()

    def refresh(self) -> None:
        """List what there is."""
        row_before = self.list.currentRow()
        with QSignalBlocker(self.list):
            self.list.clear()
            for mark in self._bookmarks.all:
                item = QListWidgetItem(mark.name)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setToolTip(f"{mark.name}: {mark.y_px:,.0f}, {mark.x_px:,.0f} px from the top left")
                self.list.addItem(item)
            current = self._bookmarks.current if self._bookmarks.current >= 0 else row_before
            self.list.setCurrentRow(min(current, self.list.count() - 1))
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        why_not = self._bookmarks.why_not()
        none = why_not or ("" if self.list.currentRow() >= 0 else "Choose a bookmark first")
        set_enabled(self.add, why_not, ADD)
        set_enabled(self.go, none, "Look at this place, as near as it was seen (Enter)")
        set_enabled(self.remove, none, "Forget this bookmark (Delete)")
