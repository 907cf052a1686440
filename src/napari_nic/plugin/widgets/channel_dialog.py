"""The dialog that asks which channels of a slide to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_nic.slides import Channel
from napari_nic.wording import counted

MAX_SHOWN = 3


class ChannelDialog(QDialog):
    """A list of channels to tick, at least one and up to three; the first ones are ticked already."""

    def __init__(self, path: Path, channels: Sequence[Channel], parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Channels")
        text = QLabel(
            f"{path.name} holds {counted(len(channels), 'channel')} and no picture in colours.\n"
            f"Choose up to {MAX_SHOWN} to be shown together. What you compress is made of these."
        )
        text.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName("Channels")
        for place, channel in enumerate(channels):
            self.list.addItem(_item(channel, ticked=place < MAX_SHOWN))
        self.list.itemChanged.connect(self._refresh)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Show")
        layout = QVBoxLayout(self)
        for widget in (text, self.list, buttons):
            layout.addWidget(widget)
        self.list.setCurrentRow(0)
        self.list.setFocus()
        self._refresh()

    def chosen(self) -> tuple[int, ...]:
        """Places of the channels that are ticked."""
        ticked = Qt.CheckState.Checked
        return tuple(i for i in range(self.list.count()) if self.list.item(i).checkState() == ticked)

    def _refresh(self) -> None:
        count = len(self.chosen())
        self.ok.setEnabled(1 <= count <= MAX_SHOWN)
        self.ok.setToolTip("" if self.ok.isEnabled() else f"Tick one to {MAX_SHOWN}; {count} are ticked")


def _item(channel: Channel, *, ticked: bool) -> QListWidgetItem:
    item = QListWidgetItem(channel.name)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
    if channel.color is not None:
        pixmap = QPixmap(12, 12)
        pixmap.fill(QColor(*channel.color))
        item.setIcon(QIcon(pixmap))
    return item
