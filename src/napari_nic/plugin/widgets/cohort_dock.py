"""The third dock: a cohort as a table, and each slide with what an honest model says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QVBoxLayout

from napari_nic.cohorts import ListedSlide
from napari_nic.names import TABLE_SUFFIXES, WORKBOOK_SUFFIXES, patterns
from napari_nic.plugin.controllers.cohort import CohortController
from napari_nic.plugin.widgets.desk_dock import DeskDock
from napari_nic.plugin.widgets.dock_base import MARGIN, SIDE_MARGIN, WIDTH, silence
from napari_nic.plugin.widgets.keyboard import order_tabs
from napari_nic.plugin.widgets.rows import quiet_label, row
from napari_nic.plugin.widgets.slide_table import MOVING_KEYS, OPENING_KEYS, SlideTable

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QKeyEvent

EMPTY = (
    "No cohort is open.<br><br>Open the folder that <i>models train</i> wrote, to look through its slides "
    "with the predictions of the models that did not see them; the folder of <i>napari-nic run</i>, to watch "
    "it; or a table of slides (CSV or Excel)."
)
NOTHING_FOUND = "No slide matches the search."
WATCH_MS = 2000
"""So often a run is looked at."""

HELP = "A click, or Enter, opens a slide with the saliency of a model that did not learn from it"


class CohortDock(DeskDock):
    """Buttons, search and table.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    least_height: ClassVar[int] = 260

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.cohort = CohortController(self.open_desk, self.runner)
        self._shown: tuple[ListedSlide, ...] = ()
        self._build()
        self.watch = QTimer(self)
        self.watch.setInterval(WATCH_MS)
        self.watch.timeout.connect(self.cohort.look)
        self.cohort.changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.folder_button = QPushButton("Open folder...")
        self.folder_button.setToolTip(
            "The folder that models train or models evaluate wrote, or that napari-nic run writes to"
        )
        self.folder_button.clicked.connect(self._open_folder)
        self.table_button = QPushButton("Open table...")
        self.table_button.setToolTip(
            "A table of slides (CSV or Excel) with a column of slides, such as 'slide' or 'filename'"
        )
        self.table_button.clicked.connect(self._open_table)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search: name, label, case, fold")
        self.search.setAccessibleName("Search for slides")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._on_search)
        self.table = SlideTable(self.cohort)
        self.table.setToolTip(HELP)
        self.table.chosen.connect(self._on_chosen)
        self.empty = quiet_label(EMPTY)
        self.summary = quiet_label(wrap=True)
        self.understood = quiet_label(wrap=True)
        self.understood.setTextFormat(Qt.TextFormat.PlainText)  # names of columns and classes are anybody's
        self.understood.setAccessibleName("What was understood of the table")
        column = QVBoxLayout(self)
        column.setContentsMargins(SIDE_MARGIN, MARGIN, SIDE_MARGIN, MARGIN)
        buttons = row(self.folder_button, self.table_button)
        for widget in (buttons, self.search, self.empty, self.table, self.summary, self.understood):
            column.addWidget(widget)
        column.addStretch(0)
        column.setStretchFactor(self.table, 1)
        order_tabs(self)
        self.first_control = self.folder_button
        self.setMinimumWidth(WIDTH)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Go from the search to the list by the arrows; keep all keys of the list from napari."""
        if event.key() == Qt.Key.Key_Down and self.search.hasFocus() and not self.table.isHidden():
            self.table.setFocus()
            if not self.table.currentIndex().isValid():
                self.table.selectRow(0)
        elif event.key() not in MOVING_KEYS + OPENING_KEYS:
            super().keyPressEvent(event)

    def refresh(self) -> None:
        """Show what the controller holds."""
        listing = self.cohort.listing
        if listing is not None and listing.slides is not self._shown:
            self._shown = listing.slides
            self.table.refresh()
        if self.cohort.is_watching is not self.watch.isActive():
            (self.watch.start if self.cohort.is_watching else self.watch.stop)()
        self.search.setEnabled(listing is not None)
        self.summary.setText(self.cohort.summary())
        self.summary.setToolTip("" if listing is None else str(listing.source))
        self.understood.setText(self.cohort.understood())
        self.understood.setVisible(bool(self.cohort.understood()))
        self._show_emptiness()

    def close_down(self) -> None:
        """Let the viewer go."""
        self.watch.stop()
        super().close_down()
        self.cohort.close()
        silence(self.cohort)

    def _show_emptiness(self) -> None:
        listed, rows = self.cohort.listing is not None, self.table.order.rowCount()
        self.empty.setText(NOTHING_FOUND if listed else EMPTY)
        self.empty.setVisible(rows == 0)
        self.table.setVisible(rows > 0)

    def _on_search(self, text: str) -> None:
        self.table.order.search(text)
        self._show_emptiness()

    def _on_chosen(self, slide: object) -> None:
        self.cohort.show(cast("ListedSlide", slide))

    def _open_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of trained models, or of a run")
        if chosen:
            self.cohort.open(Path(chosen))

    def _open_table(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self,
            "Table of a cohort",
            "",
            f"Tables ({patterns((*TABLE_SUFFIXES, *WORKBOOK_SUFFIXES))});;All files (*)",
        )
        if chosen:
            self.cohort.open(Path(chosen))
