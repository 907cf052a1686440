"""The dialog behind "Import encoder...": a file or a timm model, its name, and what its file does not say."""

from __future__ import annotations

from magicgui.widgets import CheckBox, FileEdit, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QRadioButton, QVBoxLayout, QWidget

from napari_nic.encoders.store import TIMM_PREFIX
from napari_nic.geometry import MPP_MAX
from napari_nic.plugin.controllers.encoders import KERAS_SUFFIXES, MODEL_SUFFIXES, ImportRequest, name_for
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.rows import form, quiet_label, row

DIALOG_WIDTH = 480
MOST_PX = 4096
AS_STATED = "as stated beside it"

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
        self._suggested = ""
        self.from_file, self.from_timm = QRadioButton("A &file"), QRadioButton("A network of t&imm")
        self.from_file.setChecked(True)
        self.help = quiet_label(FILE_HELP)
        self._build_sources()
        self._build_common()
        layout = QVBoxLayout(self)
        layout.addWidget(row(self.from_file, self.from_timm))
        for widget in (self.help, self._file_form, self._timm_form, self._common_form, self._buttons):
            layout.addWidget(widget)
        self.from_file.toggled.connect(self._refresh)
        for widget in (self.file, self.model, self.weights, self.download, self.name):
            widget.changed.connect(self._refresh)
        self._refresh()

    def _build_sources(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in (*KERAS_SUFFIXES, *MODEL_SUFFIXES))
        self.file = FileEdit(label="File", mode="r", filter=f"Encoders ({patterns});;All files (*)")
        self.file.line_edit.value = ""
        self.model = LineEdit(label="Model", tooltip=TIMM_HELP)
        weights = "Weights (*.safetensors *.pt *.pth *.bin);;All files (*)"
        self.weights = FileEdit(label="Weights", mode="r", filter=weights)
        self.weights.line_edit.value = ""
        self.download = CheckBox(label="", text="Download the weights, once")
        self._file_form = form([self.file])
        self._timm_form = form([self.model, self.weights, self.download])

    def _build_common(self) -> None:
        self.mpp = FloatSpinBox(label=f"{UM}/px", max=MPP_MAX, step=0.05, value=0.0)
        self.input_size = SpinBox(label="Input (px)", max=MOST_PX, value=0)
        for widget in (self.mpp, self.input_size):
            widget.native.setSpecialValueText(AS_STATED)
        self.name = LineEdit(label="Name", tooltip="What the encoder is called from now on")
        self._common_form = form([self.mpp, self.input_size, self.name])
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button = self._buttons.addButton("&Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.accept_button.setDefault(True)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

    def request(self) -> ImportRequest:
        """What the user asked for."""
        timm = self.from_timm.isChecked()
        return ImportRequest(
            self._source(),
            self.name.value.strip(),
            weights=_path(self.weights) if timm else "",
            download=timm and bool(self.download.value),
            mpp=self.mpp.value or None,
            input_size=self.input_size.value or None,
        )

    def _source(self) -> str:
        if self.from_file.isChecked():
            return _path(self.file)
        model = self.model.value.strip().removeprefix(TIMM_PREFIX)
        return f"{TIMM_PREFIX}{model}" if model else ""

    def _refresh(self) -> None:
        timm, source = self.from_timm.isChecked(), self._source()
        self.help.setText(TIMM_HELP if timm else FILE_HELP)
        self._file_form.setVisible(not timm)
        self._timm_form.setVisible(timm)
        if source and self.name.value.strip() in ("", self._suggested):
            self._suggested = name_for(source)
            if self.name.value != self._suggested:
                self.name.value = self._suggested
        has_weights = not timm or bool(_path(self.weights) or self.download.value)
        self.accept_button.setEnabled(bool(source and self.name.value.strip() and has_weights))


def _path(widget: FileEdit) -> str:
    return str(widget.line_edit.value).strip()
