"""What becomes of what was learned: a probe for other slides, outlines for other programs."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox, QPushButton

from napari_nic.names import safe_name
from napari_nic.plugin.controllers.probe_files import MM2, ProbeFiles
from napari_nic.plugin.controllers.probing import ProbeController
from napari_nic.plugin.widgets.rows import Section, row, set_enabled

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
        self.body.addWidget(row(self.least, self.export, label="At least"))
        self.body.addWidget(self.save)
        probing.changed.connect(self.refresh_soon)
        files.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show whether there is something to write."""
        learned = self._probing.learned
        nothing = "" if learned is not None and learned.found is not None else "Nothing was learned yet"
        busy = f"{self._files.writing} is being written" if self._files.writing else ""
        set_enabled(self.export, nothing or busy, "Outlines of the classes, as QuPath and others read them")
        set_enabled(self.save, nothing, "A folder with which napari-nic probe apply maps other slides")

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

    def _save(self) -> None:
        learned = self._probing.learned
        if learned is None or learned.trained is None:
            return
        folder = self._probing.session.asking.folder("Folder to save the probe in")
        if folder is not None:
            probe = learned.trained.probe
            self._files.save(probe, folder / safe_name(probe.card.name))
