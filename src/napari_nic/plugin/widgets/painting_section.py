"""Painting class labels: on and off, what is painted at which resolution, outlines, files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QPushButton

from napari_nic.names import LABEL_SUFFIXES, has_suffix
from napari_nic.plugin.controllers.label_painting import LabelPainting
from napari_nic.plugin.controllers.painted_exchange import PaintedExchange
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.rows import Section, quiet_label, row, set_enabled

FILTER = "OME-Zarr labels (*.zarr);;Label TIFF (*.tif);;PNG (*.png)"
PAINT, STOP = "Paint labels", "Stop painting"
HINT = (
    "Brush, eraser, fill and polygon are in napari's layer controls, and keys are napari's."
    " Ctrl+Z takes a stroke back, wherever it is. Zoom in to paint finer"
)
LEAST_TOLERANCE, MOST_TOLERANCE = 0.0, 500.0
START_TOLERANCE = 2.0


class PaintingSection(Section):
    """All of the dock.

    Parameters
    ----------
    painting : LabelPainting
    exchange : PaintedExchange
    """

    def __init__(self, painting: LabelPainting, exchange: PaintedExchange) -> None:
        super().__init__("")
        self._painting, self._exchange = painting, exchange
        self.button = QPushButton(PAINT)
        self.button.clicked.connect(self._on_button)
        self.what, self.saved, self.hint = quiet_label(), quiet_label(), quiet_label(HINT)
        self.undo, self.redo = QPushButton("Undo"), QPushButton("Redo")
        self.undo.clicked.connect(painting.undo)
        self.redo.clicked.connect(painting.redo)
        self.tolerance = QDoubleSpinBox()
        self.tolerance.setRange(LEAST_TOLERANCE, MOST_TOLERANCE)
        self.tolerance.setDecimals(1)
        self.tolerance.setSuffix(f" {UM}")
        self.tolerance.setValue(START_TOLERANCE)
        self.tolerance.setKeyboardTracking(False)
        self.tolerance.setToolTip("Outlines are thinned, and none moves by more than this")
        self.make = QPushButton("Make annotations")
        self.make.clicked.connect(self._on_make)
        self.take = QPushButton("Paint annotations in")
        self.take.clicked.connect(exchange.paint_annotations)
        self.export = QPushButton("Export...")
        self.export.clicked.connect(self._on_export)
        for widget in (self.button, self.what, self.hint, row(self.undo, self.redo)):
            self.body.addWidget(widget)
        self.body.addWidget(row(self.tolerance, self.make, label="&Outlines", buddy=self.tolerance))
        for widget in (self.take, self.export, self.saved):
            self.body.addWidget(widget)
        painting.changed.connect(self.refresh_soon)
        exchange.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show what is painted."""
        painting = self._painting
        self.button.setText(STOP if painting.is_on else PAINT)
        self.button.setToolTip("What is painted is kept beside the slide and opened with it again")
        self.what.setText(self._what())
        self.hint.setVisible(painting.is_on)
        off = "" if painting.is_on else "Nothing is being painted"
        busy = off or (f"{self._exchange.busy}..." if self._exchange.busy else "")
        self._show_history(off)
        set_enabled(self.make, busy, "A polygon with its holes for each connected part")
        set_enabled(self.take, busy, "The selected areas, or all if none is selected, at this resolution")
        set_enabled(self.export, busy, "A picture of class numbers, at this resolution")
        self.saved.setText(painting.saving_text)
        self.saved.setToolTip(str(painting.place or ""))

    def _show_history(self, off: str) -> None:
        undo, redo = self._painting.titles
        nothing = off or ("" if undo else "There is nothing to undo")
        set_enabled(self.undo, nothing, f"Undo {undo} (Ctrl+Z)")
        nothing = off or ("" if redo else "There is nothing to redo")
        set_enabled(self.redo, nothing, f"Redo {redo} (Ctrl+Shift+Z)")

    def _what(self) -> str:
        painting = self._painting
        if not painting.is_on or painting.why_not_class():
            return painting.why_not_class()
        unit = UM if painting.session.slide is not None and painting.session.slide.pixel_size else "px"
        return f"{painting.documents.current_class}, {painting.mpp:.3g} {unit} a pixel"

    def _on_button(self) -> None:
        if self._painting.is_on:
            self._painting.stop()
        else:
            self._painting.begin()

    def _on_make(self) -> None:
        self._exchange.make_annotations(self.tolerance.value())

    def _on_export(self) -> None:
        start = str(self._exchange.export_start)
        path, chosen = QFileDialog.getSaveFileName(self, "Export painted labels", start, FILTER)
        if path:
            suffix = next(one for one in reversed(LABEL_SUFFIXES) if f"*{one})" in chosen)
            file = Path(path)
            self._exchange.export(file if has_suffix(file, *LABEL_SUFFIXES) else Path(path + suffix))
