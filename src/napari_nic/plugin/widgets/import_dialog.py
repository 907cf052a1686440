"""The dialog behind "Import encoder...": which file, which name."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import FileEdit, LineEdit
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from napari_nic.plugin.controllers.encoders import IMPORTERS, ImportRequest, name_for
from napari_nic.plugin.widgets.rows import form, quiet_label

DIALOG_WIDTH = 460


class ImportDialog(QDialog):
    """Source and name; the name follows the source until the user changes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import encoder")
        self.setMinimumWidth(DIALOG_WIDTH)
        patterns = " ".join(f"*{suffix}" for suffix in IMPORTERS)
        self.file = FileEdit(label="File", mode="r", filter=f"Encoders ({patterns});;All files (*)")
        self.file.line_edit.value = ""
        self.name = LineEdit(label="Name", tooltip="What the encoder is called from now on")
        self._suggested = ""
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button = buttons.addButton("&Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.accept_button.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(
            quiet_label(
                "The Keras files (.h5) that Tellez et al. published. Import only what you trust."
            )
        )
        layout.addWidget(form([self.file, self.name]))
        layout.addWidget(buttons)
        self.file.changed.connect(self._on_file)
        self.name.changed.connect(self._refresh)
        self._refresh()

    def request(self) -> ImportRequest:
        """What the user asked for."""
        return ImportRequest(self._source(), self.name.value.strip())

    def _source(self) -> str:
        return str(self.file.line_edit.value).strip()

    def _on_file(self, path: Path) -> None:
        if self.name.value.strip() in ("", self._suggested):
            self._suggested = name_for(str(path))
            self.name.value = self._suggested
        self._refresh()

    def _refresh(self) -> None:
        self.accept_button.setEnabled(bool(self._source() and self.name.value.strip()))
