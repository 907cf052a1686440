"""Choose an encoder and see what it is; import another one, or go and train one."""

from __future__ import annotations

import html

from qtpy.QtCore import QPoint, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QMenu, QMessageBox, QVBoxLayout, QWidget

from napari_nic.encoders import EncoderSpec
from napari_nic.plugin.controllers.encoders import EncoderController, card_line
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.import_dialog import ImportDialog
from napari_nic.plugin.widgets.rows import SPACING, card_table, narrow_combo, quiet_label, row, set_enabled

ADD = "Import or train another encoder"


class EncoderChooser(QWidget):
    """The encoders at hand, a line about the chosen one with its whole model card as tooltip, and a plus."""

    train_clicked = Signal()

    def __init__(self, session: Session, controller: EncoderController) -> None:
        super().__init__()
        self._session, self._controller = session, controller
        self._busy = ""
        self.encoders = narrow_combo()
        self.encoders.setAccessibleName("Encoder")
        self.encoders.currentIndexChanged.connect(self._on_encoder)
        self.card = GlyphButton("info", f"About this encoder: data, licence, {UM}/px")
        self.card.clicked.connect(self._show_card)
        self.add = GlyphButton("plus", ADD)
        self.add.clicked.connect(self._show_menu)
        self.line = quiet_label(wrap=False)
        self._build_menu()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(row(self.encoders, self.card, self.add, label="&Encoder"))
        layout.addWidget(self.line)
        session.encoder_changed.connect(self.refresh)
        controller.changed.connect(self.refresh)
        self.refresh()

    def _build_menu(self) -> None:
        self.menu = QMenu(self)
        self.import_action = self.menu.addAction("&Import encoder...")
        self.import_action.triggered.connect(self.ask_import)
        self.train_action = self.menu.addAction("&Train encoder...")
        self.train_action.triggered.connect(self.train_clicked)

    def refresh(self) -> None:
        """List the encoders and describe the chosen one."""
        session = self._session
        with QSignalBlocker(self.encoders):
            self.encoders.clear()
            for spec in session.specs:
                self.encoders.addItem(f"{spec.name} (C={spec.code_size})", spec.name)
                index = self.encoders.count() - 1
                self.encoders.setItemData(index, encoder_card(spec), Qt.ItemDataRole.ToolTipRole)
            names = [spec.name for spec in session.specs]
            if session.spec.name in names:
                self.encoders.setCurrentIndex(names.index(session.spec.name))
        importing = self._controller.importing
        line = f"Importing {importing}..." if importing else card_line(session.spec)
        self.line.setText(line)
        self.line.setToolTip(f"<p>{html.escape(line)}</p>{encoder_card(session.spec)}")
        self._refresh_enabled()

    def set_busy(self, why_not: str) -> None:
        """Keep the encoder while a slide is being compressed with it; `why_not` says so, empty frees it."""
        self._busy = why_not
        self._refresh_enabled()

    def ask_import(self) -> None:
        """Ask for a file, and import it."""
        dialog = ImportDialog(self)
        if dialog.exec():
            self._controller.import_encoder(dialog.request())
        dialog.deleteLater()

    def _refresh_enabled(self) -> None:
        set_enabled(self.encoders, self._busy, encoder_card(self._session.spec))
        self.import_action.setEnabled(not (self._busy or self._controller.why_not()))

    def _on_encoder(self, index: int) -> None:
        name = self.encoders.itemData(index)
        if name:
            self._session.select_encoder(name)

    def _show_menu(self) -> None:
        self.menu.popup(self.add.mapToGlobal(QPoint(0, self.add.height())))

    def _show_card(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(self._session.spec.name)
        box.setTextFormat(Qt.TextFormat.RichText)
        box.setText(encoder_card(self._session.spec))
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box.exec()


def encoder_card(spec: EncoderSpec) -> str:
    """Rich text of what a user should know of an encoder before using it."""
    rows = {
        "Codes": f"{spec.code_size} numbers a patch",
        "Patch": f"{spec.patch_size} px at {spec.mpp:g} {UM}/px ({spec.patch_size * spec.mpp:g} {UM})",
        "Network": f"{spec.architecture}, input {spec.input_size} px",
        "Licence": spec.licence or "not stated",
        **spec.training,
        "Cite": spec.citation,
        "Weights": f"SHA-256 {spec.weights_sha256[:16]}..." if spec.weights_sha256 else "none",
    }
    return f"<b>{html.escape(spec.name)}</b><p>{html.escape(spec.summary)}</p>{card_table(rows)}"
