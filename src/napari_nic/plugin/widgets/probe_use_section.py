"""What becomes of what was learned: a probe for other slides, outlines for other programs."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QPushButton

from napari_nic.names import safe_name
from napari_nic.plugin.controllers.probe_files import MM2, ProbeFiles
from napari_nic.plugin.controllers.probing import ProbeController
from napari_nic.plugin.probe_texts import opened_text
from napari_nic.plugin.widgets.rows import Section, quiet_label, row, set_enabled

MOST_MM2 = 100.0


class ProbeUseSection(Section):
    """Saves and exports.

    Parameters
    ----------
    probing : ProbeController
    files : ProbeFiles
    """

    def __init__(self, probing: ProbeController, files: ProbeFiles) -> None:
        super().__init__("Use it")
        self._probing, self._files = probing, files
        self.least = QDoubleSpinBox()
        self.least.setRange(0, MOST_MM2)
        self.least.setDecimals(3)
        self.least.setSingleStep(0.01)
        self.least.setSuffix(f" {MM2}")
        self.least.setKeyboardTracking(False)
        self.least.setAccessibleName("Least area of an outline")
        self.least.setToolTip("Smaller parts go to the class around them, and smaller holes are filled")
        self.least.setValue(files.least_mm2)
        self.least.valueChanged.connect(self._on_least)
        self.export = QPushButton("Export outlines...")
        self.export.clicked.connect(self._export)
        self.save = QPushButton("Save probe...")
        self.save.clicked.connect(self._save)
        self.open = QPushButton("Open probe...")
        self.open.setToolTip("Map this slide, and others, by a probe that was saved")
        self.open.clicked.connect(self._open)
        self.opened = quiet_label()
        self.opened.setTextFormat(Qt.TextFormat.PlainText)  # names of probes are anybody's
        self.back = QPushButton("Back to strokes")
        self.back.setToolTip("Close the probe, and show again what the strokes teach")
        self.back.clicked.connect(lambda: probing.open_probe(None))
        self.body.addWidget(row(self.least, self.export, label="At least"))
        self.body.addWidget(row(self.save, self.open))
        for widget in (self.opened, self.back):
            self.body.addWidget(widget)
        probing.changed.connect(self.refresh_soon)
        files.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show whether there is something to write."""
        learned = self._probing.learned
        nothing = "" if learned is not None and learned.found is not None else "Nothing was learned yet"
        busy = f"{self._files.writing} is being written" if self._files.writing else ""
        set_enabled(self.export, nothing or busy, "Outlines of the classes, as QuPath and others read them")
        opened = opened_text(self._probing.opened)
        self.opened.setText(opened)
        self.opened.setVisible(bool(opened))
        self.back.setVisible(bool(opened))
        trained = "" if learned is not None and learned.trained is not None else "Nothing was learned here"
        set_enabled(
            self.save, nothing or trained, "A folder with which napari-nic probe apply maps other slides"
        )

    def _on_least(self, value: float) -> None:
        self._files.least_mm2 = value

    def _export(self) -> None:
        learned, slide = self._probing.learned, self._probing.session.slide
        if learned is None or learned.found is None or slide is None:
            return
        start = slide.path.with_name(f"{slide.name}.classes.geojson")
        path = self._probing.session.asking.save_to("Export outlines of the classes", start)
        if path is not None:
            self._files.export(learned.found, path)

    def _open(self) -> None:
        folder = self._probing.session.asking.folder("Folder of a probe")
        probe = None if folder is None else self._files.open(folder)
        if probe is not None:
            self._probing.open_probe(probe)

    def _save(self) -> None:
        learned = self._probing.learned
        if learned is None or learned.trained is None:
            return
        folder = self._probing.session.asking.folder("Folder to save the probe in")
        if folder is not None:
            probe = learned.trained.probe
            self._files.save(probe, folder / safe_name(probe.card.name))
