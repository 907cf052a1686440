"""How unusual the cells of the session's slide are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.code_maps import CodeMaps, MapKind
from napari_nic.plugin.controllers.desk_link import DeskLink
from napari_nic.plugin.similar_jobs import anomaly_job
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.similarity import AnomalyMethod

ANOMALY: MapKind = "anomaly"


class AnomalyController:
    """Shows how unusual the cells of the session's slide are.

    Parameters
    ----------
    link : DeskLink
    maps : CodeMaps
    runner : Runner
    """

    changed = Signal()

    def __init__(self, link: DeskLink, maps: CodeMaps, runner: Runner) -> None:
        self._link, self._maps, self._runner = link, maps, runner
        self.method: AnomalyMethod = "knn"
        self.folder: Path | None = None
        self._job: Job | None = None
        maps.forgotten.connect(self._on_forgotten)
        maps.changed.connect(self.changed.emit)

    def why_not(self) -> str:
        """Why it cannot be shown; empty when it can."""
        return self._link.why_not()

    @property
    def busy(self) -> bool:
        """Whether it is being computed."""
        return self._job is not None and self._job.running

    @property
    def shown(self) -> bool:
        """Whether it is on the screen."""
        return self._maps.shown(ANOMALY)

    def show(self, *, on: bool) -> None:
        """Show or hide it; it is computed if it is not there yet."""
        if not on or self._maps.overlay(ANOMALY) is not None:
            self._maps.show(ANOMALY, on=on)
            return
        store = self._link.open().session.store
        if store is None or self.why_not():
            self._link.tell(self.why_not())
            self.changed.emit()
            return
        if self._job is not None:
            self._job.cancel()
        self._job = self._runner.start(
            "Unusual cells",
            partial(anomaly_job, store, self.method, self.folder),
            Callbacks(
                returned=partial(self._on_map, store),
                failed=self._link.tell_error,
                finished=self.changed.emit,
            ),
        )
        self.changed.emit()

    def set_method(self, method: AnomalyMethod) -> None:
        """Measure it otherwise."""
        if method != self.method:
            self.method = method
            self._renew()

    def set_reference(self, folder: Path | None) -> None:
        """Compare with the compressed slides of a folder; None for the slide itself."""
        if folder != self.folder:
            self.folder = folder
            self._renew()

    def _renew(self) -> None:
        shown = self.shown or self.busy
        self._maps.drop(ANOMALY)
        if shown:
            self.show(on=True)
        self.changed.emit()

    def _on_map(self, store: CompressedSlide, overlay: Overlay) -> None:
        if store is self._link.store:
            self._maps.put(overlay, ANOMALY)

    def _on_forgotten(self) -> None:
        if self._job is not None:
            self._job.cancel()
        self.changed.emit()
