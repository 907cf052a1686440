"""Whether the saliency that is shown should be believed: measured once its overlay is on the screen."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from psygnal import Signal

from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import Overlay, Reliability, SaliencyMap, check_saliency
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.slide_models import ModelBundle

WAITING = "Whether this map should be believed is being measured"
STOPPED = "Whether this map should be believed was not measured"


class ReliabilityController:
    """Measures the saliency that is shown, after it is shown: nothing waits for it.

    Parameters
    ----------
    session : Session
    overlays : OverlayController
        Shows the map.
    models : ModelController
        Has the map's values.
    runner : Runner

    Attributes
    ----------
    busy : bool
        Whether it is being measured.
    found : Reliability or None
        Of the saliency of the session's store, once it was measured.
    progress : Progress or None
        Of the measurement that is on.
    """

    changed = Signal()

    def __init__(
        self, session: Session, overlays: OverlayController, models: ModelController, runner: Runner
    ) -> None:
        self._session, self._overlays, self._models, self._runner = session, overlays, models, runner
        self._of: Overlay | None = None
        self._job: Job | None = None
        self.busy = False
        self.found: Reliability | None = None
        self.progress: Progress | None = None
        overlays.changed.connect(self.follow)

    def close(self) -> None:
        """Follow no more, and stop what is being measured."""
        self._overlays.changed.disconnect(self.follow)
        self.cancel()

    @property
    def is_shown(self) -> bool:
        """Whether there is a map to speak of."""
        return self._overlays.stack.shown("saliency") and self._overlays.overlay("saliency") is not None

    def follow(self) -> None:
        """Measure the map that is shown, if it is another one; forget what was found of the last."""
        overlay = self._overlays.overlay("saliency")
        if overlay is self._of:
            return
        self.cancel()
        self._of = self.found = None
        if overlay is not None and self.is_shown:
            self._start(overlay)
        self.changed.emit()

    def cancel(self) -> None:
        """Stop measuring; the map stays, and nothing is said of it."""
        if self._job is not None:
            self._job.cancel()
        if self.busy:
            self._end()

    def _end(self) -> None:
        self._job = self.progress = None
        self.busy = False
        self.changed.emit()

    def again(self) -> None:
        """Measure the map that is shown, though it was stopped."""
        if not self.busy:
            self._of = None
            self.follow()

    def _start(self, overlay: Overlay) -> None:
        self._of = overlay
        bundle, store, saliency = self._models.bundle, self._session.store, self._models.saliency
        if bundle is None or store is None or saliency is None:
            return
        made = partial(_measure, bundle, store, saliency, self._models.folds())
        self.busy = True
        job = self._runner.start(
            f"Reliability of {overlay.name}",
            made,
            Callbacks(
                yielded=partial(self._on_progress, overlay),
                returned=partial(self._on_found, overlay),
                failed=self._session.asking.tell_error,
                finished=partial(self._on_finished, overlay),
            ),
        )
        self._job = job if job.running else None

    def _on_progress(self, overlay: Overlay, progress: Progress) -> None:
        if overlay is self._of and self.busy:
            self.progress = progress
            self.changed.emit()

    def _on_found(self, overlay: Overlay, found: Reliability) -> None:
        if overlay is self._of:
            self.found = found

    def _on_finished(self, overlay: Overlay) -> None:
        if overlay is self._of:
            self._end()


def _measure(
    bundle: ModelBundle,
    store: CompressedSlide,
    saliency: SaliencyMap,
    folds: tuple[ModelBundle, ...],
    token: CancellationToken,
) -> Generator[Progress, None, Reliability]:
    yield Progress(0, 0, "reading codes")
    codes = store.read(token=token)
    return (yield from check_saliency(bundle, codes, saliency, folds=folds, token=token))
