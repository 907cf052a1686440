"""Figures for print: which part of the slide, how fine, with scale bar and legend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qtpy.QtCore import QPoint, QSignalBlocker, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter
from qtpy.QtWidgets import QCheckBox, QFileDialog, QPushButton, QSpinBox

from napari_nic.names import FIGURE_SUFFIXES
from napari_nic.plugin.controllers.figuring import FigureController
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.keyboard import keeping_focus
from napari_nic.plugin.widgets.rows import ProgressBar, narrow_combo, quiet_label, row, set_enabled
from napari_nic.viewing import MAGNIFICATIONS, Mask, format_magnification

FOLDER_SETTING = "figure_folder"
"""Setting: where the last figure was written."""

REGIONS = (("Visible region", "visible"), ("Selected rectangle", "rectangle"), ("Whole slide", "whole"))
FILTER = "PNG (*.png);;TIFF (*.tif)"
CANCEL = "Cancel; nothing is written (Esc)"
DPI_LEAST, DPI_MOST, DPI_STEP = 50, 2400, 50


class FigureSection(Fold):
    """Options, the size that they make, and the button.

    Parameters
    ----------
    figuring : FigureController
    settings : Settings
    """

    def __init__(self, figuring: FigureController, settings: Settings) -> None:
        super().__init__("Figure")
        self._figuring, self._settings = figuring, settings
        self._build_options()
        self.about = quiet_label()
        self.export = QPushButton("Export figure...")
        self.export.clicked.connect(self.ask_file)
        self.stop = GlyphButton("cross", CANCEL)
        self.stop.clicked.connect(figuring.cancel)
        self.bar = ProgressBar()
        for widget in (self.about, row(self.export, self.stop), self.bar):
            self.body.addWidget(widget)
        figuring.changed.connect(self.refresh)
        self.toggled.connect(lambda _: self.refresh())
        self.stop.setEnabled(False)
        self.bar.hide()

    def _build_options(self) -> None:
        self.region, self.resolution = narrow_combo(), narrow_combo()
        self.region.addItems([name for name, _ in REGIONS])
        self.region.setAccessibleName("Part of the slide")
        self.region.setToolTip("What the figure shows, of the slide and of all that is visible on it")
        self.region.activated.connect(lambda index: self._figuring.set_options(region=REGIONS[index][1]))
        self._values: list[float | None] = [None, 0.0, *MAGNIFICATIONS]
        names = ["On screen", "Native", *(format_magnification(value) for value in MAGNIFICATIONS)]
        self.resolution.addItems(names)
        self.resolution.setAccessibleName("Magnification of the figure")
        self.resolution.setToolTip("How fine: computed from the slide, not from the screen")
        self.resolution.activated.connect(
            lambda index: self._figuring.set_options(magnification=self._values[index])
        )
        self.dpi = QSpinBox()
        self.dpi.setRange(DPI_LEAST, DPI_MOST)
        self.dpi.setSingleStep(DPI_STEP)
        self.dpi.setSuffix(" dpi")
        self.dpi.setAccessibleName("Dots per inch in print")
        self.dpi.setToolTip(
            "Dots per inch in print: says how large the figure is printed, and its letters with it"
        )
        self.dpi.valueChanged.connect(lambda value: self._figuring.set_options(dpi=value))
        self.scale_bar, self.legend = QCheckBox("Scale bar"), QCheckBox("Legend")
        self.scale_bar.clicked.connect(lambda on: self._figuring.set_options(scale_bar=on))
        self.legend.clicked.connect(lambda on: self._figuring.set_options(legend=on))
        self.legend.setToolTip("Classes and colour bars of what is visible, below the figure")
        self.body.addWidget(row(self.region, label="Region"))
        self.body.addWidget(row(self.resolution, self.dpi, label="Fineness"))
        self.body.addWidget(row(self.scale_bar, self.legend, label="With"))

    def refresh(self) -> None:
        """Show the options and how far a figure is; not while nobody sees it, at every move of the view."""
        if not self.isExpanded():
            return
        options, progress = self._figuring.options, self._figuring.progress
        text, is_possible = self._figuring.describe()
        self.about.setText(text)
        self.region.setCurrentIndex([value for _, value in REGIONS].index(options.region))
        self.resolution.setCurrentIndex(self._values.index(options.magnification))
        with QSignalBlocker(self.dpi):
            self.dpi.setValue(options.dpi)
        self.scale_bar.setChecked(options.scale_bar)
        self.legend.setChecked(options.legend)
        busy = progress is not None
        with keeping_focus(self.stop if busy else self.export, self.export, self.stop):
            why_not = "The figure is being made" if busy else "" if is_possible else text
            set_enabled(
                self.export, why_not, "Write what is shown as PNG or TIFF, from the slide's own pixels"
            )
            set_enabled(
                self.stop, "" if busy else "Nothing is being made", "Cancel; nothing is written (Esc)"
            )
        self.bar.setVisible(busy)
        if progress is not None:
            self.bar.setRange(0, max(1, progress.total))
            self.bar.setValue(progress.done)

    def ask_file(self) -> None:
        """Ask for a file and write the figure."""
        start = str(self._settings.get(FOLDER_SETTING, ""))
        path, chosen = QFileDialog.getSaveFileName(self, "Export figure", start, FILTER)
        if not path:
            return
        file = Path(path)
        if file.suffix.lower() not in FIGURE_SUFFIXES:
            file = file.with_name(file.name + (".tif" if "TIFF" in chosen else ".png"))
        self._settings.set(FOLDER_SETTING, str(file.parent))
        self._figuring.export(file)


def write_text(text: str, height: int) -> Mask:
    """Paint a line of text of so many pixels, (height, width) uint8, 255 is ink."""
    font = QFont()
    font.setPixelSize(max(6, round(height * 0.75)))
    metrics = QFontMetrics(font)
    width = max(1, metrics.horizontalAdvance(text))
    image = QImage(width, height, QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    painter.setFont(font)
    painter.setPen(QColor(Qt.GlobalColor.white))
    painter.drawText(QPoint(0, (height + metrics.ascent() - metrics.descent()) // 2), text)
    painter.end()
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    return pixels[:, :width].copy()
