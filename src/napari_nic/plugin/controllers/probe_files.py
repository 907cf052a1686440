"""A probe saved as a folder, and its map as an annotation file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_nic.errors import NicError
from napari_nic.plugin.class_map_job import ExportedMap, export_job
from napari_nic.plugin.controllers.asking import Asking
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.probe import LEAST_MM2, PROBE_FILE, CellClasses, Probe, load_probe, save_probe

MM2 = "mm\N{SUPERSCRIPT TWO}"


class ProbeFiles:
    """Writes what was learned, and reads it again.

    Parameters
    ----------
    asking : Asking
    runner : Runner

    Attributes
    ----------
    least_mm2 : float
        Smaller parts of a class, and holes, are not written.
    writing : str
        Name of the file that is being written; empty when none is.
    """

    changed = Signal()

    def __init__(self, asking: Asking, runner: Runner) -> None:
        self._asking, self._runner = asking, runner
        self.least_mm2 = LEAST_MM2
        self.writing = ""

    def save(self, probe: Probe, folder: Path) -> bool:
        """Write a probe into a folder of its own; what is there is replaced if the user agrees."""
        if (folder / PROBE_FILE).exists() and not self._asking.confirm(
            "Save probe", f"{folder.name} holds a probe already.", yes="Replace it", no="Keep it"
        ):
            return False
        try:
            save_probe(probe, folder)
        except NicError as error:
            self._asking.tell_error(error)
            return False
        self._asking.tell(f"Saved the probe in {folder}; napari-nic probe apply maps other slides with it")
        return True

    def open(self, folder: Path) -> Probe | None:
        """Read a probe that was saved; what is none is told."""
        try:
            return load_probe(folder)
        except NicError as error:
            self._asking.tell_error(error)
            return None

    def export(self, found: CellClasses, path: Path) -> None:
        """Write the outlines of the classes, in the background."""
        self.writing = path.name
        self._runner.start(
            f"Writing {path.name}",
            partial(export_job, found, path, self.least_mm2),
            Callbacks(returned=self._on_exported, failed=self._asking.tell_error, finished=self._on_finished),
        )
        self.changed.emit()

    def _on_exported(self, exported: ExportedMap) -> None:
        areas = ", ".join(f"{label} {area:.3g} {MM2}" for label, area in exported.areas.items())
        self._asking.tell("; ".join([f"Saved {exported.path.name}: {areas}", *exported.notes]))

    def _on_finished(self) -> None:
        self.writing = ""
        self.changed.emit()
