"""The table of a cohort's slides: sorted by a click on a heading, narrowed by a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_nic.cohorts import ListedSlide
from napari_nic.plugin.controllers.cohort import CohortController

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

ROW_SPACE = 6
"""Pixels between the texts of two rows."""

_KEY = Qt.Key
MOVING_KEYS = (
    _KEY.Key_Up,
    _KEY.Key_Down,
    _KEY.Key_Left,
    _KEY.Key_Right,
    _KEY.Key_PageUp,
    _KEY.Key_PageDown,
    _KEY.Key_Home,
    _KEY.Key_End,
)
OPENING_KEYS = (_KEY.Key_Return, _KEY.Key_Enter)
"""Keys of the list. napari, to which a key goes that nobody took, moves through its dimensions by them."""

_NO_PARENT = QModelIndex()


class SlideModel(QAbstractTableModel):
    """The controller's list, for Qt."""

    def __init__(self, cohort: CohortController, parent: QObject) -> None:
        super().__init__(parent)
        self.cohort = cohort

    def slides(self) -> tuple[ListedSlide, ...]:
        """All slides, in the order of the table."""
        return () if self.cohort.listing is None else self.cohort.listing.slides

    def rowCount(self, parent: QModelIndex = _NO_PARENT) -> int:  # noqa: N802 -- Qt's name
        """One row for each slide."""
        return 0 if parent.isValid() else len(self.slides())

    def columnCount(self, parent: QModelIndex = _NO_PARENT) -> int:  # noqa: N802 -- Qt's name
        """Columns of the controller."""
        return 0 if parent.isValid() else len(self.cohort.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Text of a cell; its tooltip is the case and where the slide is."""
        slide = self.slides()[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.cohort.cells(slide)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            score = f"\n{slide.prediction} \N{PLUS-MINUS SIGN} {slide.spread}" if slide.prediction else ""
            return f"Case {slide.case}{score}\n{slide.picture or slide.store or 'not found'}"
        return None

    def headerData(  # noqa: N802 -- Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Headings of the columns."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.cohort.columns[section]
        return None


class SlideOrder(QSortFilterProxyModel):
    """Order and search, as the controller says."""

    def __init__(self, slides: SlideModel, parent: QObject) -> None:
        super().__init__(parent)
        self._slides = slides
        self._search = ""
        self.setSourceModel(slides)

    def search(self, text: str) -> None:
        """Show only the slides that match."""
        self._search = text
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:  # noqa: N802, ARG002 -- Qt's
        """Whether a slide is shown."""
        return self._slides.cohort.matches(self._slides.slides()[row], self._search)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:  # noqa: N802 -- Qt's name
        """Compare what a column is sorted by."""
        slides, key = self._slides.slides(), self._slides.cohort.sort_key
        first, second = (key(slides[index.row()], index.column()) for index in (left, right))
        return first < second


class SlideTable(QTableView):
    """Shows the list; a click, or Enter, opens a slide."""

    chosen = Signal(object)

    def __init__(self, cohort: CohortController) -> None:
        super().__init__()
        self._cohort = cohort
        self._lines: tuple[tuple[str, ...], list[str]] = ((), [])
        self.slides = SlideModel(cohort, self)
        self.order = SlideOrder(self.slides, self)
        self.setModel(self.order)
        self.setAccessibleName("Slides of the cohort")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setSortingEnabled(True)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + ROW_SPACE)
        headings = self.horizontalHeader()
        headings.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        headings.setStretchLastSection(True)
        headings.setHighlightSections(False)
        self.order.sort(-1)  # as in the table, until a heading is clicked
        headings.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Move the selection, open by Enter; what moves or opens is never napari's, at the ends either."""
        super().keyPressEvent(event)
        if event.key() in MOVING_KEYS + OPENING_KEYS:
            event.accept()

    def refresh(self) -> None:
        """Show the controller's list anew; a list of the same lines keeps its place and what is selected."""
        lines = self._cohort.columns, [slide.name for slide in self.slides.slides()]
        if lines == self._lines and lines[1]:
            last = self.slides.index(len(lines[1]) - 1, len(lines[0]) - 1)
            self.slides.dataChanged.emit(self.slides.index(0, 0), last)
            return
        self._lines = lines
        self.slides.beginResetModel()
        self.slides.endResetModel()

    def slide_at(self, row: int) -> ListedSlide:
        """Return the slide of a row as it is shown."""
        return self.slides.slides()[self.order.mapToSource(self.order.index(row, 0)).row()]

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self.slide_at(index.row()))
