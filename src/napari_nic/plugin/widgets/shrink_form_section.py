"""How a slide is made smaller: mode, codec, quality, glass, where the result goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QWidget

from napari_nic.plugin.controllers.shrinking import ShrinkController
from napari_nic.plugin.legend import UM
from napari_nic.plugin.shrink_form import CONTAINER_NAMES, MODES, codec_choices
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled
from napari_nic.recompression.lossy import CONTAINERS

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

MODE_HELP = {
    "repack": "Tiles become JPEG XL that gives the JPEG's very bytes back: 'napari-nic restore' makes the "
    "original file again. Few other programs open it meanwhile",
    "optimize": "Tiles stay JPEG with better Huffman tables: the same pixels, and every program opens it",
    "progressive": "As optimise, but progressive JPEG: smaller again, and slower to open",
    "lossy": "Tiles are decoded and encoded by another codec. Every tile is compared with its source; one "
    "that is not as good as asked is encoded better",
}
SSIM_HELP = (
    "Structural similarity that every tile keeps to, or it is encoded better; 0 asks for none. Turned hues, "
    "swapped channels, shifts and edges of blocks are looked for in any case"
)
GLASS_HELP = (
    "Leave tiles without tissue out, and make the glass of others white; tissue is kept as it is. Where the "
    "layer of Tissue... in the NIC dock lies on the slide, what is painted there is the tissue"
)
NO_GLASS = "Repacked slides give the original back, glass too"
MARGIN_HELP = f"Glass nearer to tissue than this is kept, {UM}"
FOLDER_HELP = "Where the result goes: choose another folder"
REPORT_HELP = "Make a page of sizes, quality at each magnification, drift of codes and the worst places"
ONE_QUALITY = "A learned codec has one quality, that it was trained for"
MOST_MARGIN = 5_000
BUSY = "A slide is being written: cancel it first"


class ShrinkFormSection(Section):
    """Choosers and numbers.

    Parameters
    ----------
    shrinking : ShrinkController
    """

    def __init__(self, shrinking: ShrinkController) -> None:
        super().__init__("")
        self._shrinking = shrinking
        self.mode = self._combo("Way of shrinking", "mode", MODES)
        self.codec = self._combo("Codec", "codec", codec_choices())
        self.container = self._combo(
            "Kind of file", "container", {name: CONTAINER_NAMES.get(name, name) for name in CONTAINERS}
        )
        self.quality = self._number("quality", decimals=0)
        self.least_ssim = self._number("least_ssim", decimals=3, most=1, step=0.005)
        self.least_ssim.setToolTip(SSIM_HELP)
        self.margin = self._number("margin_um", decimals=0, most=MOST_MARGIN, step=50)
        self.margin.setSuffix(f" {UM}")
        self.margin.setToolTip(MARGIN_HELP)
        self.glass = QCheckBox("Remove glass, margin")
        self.glass.clicked.connect(lambda on: shrinking.fill_in(remove_glass=on))
        self.report = QCheckBox("Report")
        self.report.setToolTip(REPORT_HELP)
        self.report.clicked.connect(lambda on: shrinking.fill_in(report=on))
        self.place = quiet_label(wrap=False)
        self.place.setAccessibleName("File that is written")
        self.folder = GlyphButton("folder", FOLDER_HELP)
        self.folder.clicked.connect(shrinking.choose_folder)
        self._build()
        shrinking.changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.lossy_rows = (
            row(self.codec, self.quality, label="Codec"),
            row(self.least_ssim, label="SSIM min"),
            row(self.container, label="File"),
        )
        for widget in (
            row(self.mode, label="Mode"),
            *self.lossy_rows,
            row(self.glass, self.margin),
            row(self.place, self.folder, label="To"),
            self.report,
        ):
            self.body.addWidget(widget)

    def _combo(self, name: str, field: str, choices: dict[str, str]) -> QComboBox:
        combo = narrow_combo()
        combo.setAccessibleName(name)
        for value, label in choices.items():
            combo.addItem(label, value)
        combo.currentIndexChanged.connect(
            lambda index: self._shrinking.fill_in(**{field: combo.itemData(index)})
        )
        return combo

    def _number(self, field: str, *, decimals: int, most: float = 100, step: float = 1) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0, most)
        box.setDecimals(decimals)
        box.setSingleStep(step)
        box.setKeyboardTracking(False)
        box.setAccessibleName({"quality": "Quality", "least_ssim": "Least SSIM"}.get(field, "Margin"))
        box.valueChanged.connect(lambda value: self._shrinking.fill_in(**{field: value}))
        return box

    def refresh(self) -> None:
        """Show what is filled in, and free or lock it."""
        form, scale = self._shrinking.form, self._shrinking.scale
        inputs = self._inputs()
        blockers = [QSignalBlocker(widget) for widget in inputs]
        for combo, value in (
            (self.mode, form.mode),
            (self.codec, form.codec),
            (self.container, form.container),
        ):
            combo.setCurrentIndex(combo.findData(value))
        self.quality.setRange(scale.least, scale.best)
        self.quality.setSuffix(f" {scale.unit}".rstrip())
        for box, number in (
            (self.quality, form.quality),
            (self.least_ssim, form.least_ssim),
            (self.margin, form.margin_um),
        ):
            box.setValue(number)
        self.glass.setChecked(form.remove_glass and form.can_remove_glass)
        self.report.setChecked(form.report)
        del blockers
        for widget in self.lossy_rows:
            widget.setVisible(form.is_lossy)
        self.mode.setToolTip(MODE_HELP[form.mode])
        known = f"{scale.least:g} to {scale.best:g} {scale.unit}".rstrip() + ", higher is better"
        self._show_place()
        busy = BUSY if self._shrinking.state.busy else ""
        for widget in inputs:
            widget.setEnabled(not busy)
        set_enabled(self.quality, busy or (ONE_QUALITY if scale.is_fixed else ""), known)
        set_enabled(self.folder, busy, FOLDER_HELP)
        set_enabled(self.glass, busy or ("" if form.can_remove_glass else NO_GLASS), GLASS_HELP)
        set_enabled(self.margin, busy or ("" if self.glass.isChecked() else GLASS_HELP), MARGIN_HELP)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """List the codecs that were trained meanwhile too."""
        super().showEvent(event)
        with QSignalBlocker(self.codec):
            for name, label in codec_choices().items():
                if self.codec.findData(name) < 0:
                    self.codec.addItem(label, name)

    def _show_place(self) -> None:
        target = self._shrinking.target()
        self.place.setText("" if target is None else target.name)
        self.place.setToolTip("" if target is None else str(target))

    def _inputs(self) -> tuple[QWidget, ...]:
        return (
            self.mode,
            self.codec,
            self.container,
            self.quality,
            self.least_ssim,
            self.glass,
            self.margin,
            self.report,
        )
