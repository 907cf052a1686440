"""The dialog behind "Import encoder...": a file or a timm model, its name, and what its file does not say."""

from __future__ import annotations

from magicgui.widgets import FileEdit
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QLineEdit,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_nic.encoders.store import TIMM_PREFIX
from napari_nic.geometry import MPP_MAX
from napari_nic.names import KERAS_SUFFIXES, patterns
from napari_nic.plugin.controllers.encoders import MODEL_SUFFIXES, ImportRequest, name_for
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.rows import quiet_label, row

DIALOG_WIDTH = 480
MOST_PX = 4096
AS_STATED = "as stated"
"""Shown for the least value, which stands for: what the file or model says."""


FILE_HELP = (
    "Keras files of Tellez et al. (.h5), encoder folders (their .safetensors), TorchScript (.pt), "
    "torch.export (.pt2) and ONNX (.onnx). What a file does not say is read from a JSON file of its name "
    "beside it."
)
TIMM_HELP = (
    "Any network of timm, for instance resnet18, or hf-hub:owner/name. Nothing is downloaded unless you "
    "tick it."
)


class ImportDialog(QDialog):
    """Source and name; the name follows the source until the user changes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import encoder")
        self.setMinimumWidth(DIALOG_WIDTH)
        self._named = False
        self.from_file, self.from_timm = QRadioButton("A &file"), QRadioButton("A network of t&imm")
        self.from_file.setChecked(True)
        self.help = quiet_label(FILE_HELP)
        self._build_sources()
        self._build_common()
        layout = QVBoxLayout(self)
        layout.addWidget(row(self.from_file, self.from_timm))
        for widget in (self.help, *self._file_rows, *self._timm_rows, *self._common_rows, self._buttons):
            layout.addWidget(widget)
        # Only a button that stands in its dialog already becomes the one that Enter presses.
        self.accept_button.setDefault(True)
        self.from_file.toggled.connect(self._refresh)
        self.file.changed.connect(self._refresh)
        self.weights.changed.connect(self._refresh)
        self.download.toggled.connect(self._refresh)
        self.name.textEdited.connect(self._on_named)
        for edit in (self.model, self.name):
            edit.textChanged.connect(self._refresh)
        self._refresh()

    def _build_sources(self) -> None:
        self.file = FileEdit(
            mode="r", filter=f"Encoders ({patterns((*KERAS_SUFFIXES, *MODEL_SUFFIXES))});;All files (*)"
        )
        self.file.line_edit.value = ""
        self.model = QLineEdit()
        self.model.setToolTip(TIMM_HELP)
        weights = "Weights (*.safetensors *.pt *.pth *.bin);;All files (*)"
        self.weights = FileEdit(mode="r", filter=weights)
        self.weights.line_edit.value = ""
        self.download = QCheckBox("Do&wnload the weights, once")
        self._file_rows = (row(self.file.native, label="File"),)
        self._timm_rows = (
            row(self.model, label="&Model"),
            row(self.weights.native, label="Weights"),
            row(self.download, label=" "),
        )

    def _build_common(self) -> None:
        self.mpp, self.input_size = QDoubleSpinBox(), QSpinBox()
        self.mpp.setRange(0.0, MPP_MAX)
        self.mpp.setSingleStep(0.05)
        self.mpp.setDecimals(3)
        self.input_size.setRange(0, MOST_PX)
        for box in (self.mpp, self.input_size):
            box.setSpecialValueText(AS_STATED)
        self.input_size.setToolTip("Side of the network's input; patches are averaged to it")
        self.name = QLineEdit()
        self.name.setToolTip("What the encoder is called from now on")
        self._common_rows = (
            row(self.mpp, label=f"{UM}/p&x"),
            row(self.input_size, label="Inp&ut px"),
            row(self.name, label="&Name"),
        )
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button = self._buttons.addButton("&Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

    def request(self) -> ImportRequest:
        """What the user asked for."""
        timm = self.from_timm.isChecked()
        return ImportRequest(
            self._source(),
            self.name.text().strip(),
            weights=_path(self.weights) if timm else "",
            download=timm and self.download.isChecked(),
            mpp=self.mpp.value() or None,
            input_size=self.input_size.value() or None,
        )

    def _on_named(self) -> None:
        self._named = True

    def _source(self) -> str:
        if self.from_file.isChecked():
            return _path(self.file)
        model = self.model.text().strip().removeprefix(TIMM_PREFIX)
        return f"{TIMM_PREFIX}{model}" if model else ""

    def _refresh(self) -> None:
        timm, source = self.from_timm.isChecked(), self._source()
        self.help.setText(TIMM_HELP if timm else FILE_HELP)
        for widget in self._file_rows:
            widget.setVisible(not timm)
        for widget in self._timm_rows:
            widget.setVisible(timm)
        if not self._named:
            self.name.setText(name_for(source))
        has_weights = not timm or bool(_path(self.weights)) or self.download.isChecked()
        self.accept_button.setEnabled(bool(source and self.name.text().strip() and has_weights))


def _path(widget: FileEdit) -> str:
    return str(widget.line_edit.value).strip()
