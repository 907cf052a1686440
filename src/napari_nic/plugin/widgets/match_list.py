"""Matches as small pictures with the slide's name and the similarity; a click opens one."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem

from napari_nic.plugin.widgets.minimap import to_qimage
from napari_nic.similarity import Crop

SIDE = 84
"""Three pictures beside each other in a narrow dock."""

CELL_WIDTH, TEXT_LINES = 92, 2
LEAST_HEIGHT = 300
GREY = 0x808080


class MatchList(QListWidget):
    """The matches, the best one first."""

    chosen = Signal(object)
    """Emitted with the :class:`~napari_nic.similarity.Match` that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setIconSize(QSize(SIDE, SIDE))
        height = SIDE + TEXT_LINES * self.fontMetrics().height() + 10
        self.setGridSize(QSize(CELL_WIDTH, height))
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setUniformItemSizes(True)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(LEAST_HEIGHT)
        self.setAccessibleName("Matches")
        self.itemClicked.connect(self._on_item)
        self.itemActivated.connect(self._on_activated)
        self._opened: QListWidgetItem | None = None

    def set_crops(self, crops: Sequence[Crop]) -> None:
        """Show these matches."""
        self.clear()
        for rank, crop in enumerate(crops, 1):
            match = crop.match
            item = QListWidgetItem(_icon(crop), f"{match.slide_name}\n{match.similarity:.3f}")
            item.setData(Qt.ItemDataRole.UserRole, match)
            problem = f"\n{crop.problem}" if crop.problem else ""
            item.setToolTip(
                f"{rank}. {match.slide_name}\nsimilarity {match.similarity:.4f}, "
                f"row {match.row}, column {match.col}{problem}"
            )
            self.addItem(item)

    def _on_item(self, item: QListWidgetItem) -> None:
        self._opened = item
        self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))

    def _on_activated(self, item: QListWidgetItem) -> None:
        """Open by Enter. Where the system's style activates by a click, the click has opened it already."""
        opened, self._opened = self._opened, None
        if opened is not item:
            self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))


def _icon(crop: Crop) -> QIcon:
    if crop.image is not None:
        return QIcon(QPixmap.fromImage(to_qimage(crop.image)))
    blank = QPixmap(SIDE, SIDE)
    blank.fill(GREY)
    return QIcon(blank)
