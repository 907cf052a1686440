"""The last button of the dock: the embedding array, for other programs."""

from __future__ import annotations

from magicgui.widgets import ComboBox, FileEdit
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget

from napari_nic.plugin.controllers.exporting import ExportController
from napari_nic.plugin.widgets.rows import Section, form, set_enabled

FORMAT_WIDTH = 460


class ExportSection(Section):
    """Asks for format and place, then exports in the background."""

    def __init__(self, exporting: ExportController) -> None:
        super().__init__("")
        self._exporting = exporting
        self.button = QPushButton("E&xport embedding array...")
        self.button.clicked.connect(self.ask)
        self.body.addWidget(self.button)
        exporting.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Enable the button when there is something to export."""
        set_enabled(
            self.button,
            self._exporting.why_not(),
            "\n".join(["For other programs:", *self._exporting.formats().values()]),
        )

    def ask(self) -> None:
        """Ask, and export."""
        dialog = ExportDialog(self._exporting, self)
        if dialog.exec():
            self._exporting.export(dialog.path.value, dialog.format.value)


class ExportDialog(QDialog):
    """Format and file; the file's name follows the format until the user changes it."""

    def __init__(self, exporting: ExportController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export embedding array")
        self.setMinimumWidth(FORMAT_WIDTH)
        self._exporting = exporting
        choices = [(label, name) for name, label in exporting.formats().items()]
        self.format = ComboBox(label="Format", choices=choices)
        self.path = FileEdit(label="File", mode="w", value=exporting.default_path(self.format.value))
        self.format.changed.connect(self._on_format)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export = buttons.addButton("&Export", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(form([self.format, self.path]))
        layout.addWidget(buttons)
        # Only a button that stands in its dialog already becomes the one that Enter presses.
        self.export.setDefault(True)

    def _on_format(self, name: str) -> None:
        self.path.value = self._exporting.default_path(name)
