"""What to train on, in which way, under which name; nothing can be changed while a training is on."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QDoubleSpinBox, QLineEdit, QPushButton, QRadioButton, QSpinBox, QWidget

from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.names import PATCHES_SUFFIX
from napari_nic.plugin.controllers.training import TrainController
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_CODES, MOST_STEPS, STEP_OF_STEPS = 2048, 1_000_000, 500

TILES_HELP = (
    "Folders of pictures (PNG, JPEG, TIFF), or patch stores (*.patches.zarr). With labels: a folder "
    "that holds a folder for each class"
)
METHOD_HELP = {
    "vae": "Learns to paint patches again from their codes; needs no labels. The published NIC baseline",
    "contrastive": "Learns to tell patches of one place from patches of different places; needs no labels",
    "bigan": "Learns by painting patches that a critic cannot tell from real ones; needs no labels",
    "vicreg": "Learns what augmentation leaves alone in a patch; needs no labels",
    "supervised": "Learns the classes of labelled tiles",
    "multitask": "Learns the classes of several sets of labelled tiles at once",
}


class TrainFormSection(Section):
    """Source, method, name, sizes, device."""

    def __init__(self, training: TrainController) -> None:
        super().__init__("")
        self._training = training
        self._build_source()
        self._build_method()
        self._build_sizes()
        training.changed.connect(self.refresh)
        self.refresh()

    def _build_source(self) -> None:
        self.on_slides, self.on_tiles = QRadioButton("Open slides"), QRadioButton("Tiles")
        self.on_slides.setToolTip("Train on the tissue of the slides that are open")
        self.on_tiles.setToolTip(TILES_HELP)
        self.on_slides.clicked.connect(lambda: self._training.fill_in(source="slides"))
        self.on_tiles.clicked.connect(lambda: self._training.fill_in(source="tiles"))
        self.source = quiet_label()
        self.add = QPushButton("Add folder...")
        self.add.clicked.connect(self._add_path)
        self.clear = GlyphButton("cross", "Take all folders out of the list")
        self.clear.clicked.connect(lambda: self._training.fill_in(paths=()))
        self.mpp = QDoubleSpinBox()
        self.mpp.setRange(MPP_MIN, MPP_MAX)
        self.mpp.setSingleStep(0.05)
        self.mpp.setDecimals(3)
        self.mpp.setKeyboardTracking(False)
        self.mpp.setToolTip(f"{UM}/px of the pictures in the folders: 0.5 for 20x, 0.25 for 40x")
        self.mpp.valueChanged.connect(lambda value: self._training.fill_in(mpp=value))
        self.add_row = row(self.add, self.clear, label="")
        self.mpp_row = row(self.mpp, label=f"{UM}/px")
        self.body.addWidget(row(self.on_slides, self.on_tiles, label="From", buddy=self.on_slides))
        for widget in (self.source, self.add_row, self.mpp_row):
            self.body.addWidget(widget)

    def _build_method(self) -> None:
        self.method = narrow_combo()
        self.method.setAccessibleName("Way of training")
        for name, label in self._training.methods().items():
            self.method.addItem(label, name)
        self.method.currentIndexChanged.connect(
            lambda index: self._training.fill_in(method=self.method.itemData(index))
        )
        self.body.addWidget(row(self.method, label="Method"))

    def _build_sizes(self) -> None:
        self.name = QLineEdit()
        self.name.setToolTip("What the encoder is called from now on")
        self.name.textEdited.connect(lambda text: self._training.fill_in(name=text.strip()))
        self.codes, self.steps = QSpinBox(), QSpinBox()
        self.codes.setRange(1, MOST_CODES)
        self.codes.setToolTip("Numbers that stand for a patch; the papers take 128")
        self.codes.valueChanged.connect(lambda value: self._training.fill_in(code_size=value))
        self.steps.setRange(1, MOST_STEPS)
        self.steps.setSingleStep(STEP_OF_STEPS)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setToolTip("Of 64 patches each. A training that is done can go on with more steps")
        self.steps.valueChanged.connect(lambda value: self._training.fill_in(steps=value))
        for box in (self.codes, self.steps):
            box.setKeyboardTracking(False)
        self.device = narrow_combo()
        self.device.setAccessibleName("Device")
        self.device.addItems(DEVICES)
        self.device.currentTextChanged.connect(lambda text: self._training.fill_in(device=text))
        for widget, label in (
            (self.name, "Name"),
            (self.codes, "Codes"),
            (self.steps, "Steps"),
            (self.device, "Device"),
        ):
            self.body.addWidget(row(widget, label=label))

    def refresh(self) -> None:
        """Show what is filled in, and free or lock it."""
        form, busy = self._training.form, self._training.state.busy
        tiles = form.source == "tiles"
        self.on_slides.setChecked(not tiles)
        self.on_tiles.setChecked(tiles)
        self.source.setText(self._training.describe_source())
        self.source.setToolTip("\n".join(form.paths) if tiles else "")
        self.add_row.setVisible(tiles)
        folders = any(not path.endswith(PATCHES_SUFFIX) for path in form.paths)
        self.mpp_row.setVisible(tiles and folders)
        self._show_values()
        self.method.setToolTip(METHOD_HELP.get(form.method, ""))
        why_not = "A training is on: cancel it first; it can be gone on with" if busy else ""
        for widget in self._inputs():
            widget.setEnabled(not why_not)
        set_enabled(self.add, why_not, TILES_HELP)
        self.clear.setEnabled(not why_not and bool(form.paths))

    def _show_values(self) -> None:
        form = self._training.form
        inputs = (self.mpp, self.method, self.name, self.codes, self.steps, self.device)
        blockers = [QSignalBlocker(widget) for widget in inputs]
        self.mpp.setValue(form.mpp)
        self.method.setCurrentIndex(self.method.findData(form.method))
        if self.name.text().strip() != form.name:  # else the cursor would jump while the user types
            self.name.setText(form.name)
        self.codes.setValue(form.code_size)
        self.steps.setValue(form.steps)
        self.device.setCurrentText(form.device)
        for blocker in blockers:
            blocker.unblock()

    def _inputs(self) -> tuple[QWidget, ...]:
        radios = (self.on_slides, self.on_tiles)
        return (*radios, self.mpp, self.method, self.name, self.codes, self.steps, self.device)

    def _add_path(self) -> None:
        path = self._training.asking.folder("Folder of tiles, or a patch store")
        if path is not None and str(path) not in self._training.form.paths:
            self._training.fill_in(paths=(*self._training.form.paths, str(path)))
